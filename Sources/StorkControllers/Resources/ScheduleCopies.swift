import APIModel
import KubeModel
import ReplModel
import AgentService

/// The copies that a peer's MigrationSchedules keep here. A copy never triggers: it tells the source whether its
/// applications run here, and is what a failover starts from.
struct ScheduleCopies: Sendable {
  enum Operation: String, Sendable {
    case state, put
  }

  var store: any KubeStore
  var cluster: String
  /// Whether a ClusterPair of this end lets the peer into the system's namespaces.
  var acceptsClusterResources: Bool

  /// Copies of one peer.
  static let limit = 1_000

  private static let subject = "document of schedules"

  func answer(_ body: [UInt8]) async throws(ReplError) -> [UInt8] {
    let json = try PeerTopic.json(body, Self.subject)
    do throws(StatusError) {
      switch json["operation"]?.string.flatMap(Operation.init) {
      case .state:
        return Self.bytes(
          try await state(namespace: json["namespace"]?.string ?? "", name: json["name"]?.string ?? ""))
      case .put:
        let schedule = KubeObject(json["schedule"] ?? .object([:]))
        try await put(schedule)
        return Self.bytes(PeerScheduleState(copy: .copy, applicationActivated: false))
      case nil: throw StatusError(400, "BadRequest", "asks for an operation this agent does not know")
      }
    } catch { throw Self.error(error) }
  }

  private static func bytes(_ state: PeerScheduleState) -> [UInt8] {
    JSONWriter.bytes([
      "version": .integer(PeerTopic.version), "copy": .string("\(state.copy)"),
      "applicationActivated": .bool(state.applicationActivated),
    ])
  }

  private static func error(_ error: StatusError) -> ReplError {
    let kind: ReplError.Kind =
      switch error.code {
      case 500...: .io
      case 400, 422: .invalid
      default: .refused
      }
    return ReplError(kind, subject: "schedule at the peer", cause: error.message)
  }

  private func state(namespace: String, name: String) async throws(StatusError) -> PeerScheduleState {
    do throws(StatusError) {
      let object = try await store.get(.migrationSchedule, namespace: namespace, name: name)
      // Of an object that it has not put here, a peer learns that there is one.
      guard isCopy(object) else { return PeerScheduleState(copy: .foreign, applicationActivated: false) }
      return PeerScheduleState(
        copy: .copy, applicationActivated: object.status["applicationActivated"]?.bool ?? false)
    } catch {
      guard error.code == 404 else { throw error }
      return PeerScheduleState(copy: .missing, applicationActivated: false)
    }
  }

  /// Whether an object is a copy that this very peer has put here.
  func isCopy(_ object: KubeObject) -> Bool {
    object.annotations[MigrationMark.staticCopy] == "true" && object.annotations[MigrationMark.origin] == cluster
      && !object.isDeleting
  }

  private func put(_ schedule: KubeObject) async throws(StatusError) {
    guard schedule.kind == ResourceKind.migrationSchedule.kind, !schedule.namespace.isEmpty, !schedule.name.isEmpty
    else { throw StatusError(400, "BadRequest", "the document holds no MigrationSchedule with namespace and name") }
    let copy = Self.copy(of: schedule, cluster: cluster)
    try ResourceApplier.checkSize(copy)
    let rules = ReceivingRules(
      cluster: cluster, acceptsClusterResources: acceptsClusterResources, namespaces: [copy.namespace])
    if let refusal = rules.namespaceRefusal(copy.namespace) { throw StatusError(403, "Forbidden", "\(refusal)") }
    if try await isFull(for: copy) {
      throw StatusError(
        403, "Forbidden", "\(cluster) has \(Self.limit) copies of schedules here: delete some that are not needed")
    }
    // Bare: labels that the peer chooses could be those that selectors of this end look for.
    let namespace = ResourceKind.namespace.object(name: copy.namespace)
    try await ResourceApplier(store: store, rules: rules).ensureNamespace(namespace)
    do throws(StatusError) {
      _ = try await store.create(.migrationSchedule, copy)
      return
    } catch {
      guard error.reason == "AlreadyExists" else { throw error }
    }
    _ = try await store.change(
      .migrationSchedule, namespace: copy.namespace, name: copy.name
    ) { old throws(StatusError) in
      guard isCopy(old) else {
        throw StatusError(
          409, "Refused",
          "a non static-copy migrationSchedule with the same name and namespace found in the remote cluster")
      }
      return Self.renewed(old, with: copy)
    }
  }

  /// Whether a copy would be one too many; one that is here already is not.
  private func isFull(for copy: KubeObject) async throws(StatusError) -> Bool {
    let copies = try await store.list(.migrationSchedule).items.filter(isCopy)
    return copies.count >= Self.limit
      && !copies.contains { $0.namespace == copy.namespace && $0.name == copy.name }
  }

  /// A schedule as it is kept at the other end: suspended, marked, without a history of its own. Pure.
  static func copy(of schedule: KubeObject, cluster: String) -> KubeObject {
    var copy = ResourceKind.migrationSchedule.object(namespace: schedule.namespace, name: schedule.name)
    copy.setMap("labels", MigrationMark.travelling(labels: schedule.labels))
    var annotations = MigrationMark.travelling(schedule.annotations)
    annotations[MigrationMark.staticCopy] = "true"
    annotations[MigrationMark.origin] = cluster
    annotations[MigrationMark.hash] = ResourceHash.text(of: schedule.spec["template"] ?? .null)
    copy.setMap("annotations", annotations)
    copy.json["spec"] = schedule.spec
    copy.json[at: "spec.suspend"] = true
    copy.json["status"] = ["items": .null, "applicationActivated": false]
    return copy
  }

  /// A copy brought up to date: what was activated here stays known. Pure.
  static func renewed(_ old: KubeObject, with copy: KubeObject) -> KubeObject {
    var new = old
    new.json["spec"] = copy.json["spec"]
    for key in ["labels", "annotations"] { new[metadata: key] = copy.metadata[key] }
    return new
  }
}
