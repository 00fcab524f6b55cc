import APIModel
import ReplModel
import AgentService
import Synchronization

/// Recovery points as a kind that can be read and watched. Nothing is kept: the engine is asked, and what differs from
/// the last answer is what watchers see.
final class RecoveryPointStore: ObjectStore {
  private struct State {
    var objects: [PointKey: KubeObject] = [:]
    var version: Int64
    /// The reading under way, which others wait for.
    var reading: Task<Void, any Error>?
  }

  private let service: any ReplicationService
  private let hub: WatchHub
  private let state: Mutex<State>
  /// Seconds since 1970.
  private let clock: @Sendable () -> Int64

  /// Time between questions to the engine while somebody watches.
  private static let interval: Duration = .seconds(5)

  init(service: any ReplicationService, clock: @escaping @Sendable () -> Int64) {
    self.service = service
    self.clock = clock
    // Versions of another run are always smaller, so that a watch from one of them is told to begin again.
    let version = max(1, clock()) << 20
    state = Mutex(State(version: version))
    hub = WatchHub(version: version)
  }

  /// Keeps watchers up to date until the task is cancelled.
  func run() async {
    while (try? await Task.sleep(for: Self.interval)) != nil {
      // A failure is seen by those who list; watchers wait for the next time.
      if hub.readers > 0 { try? await refresh() }
    }
  }

  func endWatches() { hub.finish() }

  /// Asks the engine. Callers that come while it is being asked share that answer.
  func refresh() async throws(StatusError) {
    let task = state.withLock { state in
      if let reading = state.reading { return reading }
      let reading = Task { try await read() }
      state.reading = reading
      return reading
    }
    do { try await task.value } catch let error as StatusError { throw error } catch {
      throw StatusError(500, "InternalError", "recovery points: \(error)")
    }
  }

  private func read() async throws {
    defer { state.withLock { $0.reading = nil } }
    let wanted = try await points()
    state.withLock { state in
      let (objects, changes) = RecoveryPointObjects.changes(
        from: state.objects, to: wanted, version: state.version)
      state.objects = objects
      state.version = changes.last?.version ?? state.version
      hub.publish(changes)
    }
  }

  private func points() async throws(StatusError) -> [PointKey: KubeObject] {
    do {
      var objects: [PointKey: KubeObject] = [:]
      // A name may stand for several volumes; the engine answers with the points of all of them at once.
      for volume in Set(try await service.volumes().map { PointKey($0.namespace, $0.name) }) {
        do {
          for point in try await service.recoveryPoints(namespace: volume.namespace, name: volume.name) {
            let object = RecoveryPointObjects.object(point, of: volume)
            objects[PointKey(object)] = object
          }
        } catch  where error.kind == .notFound {
          // Gone since the volumes were listed, or one that has no points.
          continue
        }
      }
      return objects
    } catch { throw StatusError(error) }
  }
}

// Reading.
extension RecoveryPointStore {
  func get(_ kind: ResourceKind, namespace: String, name: String) async throws(StatusError) -> KubeObject {
    try await refresh()
    guard let object = state.withLock({ $0.objects[PointKey(namespace, name)] }) else { throw kind.notFound(name) }
    return RecoveryPointObjects.withLag(object, now: clock())
  }

  func list(_ query: ListQuery) async throws(StatusError) -> ObjectList {
    try await refresh()
    let (objects, version) = state.withLock { ($0.objects, $0.version) }
    let after = query.after.map { PointKey($0.namespace, $0.name) }
    let selected = objects.filter { key, object in (after.map { $0 < key } ?? true) && query.matches(object) }
    let sorted = selected.sorted { $0.key < $1.key }
    let page = query.limit > 0 ? Array(sorted.prefix(query.limit)) : sorted
    let now = clock()
    return ObjectList(
      items: page.map { RecoveryPointObjects.withLag($0.value, now: now) }, version: version,
      more: page.count < sorted.count)
  }

  func watch(after version: Int64?) async throws(StatusError) -> ObjectWatch {
    if let version { return ObjectWatch(hub: hub, after: version) }
    try await refresh()
    return ObjectWatch(hub: hub, after: state.withLock { $0.version })
  }
}

// Nothing can be written.
extension RecoveryPointStore {
  func create(_ kind: ResourceKind, _ object: KubeObject, dryRun: Bool, tracking: FieldTracking)
    async throws(StatusError) -> KubeObject
  { throw ObjectAPI.methodNotAllowed }

  func update(
    _ kind: ResourceKind, namespace: String, name: String, part: ObjectPart, dryRun: Bool,
    tracking: FieldTracking, change: @escaping @Sendable (KubeObject) throws(StatusError) -> KubeObject
  ) async throws(StatusError) -> KubeObject { throw ObjectAPI.methodNotAllowed }

  func delete(_ kind: ResourceKind, namespace: String, name: String, options: DeleteOptions)
    async throws(StatusError) -> DeleteOutcome
  { throw ObjectAPI.methodNotAllowed }
}
