public import APIModel
public import KubeModel
import Synchronization

/// A kind that can be read and watched and whose objects are nowhere kept: they are computed when somebody asks, and what
/// differs from the last answer is what watchers see.
public final class ComputedObjects: ObjectStore {
  private struct State {
    var objects: [ObjectPlace: KubeObject] = [:]
    var version: Int64
    /// The reading under way, which others wait for.
    var reading: Task<Void, any Error>?
  }

  /// Computes all objects, without versions. Called from any task.
  public typealias Source = @Sendable () async throws(StatusError) -> [KubeObject]
  /// What is shown of an object at a time in seconds since 1970: for fields that change with every second, which are no
  /// change for watchers.
  public typealias View = @Sendable (KubeObject, Int64) -> KubeObject

  let kind: ResourceKind
  private let source: Source
  private let view: View
  private let hub: WatchHub
  private let state: Mutex<State>
  /// Seconds since 1970.
  private let clock: @Sendable () -> Int64

  /// Time between computations while somebody watches.
  private static let interval: Duration = .seconds(5)

  public init(
    _ kind: ResourceKind, clock: @escaping @Sendable () -> Int64, view: @escaping View = { object, _ in object },
    source: @escaping Source
  ) {
    self.kind = kind
    self.source = source
    self.view = view
    self.clock = clock
    // Versions of another run are always smaller, so that a watch from one of them is told to begin again.
    let version = max(1, clock()) << 20
    state = Mutex(State(version: version))
    hub = WatchHub(version: version)
  }

  /// Keeps watchers up to date until the task is cancelled.
  public func run() async {
    while (try? await Task.sleep(for: Self.interval)) != nil {
      // A failure is seen by those who list; watchers wait for the next time.
      if hub.readers > 0 { try? await refresh() }
    }
  }

  func endWatches() { hub.finish() }

  /// Computes the objects. Callers that come while that is under way share its answer.
  func refresh() async throws(StatusError) {
    let task = state.withLock { state in
      if let reading = state.reading { return reading }
      let reading = Task { try await read() }
      state.reading = reading
      return reading
    }
    do { try await task.value } catch let error as StatusError { throw error } catch {
      throw StatusError(500, "InternalError", "\(kind.plural): \(error)")
    }
  }

  private func read() async throws {
    defer { state.withLock { $0.reading = nil } }
    let wanted = Dictionary(try await source().map { (ObjectPlace($0), $0) }, uniquingKeysWith: { $1 })
    state.withLock { state in
      let (objects, changes) = ComputedChanges.between(
        state.objects, wanted, resource: kind.resource, version: state.version)
      state.objects = objects
      state.version = changes.last?.version ?? state.version
      hub.publish(changes)
    }
  }
}

// Reading.
extension ComputedObjects {
  public func get(_ kind: ResourceKind, namespace: String, name: String) async throws(StatusError) -> KubeObject {
    try await refresh()
    guard let object = state.withLock({ $0.objects[ObjectPlace(namespace, name)] }) else { throw kind.notFound(name) }
    return view(object, clock())
  }

  public func list(_ query: ListQuery) async throws(StatusError) -> ObjectList {
    try await refresh()
    let (objects, version) = state.withLock { ($0.objects, $0.version) }
    let after = query.after.map { ObjectPlace($0.namespace, $0.name) }
    let selected = objects.filter { key, object in (after.map { $0 < key } ?? true) && query.matches(object) }
    let sorted = selected.sorted { $0.key < $1.key }
    let page = query.limit > 0 ? Array(sorted.prefix(query.limit)) : sorted
    let now = clock()
    return ObjectList(
      items: page.map { view($0.value, now) }, version: version, more: page.count < sorted.count)
  }

  public func watch(after version: Int64?) async throws(StatusError) -> ObjectWatch {
    if let version { return ObjectWatch(hub: hub, after: version) }
    try await refresh()
    return ObjectWatch(hub: hub, after: state.withLock { $0.version })
  }
}

// Nothing can be written.
extension ComputedObjects {
  public func create(_ kind: ResourceKind, _ object: KubeObject, dryRun: Bool, tracking: FieldTracking)
    async throws(StatusError) -> KubeObject
  { throw .methodNotAllowed }

  public func update(
    _ kind: ResourceKind, namespace: String, name: String, part: ObjectPart, dryRun: Bool,
    tracking: FieldTracking, change: @escaping @Sendable (KubeObject) throws(StatusError) -> KubeObject
  ) async throws(StatusError) -> KubeObject { throw .methodNotAllowed }

  public func delete(_ kind: ResourceKind, namespace: String, name: String, options: DeleteOptions)
    async throws(StatusError) -> DeleteOutcome
  { throw .methodNotAllowed }
}
