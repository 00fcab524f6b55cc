import ReplModel
import Threads
import WireProtocol

/// Answers what peers ask of this agent once they are known, whatever brought the request. Any thread may call.
struct InboundRequests: Sendable {
  let service: TargetService
  let documents: DocumentDesk
  let repairs: RepairBoard
  let heardClocks: HeardClocks
  let clock: any EngineClock

  /// - Parameters:
  ///   - agreement: what the hellos of the peer's connection came to.
  ///   - bridge: where its documents are worked on, for as long as its connection lasts.
  func answer(
    _ request: ControlRequest, from peer: String, agreement: StreamAgreement, documents bridge: AsyncBridge
  ) -> ControlReply {
    let arrived = clock.now()
    switch request {
    case .heartbeat(let heartbeat):
      heardClocks.heard(heartbeat.sentAt, from: peer, clock: clock)
      return .heartbeat(
        HeartbeatReply(
          sentAt: heartbeat.sentAt, receivedAt: arrived, repliedAt: clock.now(),
          repairWanted: repairs.isWanted(from: peer)))
    case .sendDocument(let part):
      return service.refusing { () throws(ReplError) in
        try service.rooms.requireStateRoom()
        return .sendDocument(try documents.take(part, from: peer, over: bridge))
      }
    case .fetchAnswer(let part):
      return service.refusing { () throws(ReplError) in .fetchAnswer(try documents.fetch(part, from: peer)) }
    default: return service.handle(request, from: peer, agreement: agreement)
    }
  }
}
