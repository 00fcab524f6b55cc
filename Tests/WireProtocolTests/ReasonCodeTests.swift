import ReplModel
import Testing

@testable import WireProtocol

@Suite("Reason codes and errors on the wire")
struct ReasonCodeTests {
  @Test func unknownReasonIsKeptAndRefused() {
    let reason = ReasonCode(rawValue: 4711)
    #expect(reason.rawValue == 4711)
    #expect(reason.description == "unknown reason 4711")
    #expect(reason.errorKind == .refused)
    #expect(ReasonCode(rawValue: 0).description == "unknown reason 0")
  }

  @Test func knownReasonsHaveTheirNames() {
    #expect(ReasonCode.done.description == "done")
    #expect(ReasonCode.refused.description == "refused")
    #expect(ReasonCode.digestMismatch.errorKind == .damaged)
    #expect(ReasonCode.tooLong.errorKind == .protocolViolation)
  }

  @Test func everyKindOfErrorHasAReasonAndSurvivesTheWire() throws {
    for kind in ReplError.Kind.allCases {
      let notice = CloseNotice(
        reason: ReasonCode(for: kind), error: ReplError(kind, subject: "s", cause: "c", remedy: "r"))
      #expect(try CloseNotice(bytes: notice.encode()) == notice)
      #expect(ReasonCode.known.contains(notice.reason))
    }
  }

  @Test func unknownKindBecomesRefusedAndSaysSo() throws {
    var writer = ByteWriter()
    writer.write(UInt16(900))
    writer.write("volume a")
    writer.write("something new")
    writer.write(false)
    let reply = try ControlReply(type: 4, body: writer.bytes, flags: [.reply, .error])
    #expect(reply == .refused(ReplError(.refused, subject: "volume a", cause: "unknown kind 900: something new")))
  }

  @Test func longTextsAreCutAtACharacter() throws {
    let long = String(repeating: "ü", count: 5000)
    let error = ReplError(.io, subject: long, cause: long, remedy: long)
    let body = ControlReply.refused(error).encode().body
    guard case .refused(let read) = try ControlReply(type: 1, body: body, flags: [.reply, .error]) else {
      Issue.record("not a refusal")
      return
    }
    #expect(read.subject.utf8.count == 1024)
    #expect(read.cause.utf8.count == 4096)
    #expect(read.remedy?.utf8.count == 1024)
    #expect(body.count <= Int(FrameType.bodyLimit(type: 1, flags: [.reply, .error])))
  }
}
