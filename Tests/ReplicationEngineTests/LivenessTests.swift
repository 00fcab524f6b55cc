import ReplModel
import TestSupport
import Testing
import Threads
import WireProtocol
import WireTransport

@testable import ReplicationEngine

@Suite("A peer lives by the bytes that come from it", .timeLimit(.minutes(2)))
struct LivenessTests {
  /// A target that answers hello, heartbeats if it is told to, and nothing else, and the source's link to it.
  private struct MuteTarget {
    let link: PeerAgent
    /// One for each connection that was made.
    let hellos = BoundedQueue<Void>(capacity: 64)
    private let listener: TLSListener
    private let end = BoundedQueue<Void>(capacity: 1)

    init(answersHeartbeats: Bool, silence: Duration) throws {
      let (east, west) = (try TrustedSite("east"), try TrustedSite("west"))
      try east.pin(west)
      try west.pin(east)
      let (own, end, hellos) = (west.configuration, end, hellos)
      listener = try TLSListener(address: "127.0.0.1", port: 0, settings: west.settings(.server)) { connection in
        let channel = try? FrameChannel(connection: connection) { (request) throws(ReplError) in
          switch FrameType(rawValue: request.type) {
          case .hello:
            _ = hellos.tryPut(())
            return Self.answer(.hello(Hello(of: own)))
          case .heartbeat where answersHeartbeats:
            let now = SystemClock().now()
            return Self.answer(
              .heartbeat(HeartbeatReply(sentAt: now, receivedAt: now, repliedAt: now, repairWanted: false)))
          default:
            _ = end.take(deadline: .after(patience))
            throw ReplError(.transient, subject: "test", cause: "is over")
          }
        }
        channel?.waitUntilClosed()
      }
      link = east.connection(to: "west", port: listener.boundPort, silence: silence)
    }

    private static func answer(_ reply: ControlReply) -> FrameAnswer {
      let (flags, body) = reply.encode()
      return .reply(flags: flags, body: body)
    }

    /// Asks what is not answered, on the caller's thread.
    func ask(timeout: Double) -> ReplError? {
      do throws(ReplError) {
        _ = try link.request(.inventory(InventoryRequest(volume: VolumeID(high: 1, low: 1))), timeout: timeout)
        return nil
      } catch { return error }
    }

    func stop() {
      _ = end.closeAndDrain()
      link.end(ReplError(.transient, subject: "peer", cause: "the test is over"))
      listener.stop()
    }
  }

  @Test("what one does not answer that answers heartbeats fails after its own time, and the connection stays")
  func alive() throws {
    let target = try MuteTarget(answersHeartbeats: true, silence: patience)
    defer { target.stop() }
    _ = try target.link.heartbeat()
    #expect(target.ask(timeout: 0.1)?.kind == .transient)
    _ = try target.link.heartbeat()
    #expect(target.hellos.take(deadline: .after(patience)) != nil)
    #expect(target.hellos.take(deadline: .after(.zero)) == nil, "there was one connection")
  }

  @Test("one that sends nothing is given up long before a request's own time, and asked anew over another connection")
  func silent() throws {
    let target = try MuteTarget(answersHeartbeats: false, silence: .milliseconds(200))
    defer { target.stop() }
    for _ in 1...2 {
      let error = target.ask(timeout: 3600)
      #expect(error?.kind == .transient)
      #expect(error?.cause == "sent nothing for too long")
      #expect(target.hellos.take(deadline: .after(patience)) != nil)
    }
  }
}
