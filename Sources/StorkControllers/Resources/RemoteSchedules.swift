import APIModel
import KubeModel
import ReplModel
import AgentService

/// The asking end of ``ScheduleCopies``: what the peer knows of our schedules, and the copies it keeps of them.
struct RemoteSchedules: PeerSchedules {
  var service: any ReplicationService

  /// These questions are small, and a schedule must not stand still for a peer that does not answer them.
  static let limit: Duration = .seconds(10)

  func state(namespace: String, name: String, pair: ObjectReference) async throws(ReplError) -> PeerScheduleState {
    let request: JSONValue = [
      "version": .integer(PeerTopic.version), "operation": .string(ScheduleCopies.Operation.state.rawValue),
      "namespace": .string(namespace), "name": .string(name),
    ]
    let answer = try await exchange(request, pair)
    if let activated = answer["applicationActivated"], !activated.isNull, activated.bool == nil {
      throw ReplError(
        .protocolViolation, subject: "the peer's answer to a document of schedules",
        cause: "applicationActivated is not true or false")
    }
    let copy: PeerScheduleState.Copy =
      switch answer["copy"]?.string {
      case "missing": .missing
      case "copy": .copy
      default: .foreign
      }
    return PeerScheduleState(copy: copy, applicationActivated: answer["applicationActivated"]?.bool ?? false)
  }

  func put(_ schedule: KubeObject, pair: ObjectReference) async throws(ReplError) {
    _ = try await exchange(
      [
        "version": .integer(PeerTopic.version), "operation": .string(ScheduleCopies.Operation.put.rawValue),
        "schedule": schedule.json,
      ], pair)
  }

  private func exchange(_ json: JSONValue, _ pair: ObjectReference) async throws(ReplError) -> JSONValue {
    let document = PeerDocument(topic: PeerTopic.schedule, body: try PeerTopic.bytes(json))
    return try PeerTopic.json(
      try await service.exchange(document, pair: pair, limit: Self.limit),
      "the peer's answer to a document of schedules")
  }
}
