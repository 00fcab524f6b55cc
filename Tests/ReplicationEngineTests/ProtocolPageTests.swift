import Foundation
import Testing
import WireProtocol
import WireTransport

@testable import ReplicationEngine

/// Whoever writes a peer from the page relies on its figures.
@Suite("docs/wire-protocol.md gives the figures of the code")
struct ProtocolPageTests {
  private static let page: String = {
    let root = "/" + #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
    let text = (try? String(contentsOfFile: root + "/docs/wire-protocol.md", encoding: .utf8)) ?? ""
    return text.split(whereSeparator: \.isWhitespace).joined(separator: " ")
  }()

  private static let sentences: [String] = {
    let (tls, frames, budgets) = (TLSOptions(), FrameLimits(), TargetBudgets())
    let (control, data) = (ListenerLimits.control, ListenerLimits.data(memory: 0))
    let seconds = { (duration: Duration) in "\(duration.components.seconds) s" }
    return [
      "within \(seconds(tls.introductionTimeout)) of the TCP connection: handshake (\(seconds(tls.handshakeTimeout)))",
      "A control frame arrives within \(seconds(frames.frameTimeout)) of its first byte",
      "here \(control.perPeer) control connections, \(data.perPeer) data streams or more",
      "(here \(control.peers) control connections)",
      "\(InboundBudget.standardBytes >> 20) MiB of bodies may be under way",
      "Beyond \(InboundBudget.standardRequests) requests they are refused with transient, and so are those beyond "
        + "\(frames.workers + frames.queuedRequests) on one connection (\(frames.workers) being answered, "
        + "\(frames.queuedRequests) waiting)",
      "at most \(frames.pendingRequests) requests outstanding here",
      "sends a heartbeat every \(Int(Liveness.heartbeat)) s, but not while one is outstanding, which it waits "
        + "\(Int(Liveness.heartbeatAnswer)) s for",
      "ends a control connection after \(seconds(Liveness.clientSilence)) of silence",
      "A server ends one after \(seconds(Liveness.serverSilence)) of silence, a target a data stream after "
        + seconds(Liveness.streamSilence),
      "waits \(Int(RequestTimeout.short)) s for the reply to any other request (\(Int(DocumentExchange.standardLimit)) s "
        + "for the last part of a document)",
      "not acknowledged for \(seconds(tls.stallTimeout)) cut a connection",
      "answered within about ten seconds",
      "sent when nothing else was for \(DataStreamSender.silence / 1_000_000_000) seconds",
      "\(grouped(budgets.sessions)) sessions, \(budgets.requests) requests at work, \(budgets.readRequests) of them "
        + "readings",
      "\(budgets.unconfirmedPoints) points or more, newer than any confirmed one",
      "more than \(grouped(budgets.volumes)) volumes of a peer",
      "more than \(budgets.stagingPerSession) different plans in one session",
      "A server keeps at most \(DocumentBook.limit) exchanges of a peer, of \(DocumentBook.byteLimit >> 20) MiB with "
        + "their answers, answers \(DocumentDesk.concurrent) at once (\(DocumentDesk.concurrentOfAll) of all peers), and "
        + "takes at most \(seconds(DocumentDesk.standardLimit))",
    ]
  }()

  private static func grouped(_ number: Int) -> String {
    let digits = String(number)
    return digits.count > 3 ? digits.dropLast(3) + "," + digits.suffix(3) : digits
  }

  @Test("sentence", arguments: sentences)
  func sentence(_ text: String) {
    #expect(Self.page.contains(text))
  }

  @Test("figures that the page has in words")
  func words() {
    #expect(TargetBudgets().replyTime == .seconds(10), "about ten seconds")
    #expect(TargetBudgets().grace == 300, "five minutes")
    #expect(StreamTicketBook.lifetime == 120_000_000_000, "two minutes")
    #expect(DocumentBook.lifetime == 120_000_000_000, "two minutes")
    #expect(PairingTokenState.lifetime == 24 * 3600 * 1_000_000_000 && PairingTokenState.tryLimit == 5)
    #expect(PairingTokenState.tryWindow == 60 * 1_000_000_000)
    #expect(TLSOptions().keyUpdateRecords < 1 << 24)
  }
}
