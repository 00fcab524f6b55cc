import AgentService
import BlockDiff
import Logging
import ReplModel
import TestSupport
import Testing
import WireProtocol
import WireTransport

@testable import ReplicationEngine
import Threads

/// Documents over real connections: what both hellos agreed on decides.
@Suite("Documents on control connections")
struct DocumentConnectionTests {
  private struct Echo: PeerDocumentResponder {
    func answer(_ document: PeerDocument, from cluster: String) async throws(ReplError) -> [UInt8] {
      Array("\(cluster) says ".utf8) + document.body
    }
  }

  /// Works until it is let go or cancelled, and tells which.
  private struct Worker: PeerDocumentResponder {
    let begun = AsyncStream.makeStream(of: Void.self)
    let release = AsyncStream.makeStream(of: Void.self)
    let wasCancelled = Monitor<Bool?>(nil)

    func answer(_ document: PeerDocument, from cluster: String) async throws(ReplError) -> [UInt8] {
      begun.continuation.finish()
      for await _ in release.stream {}
      let cancelled = Task.isCancelled
      wasCancelled.change { $0 = cancelled }
      return []
    }
  }

  private let east: TrustedSite
  private let west: TrustedSite

  init() throws {
    east = try TrustedSite("east")
    west = try TrustedSite("west")
    try east.pin(west)
    try west.pin(east)
  }

  private func listen(_ handler: @escaping TLSListener.Handler) throws(ReplError) -> TLSListener {
    try TLSListener(
      address: "127.0.0.1", port: 0, settings: west.settings(.server), log: { _, _ in }, handler: handler)
  }

  /// The agent's own control port, with an echo for a control plane unless another is given.
  ///
  /// - Parameter storage: what the state directory lies in.
  private func agent(
    _ plane: any PeerDocumentResponder = Echo(), storage: any Storage = LinuxStorage()
  ) throws -> TLSListener {
    let documents = DocumentDesk()
    documents.answer(with: plane)
    let context = TargetContext(
      configuration: west.configuration, database: west.database, storage: storage,
      pools: PoolSet(entries: [], storage: storage), clock: SystemClock(), elapsed: .system,
      events: EventHub(), clockOffset: { _ in 0 }, background: { $0() },
      clockSteps: ClockStepWatch(clock: SystemClock()), streams: StreamBudget(capacity: 1))
    let requests = InboundRequests(
      service: TargetService(context: context), documents: documents, repairs: RepairBoard(),
      heardClocks: HeardClocks(), clock: SystemClock())
    let responder = ControlResponder(
      configuration: west.configuration, trust: west.trust, requests: requests,
      logs: ConnectionLogs(Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, ticks: { 0 }))
    return try listen { responder.serve($0) }
  }

  @Test("A document of several parts and its answer, with the sender TLS has proven")
  func exchange() async throws {
    let listener = try agent()
    defer { listener.stop() }
    let link = try east.livingConnection(to: "west", port: listener.boundPort)
    defer { link.end(ReplError(.transient, subject: "peer", cause: "the test is over")) }
    let body = [UInt8](repeating: 0x61, count: WireLimits.documentPart * 2 + 9)
    let answer = try await runOnThread("test") { () throws(ReplError) in
      try DocumentExchange(link: link).run(PeerDocument(topic: "resources", body: body))
    }
    #expect(answer == Array("east says ".utf8) + body)
  }

  @Test("While the file system of the state directory is nearly full no document is taken")
  func noRoom() async throws {
    let disk = SimulatedDisk()
    disk.capacity = 1 << 30
    let used = 64
    let file = try disk.open("/used", .createNew)
    try [UInt8](repeating: 1, count: used * 4096).withUnsafeBufferPointer {
      try file.write(UnsafeRawBufferPointer($0), at: 0)
    }
    let listener = try agent(storage: disk)
    defer { listener.stop() }
    let link = try east.livingConnection(to: "west", port: listener.boundPort)
    defer { link.end(ReplError(.transient, subject: "peer", cause: "the test is over")) }
    let ask = { @Sendable () throws(ReplError) in
      try DocumentExchange(link: link).run(PeerDocument(topic: "resources", body: [1]))
    }
    #expect(try await runOnThread("test", ask) == Array("east says ".utf8) + [1])
    disk.capacity = UInt64(used + 1) * 4096
    let error = await #expect(throws: ReplError.self) { _ = try await runOnThread("test", ask) }
    #expect(error?.kind == .noSpace)
  }

  @Test("The work on a document ends with the connection it came over")
  func endOfConnection() async throws {
    let worker = Worker()
    let listener = try agent(worker)
    defer { listener.stop() }
    let link = try east.livingConnection(to: "west", port: listener.boundPort)
    let asking = Task { () throws(ReplError) -> [UInt8] in
      try await runOnThread("test") { () throws(ReplError) in
        try DocumentExchange(link: link).run(PeerDocument(topic: "resources", body: [1]))
      }
    }
    for await _ in worker.begun.stream {}
    link.end(ReplError(.transient, subject: "peer", cause: "the test is over"))
    let cancelled = try await runOnThread("test") { () throws(ReplError) in
      worker.wasCancelled.wait(until: .after(.seconds(30))) { $0 }
    }
    #expect(cancelled == true)
    worker.release.continuation.finish()
    await #expect(throws: ReplError.self) { try await asking.value }
  }

  @Test("A peer that does not know documents is not sent any: it has to be updated")
  func olderPeer() async throws {
    let own = west.configuration
    let listener = try listen { connection in
      let channel = try? FrameChannel(connection: connection) { (request) throws(ReplError) in
        var hello = Hello(of: own)
        hello.features = 0
        guard request.type == FrameType.hello.rawValue else {
          throw ReplError(.bug, subject: "test", cause: "request \(request.type) was sent to a peer without it")
        }
        let (flags, body) = ControlReply.hello(hello).encode()
        return .reply(flags: flags, body: body)
      }
      channel?.waitUntilClosed()
    }
    defer { listener.stop() }
    let link = try east.livingConnection(to: "west", port: listener.boundPort)
    defer { link.end(ReplError(.transient, subject: "peer", cause: "the test is over")) }
    do throws(ReplError) {
      _ = try await runOnThread("test") { () throws(ReplError) in
        try DocumentExchange(link: link).run(PeerDocument(topic: "resources", body: [1]))
      }
      Issue.record("it was answered")
    } catch {
      #expect(error.kind == .unsupported)
      #expect(error.remedy == "update the peer")
    }
  }

  @Test("A client that sends a document without having announced it is cut off")
  func notAnnounced() async throws {
    let listener = try agent()
    defer { listener.stop() }
    let (settings, configuration, port) = (east.settings(.client), east.configuration, listener.boundPort)
    let kind = try await runOnThread("test") { () throws(ReplError) -> ReplError.Kind? in
      let connection = try TLSConnection.connect(host: "127.0.0.1", port: port, settings: settings)
      let channel = try FrameChannel(connection: connection)
      defer { channel.close() }
      var hello = Hello(of: configuration)
      hello.features = 0
      let greeting = ControlRequest.hello(hello).encode()
      _ = try channel.request(type: greeting.type, body: greeting.body, timeout: .seconds(30))
      let part = ControlRequest.sendDocument(
        DocumentPart(exchange: .random(), topic: "t", total: 0, index: 0, bytes: [])
      ).encode()
      do throws(ReplError) {
        _ = try channel.request(type: part.type, body: part.body, timeout: .seconds(30))
        return nil
      } catch { return error.kind }
    }
    #expect(kind == .protocolViolation)
  }

  @Test("A client that asks for anything before its hello is cut off")
  func beforeHello() async throws {
    let listener = try agent()
    defer { listener.stop() }
    let (settings, port) = (east.settings(.client), listener.boundPort)
    let error = try await runOnThread("test") { () throws(ReplError) -> ReplError? in
      let connection = try TLSConnection.connect(host: "127.0.0.1", port: port, settings: settings)
      let channel = try FrameChannel(connection: connection)
      defer { channel.close() }
      let question = ControlRequest.inventory(InventoryRequest(volume: .random())).encode()
      do throws(ReplError) {
        _ = try channel.request(type: question.type, body: question.body, timeout: .seconds(30))
        return nil
      } catch { return error }
    }
    #expect(error?.kind == .protocolViolation)
    #expect(error?.cause.contains("no place here yet") == true)
  }
}
