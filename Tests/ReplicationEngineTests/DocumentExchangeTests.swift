import AgentService
import ReplModel
import Synchronization
import TestSupport
import Testing
import WireProtocol
import WireTransport

@testable import ReplicationEngine
import Threads

/// Documents from one control plane to the other, without a network.
@Suite("Documents between control planes")
struct DocumentExchangeTests {
  /// Hands requests to a desk, as the peer's control connection would.
  private final class DeskLink: PeerLink {
    let cluster = "west"
    let maxChunk: UInt32 = 1 << 20
    let desk: DocumentDesk
    let connection = AsyncBridge()
    /// Called with each request before the desk sees it; throwing loses it.
    let before: @Sendable (ControlRequest) throws(ReplError) -> Void

    /// Called with the time limit of each request.
    let timeouts: @Sendable (Double) -> Void

    init(
      _ desk: DocumentDesk, before: @escaping @Sendable (ControlRequest) throws(ReplError) -> Void = { _ in },
      timeouts: @escaping @Sendable (Double) -> Void = { _ in }
    ) {
      self.desk = desk
      self.timeouts = timeouts
      self.before = before
    }

    func request(_ request: ControlRequest, timeout: Double) throws(ReplError) -> ControlReply {
      timeouts(timeout)
      try before(request)
      // Through the codec, so that what is too long for a frame is found.
      let (type, body) = request.encode()
      #expect(body.count <= Int(FrameType.bodyLimit(type: type, flags: [])))
      do throws(ReplError) {
        switch request {
        case .sendDocument(let part): return .sendDocument(try desk.take(part, from: "east", over: connection))
        case .fetchAnswer(let part): return .fetchAnswer(try desk.fetch(part, from: "east"))
        default: return .unpair
        }
      } catch { return .refused(error) }
    }

    func openStream(
      _ begin: BeginReply, session: SessionID, ticket: StreamTicket
    ) throws(ReplError) -> any ChunkLink {
      throw ReplError(.bug, subject: "test", cause: "documents need no stream")
    }
  }

  /// Answers with the document turned round, with who sent it before.
  private struct Mirror: PeerDocumentResponder {
    func answer(_ document: PeerDocument, from cluster: String) async throws(ReplError) -> [UInt8] {
      guard document.topic != "refuse" else {
        throw ReplError(.diverged, subject: "document", cause: "is refused", remedy: "ask for less")
      }
      return Array("\(cluster) \(document.topic) ".utf8) + document.body.reversed()
    }
  }

  private func desk(_ responder: (any PeerDocumentResponder)? = Mirror()) -> DocumentDesk {
    let desk = DocumentDesk()
    desk.answer(with: responder)
    return desk
  }

  private func exchange(_ link: DeskLink, _ document: PeerDocument) async throws(ReplError) -> [UInt8] {
    try await runOnThread("test") { () throws(ReplError) in try DocumentExchange(link: link).run(document) }
  }

  @Test(
    "A document of any length arrives whole, and so does its answer",
    arguments: [0, 1, WireLimits.documentPart - 1, WireLimits.documentPart, 3 * WireLimits.documentPart + 7])
  func lengths(count: Int) async throws {
    let body = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }
    let answer = try await exchange(DeskLink(desk()), PeerDocument(topic: "resources", body: body))
    #expect(answer == Array("east resources ".utf8) + body.reversed())
  }

  @Test("The sender gets the receiver's refusal with its remedy")
  func refusal() async throws {
    let document = PeerDocument(topic: "refuse", body: [1])
    await #expect(throws: ReplError(.diverged, subject: "document", cause: "is refused", remedy: "ask for less")) {
      try await exchange(DeskLink(desk()), document)
    }
  }

  @Test("What is too long, or has no topic, is refused before anything is sent")
  func limits() async throws {
    let link = DeskLink(desk()) { (_) throws(ReplError) in
      throw ReplError(.bug, subject: "test", cause: "something was sent")
    }
    let long = [UInt8](repeating: 0, count: WireLimits.document + 1)
    for document in [
      PeerDocument(topic: "t", body: long), PeerDocument(topic: "", body: []),
      PeerDocument(topic: String(repeating: "t", count: 65), body: []),
    ] {
      do throws(ReplError) {
        _ = try await exchange(link, document)
        Issue.record("\(document.topic) was sent")
      } catch { #expect(error.kind == .invalid) }
    }
  }

  @Test("Without a control plane, and with one that answers too much, documents are refused")
  func responders() async throws {
    struct Flood: PeerDocumentResponder {
      func answer(_ document: PeerDocument, from cluster: String) async throws(ReplError) -> [UInt8] {
        [UInt8](repeating: 0, count: WireLimits.document + 1)
      }
    }
    for (responder, kind) in [(nil, .transient), (Flood(), .bug)] as [((any PeerDocumentResponder)?, ReplError.Kind)] {
      do throws(ReplError) {
        _ = try await exchange(DeskLink(desk(responder)), PeerDocument(topic: "t", body: []))
        Issue.record("it was answered")
      } catch { #expect(error.kind == kind) }
    }
  }

  @Test("More documents at once than may be answered are refused as busy, and taken again later")
  func concurrency() async throws {
    let gate = Gate()
    let desk = desk(gate)
    let link = DeskLink(desk)
    let document = PeerDocument(topic: "t", body: [7])
    try await withThrowingTaskGroup(of: [UInt8].self) { group in
      for _ in 0..<DocumentDesk.concurrent { group.addTask { try await exchange(link, document) } }
      await gate.waitForQuestions(DocumentDesk.concurrent)
      do throws(ReplError) {
        _ = try await exchange(link, document)
        Issue.record("one too many was taken")
      } catch { #expect(error.kind == .transient) }
      await gate.open()
      for try await answer in group { #expect(answer == [7]) }
    }
    #expect(try await exchange(link, document) == [7])
  }

  /// A document of one part, from a peer with a connection of its own.
  private func ask(_ desk: DocumentDesk, _ cluster: String) async throws(ReplError) -> DocumentReply {
    try await runOnThread("test") { () throws(ReplError) in
      try desk.take(
        DocumentPart(exchange: .random(), topic: "t", total: 1, index: 0, bytes: [7]), from: cluster,
        over: AsyncBridge())
    }
  }

  @Test("All peers together have a few documents answered at once, whoever they are from")
  func concurrencyOfAll() async throws {
    let gate = Gate()
    let desk = desk(gate)
    try await withThrowingTaskGroup(of: DocumentReply.self) { group in
      for number in 0..<DocumentDesk.concurrentOfAll { group.addTask { try await ask(desk, "peer \(number)") } }
      await gate.waitForQuestions(DocumentDesk.concurrentOfAll)
      let error = await #expect(throws: ReplError.self) { try await ask(desk, "one more") }
      #expect(error?.kind == .transient)
      await gate.open()
      for try await _ in group {}
    }
    _ = try await ask(desk, "one more")
  }

  @Test("Two peers that have all they may leave a place for a third")
  func placeOfALatePeer() async throws {
    let gate = Gate()
    // A question that is let in waits at the gate, and not for ever.
    let desk = DocumentDesk(limit: .seconds(60))
    desk.answer(with: gate)
    try await withThrowingTaskGroup(of: DocumentReply.self) { group in
      for cluster in ["one", "one", "two"] { group.addTask { try await ask(desk, cluster) } }
      await gate.waitForQuestions(3)
      let error = await #expect(throws: ReplError.self) { try await ask(desk, "two") }
      #expect(error?.cause == "too many documents at once")
      group.addTask { try await ask(desk, "three") }
      await gate.waitForQuestions(4)
      await gate.open()
      for try await _ in group {}
    }
  }

  @Test("An answer that takes too long keeps its place until the work on it has ended")
  func overdue() async throws {
    let gate = Gate()
    let desk = DocumentDesk(limit: .milliseconds(1))
    desk.answer(with: gate)
    let link = DeskLink(desk)
    let document = PeerDocument(topic: "t", body: [7])
    for _ in 0..<DocumentDesk.concurrent {
      do throws(ReplError) {
        _ = try await exchange(link, document)
        Issue.record("it was answered")
      } catch { #expect(error.cause.contains("was not answered within")) }
    }
    await gate.waitForQuestions(DocumentDesk.concurrent)
    do throws(ReplError) {
      _ = try await exchange(link, document)
      Issue.record("more were worked on than may be")
    } catch { #expect(error.cause == "too many documents at once") }
    await gate.open()
  }

  @Test("A short limit holds for every request of an exchange")
  func shortLimit() async throws {
    let times = Mutex<[Double]>([])
    let link = DeskLink(desk(), timeouts: { time in times.withLock { $0.append(time) } })
    let body = [UInt8](repeating: 1, count: WireLimits.documentPart + 1)
    _ = try await runOnThread("test") { () throws(ReplError) in
      try DocumentExchange(link: link, limit: 10).run(PeerDocument(topic: "t", body: body))
    }
    #expect(times.withLock { $0 } == [10, 10, 10])
    times.withLock { $0 = [] }
    _ = try await exchange(link, PeerDocument(topic: "t", body: body))
    #expect(times.withLock { $0 } == [30, 660, 30])
  }

  @Test("The end of a connection lets go whoever waits, and nobody else")
  func endOfConnection() async throws {
    let gate = Gate()
    let desk = desk(gate)
    let (ended, other) = (DeskLink(desk), DeskLink(desk))
    let waiting = [ended, other].map { link in
      Task { () throws(ReplError) -> [UInt8] in try await exchange(link, PeerDocument(topic: "t", body: [7])) }
    }
    await gate.waitForQuestions(2)
    ended.connection.stop()
    await #expect(throws: ReplError.self) { try await waiting[0].value }
    await gate.open()
    #expect(try await waiting[1].value == [7])
  }

  /// Answers once it is open.
  private actor Gate: PeerDocumentResponder {
    private var isOpen = false
    private var questions = 0
    private var waiting: [CheckedContinuation<Void, Never>] = []
    private var watchers: [(Int, CheckedContinuation<Void, Never>)] = []

    func answer(_ document: PeerDocument, from cluster: String) async throws(ReplError) -> [UInt8] {
      questions += 1
      for (count, watcher) in watchers where count <= questions { watcher.resume() }
      watchers.removeAll { $0.0 <= questions }
      if !isOpen { await withCheckedContinuation { waiting.append($0) } }
      return document.body
    }

    func waitForQuestions(_ count: Int) async {
      if questions < count { await withCheckedContinuation { watchers.append((count, $0)) } }
    }

    func open() {
      isOpen = true
      for continuation in waiting { continuation.resume() }
      waiting = []
    }
  }
}
