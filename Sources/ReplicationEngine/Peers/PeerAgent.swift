import ReplModel
import Threads
import WireProtocol

/// The agent of a peer as this one knows it: the way to it, whether it lives, how far its clock is off. Any thread may
/// call.
final class PeerAgent: PeerLink {
  private struct State {
    var offset = ClockOffset()
    /// Why the last heartbeat was not answered; nil when it was.
    var failure: ReplError?
    /// When the peer last answered a heartbeat, by the clock that never goes back.
    var heardAt: Double?
  }

  private let transport: any PeerTransport
  private let clock: any EngineClock
  private let state = Locked(State())

  init(_ transport: any PeerTransport, clock: any EngineClock) {
    self.transport = transport
    self.clock = clock
  }

  var cluster: String { transport.cluster }
  var maxChunk: UInt32 { transport.maxChunk }
  /// Peer's clock minus ours in nanoseconds; nil before the first heartbeat.
  var clockOffset: Int64? { state.withLock { $0.offset.nanoseconds } }
  /// Whether the clocks differ so much, and so certainly, that people are to know.
  var clockDiffers: Bool { state.withLock { $0.offset.needsWarning } }
  /// Why the peer was not reached, or did not answer, the last time; nil when it did.
  var lastError: ReplError? { transport.failure ?? state.withLock { $0.failure } }

  /// Seconds since the peer last answered; nil when it never did.
  var secondsSinceHeard: Double? {
    let now = clock.ticks()
    let heard = [state.withLock { $0.heardAt }, transport.greetedAt].compactMap(\.self).max()
    return heard.map { now - $0 }
  }

  func request(_ request: ControlRequest, timeout: Double) throws(ReplError) -> ControlReply {
    try transport.request(request, timeout: timeout)
  }

  func openStream(_ begin: BeginReply, session: SessionID, ticket: StreamTicket) throws(ReplError) -> any ChunkLink {
    try transport.openStream(begin, session: session, ticket: ticket)
  }

  func move(host: String, port: UInt16) { transport.move(host: host, port: port) }

  func end(_ reason: ReplError) { transport.end(reason) }

  /// Measures the clock offset and finds out whether the peer lives. Returns whether it wants something repaired.
  func heartbeat() throws(ReplError) -> Bool {
    do throws(ReplError) {
      let reply = try ask(.heartbeat(Heartbeat(sentAt: clock.now())), timeout: Liveness.heartbeatAnswer) {
        if case .heartbeat(let reply) = $0 { reply } else { nil }
      }
      let arrived = clock.now()
      state.withLock { state in
        state.offset.record(reply, arrivedAt: arrived)
        (state.failure, state.heardAt) = (nil, clock.ticks())
      }
      return reply.repairWanted
    } catch {
      state.withLock { $0.failure = error }
      throw error
    }
  }
}
