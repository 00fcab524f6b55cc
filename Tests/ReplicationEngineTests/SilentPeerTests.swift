import ReplModel
import Synchronization
import Testing
import Threads
import WireProtocol
import WireTransport

@testable import ReplicationEngine

/// A peer that is connected and does not answer.
@Suite struct SilentPeerTests {
  private let east: TrustedSite
  private let west: TrustedSite

  init() throws {
    (east, west) = (try TrustedSite("east"), try TrustedSite("west"))
    try east.pin(west)
    try west.pin(east)
  }

  @Test(
    "its connection ends when no byte has come for a while, with what is asked over it; the next request connects anew",
    .timeLimit(.minutes(1)))
  func silence() async throws {
    let hello = ControlReply.hello(Hello(of: west.configuration)).encode()
    let greeted = Monitor(0)
    let held = Monitor(false)
    let listener = try TLSListener(
      address: "127.0.0.1", port: 0, settings: west.settings(.server), log: { _, _ in }
    ) { connection in
      let channel = try? FrameChannel(connection: connection) { (request) throws(ReplError) in
        if request.type == FrameType.hello.rawValue {
          greeted.change { $0 += 1 }
          return .reply(flags: hello.flags, body: hello.body)
        }
        _ = held.wait { $0 ? () : nil }
        throw ReplError(.transient, subject: "test", cause: "the test is over")
      }
      channel?.waitUntilClosed()
    }
    defer {
      held.change { $0 = true }
      listener.stop()
    }
    let link = east.connection(to: "west", port: listener.boundPort, silence: .milliseconds(100))
    for attempt in 1...2 {
      let kind = try await runOnThread("test") { () throws(ReplError) -> ReplError.Kind? in
        do throws(ReplError) {
          // Far longer than the silence: it is that which ends it.
          _ = try link.request(ControlRequest.heartbeat(Heartbeat(sentAt: Timestamp(nanoseconds: 1))), timeout: 3600)
          return nil
        } catch { return error.kind }
      }
      #expect(kind == .transient)
      #expect(greeted.look { $0 } == attempt)
    }
    link.end(ReplError(.transient, subject: "peer", cause: "the test is over"))
  }
}
