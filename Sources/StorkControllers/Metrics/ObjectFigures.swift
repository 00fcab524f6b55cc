import APIModel
import KubeModel
import MetricsExposition
import Synchronization

/// The gauges that Stork exports, under its names, kept up to date by a watch: a scrape reads no objects.
final class ObjectFigures: MetricsCollector {
  /// What is shown of an object.
  enum Figures: Hashable, Sendable {
    case migration(schedule: String, status: Int, stage: Int, duration: Int64?)
    case schedule(types: Int)
    case pair(scheduler: Int, storage: Int)
  }

  private struct Key: Hashable {
    var resource: String
    var namespace: String
    var name: String
  }

  let name = "stork"
  private static let kinds: [ResourceKind] = [.migration, .migrationSchedule, .clusterPair]

  private let store: any KubeStore
  private let figures = Mutex<[Key: Figures]>([:])

  init(store: any KubeStore) { self.store = store }

  /// Follows the objects until the task is cancelled or the store closes.
  func run() async {
    await withTaskGroup(of: Void.self) { tasks in
      for kind in Self.kinds { tasks.addTask { await self.run(kind) } }
    }
  }

  private func run(_ kind: ResourceKind) async {
    while !Task.isCancelled {
      do {
        try await follow(kind)
        return
      } catch {
        // Changes were missed or the database failed: begin again with all objects.
        try? await Task.sleep(for: .seconds(1))
      }
    }
  }

  private func follow(_ kind: ResourceKind) async throws(StatusError) {
    let page = try await store.list(kind)
    var found: [Key: Figures] = [:]
    for object in page.items { found[Self.key(kind.resource, object)] = Self.figures(kind.resource, object) }
    figures.withLock { [found] figures in
      figures = figures.filter { $0.key.resource != kind.resource }.merging(found) { $1 }
    }
    let watch = try await store.watch(kind, after: page.version)
    while let events = try await watch.next() {
      for event in events {
        let value = event.action == .deleted ? nil : Self.figures(kind.resource, event.object)
        figures.withLock { $0[Self.key(kind.resource, event.object)] = value }
      }
    }
  }

  private static func key(_ resource: String, _ object: KubeObject) -> Key {
    Key(resource: resource, namespace: object.namespace, name: object.name)
  }

  /// What is shown of an object; nil for one of other kinds and one that is going.
  static func figures(_ resource: String, _ object: KubeObject) -> Figures? {
    guard !object.isDeleting else { return nil }
    let status = object.status
    func word(_ key: String) -> String { status[key]?.string ?? "" }
    switch resource {
    case ResourceKind.migration.resource:
      let end = object.stage == .final ? Timestamp.seconds(word("finishTimestamp")) : nil
      let owner = object.metadata["ownerReferences"]?.array?.last?["name"]?.string ?? ""
      return .migration(
        schedule: owner, status: code(object.word), stage: code(object.stage),
        duration: end.flatMap { end in object.created.map { end - $0 } })
    case ResourceKind.migrationSchedule.resource:
      return .schedule(types: status["items"]?.object?.values.count { !($0.array ?? []).isEmpty } ?? 0)
    case ResourceKind.clusterPair.resource:
      return .pair(scheduler: code(object.scheduler), storage: code(object.storage))
    default: return nil
    }
  }

  /// The place of a word among all of them.
  private static func code<Word: CaseIterable & Equatable>(_ word: Word?) -> Int {
    word.flatMap { Array(Word.allCases).firstIndex(of: $0) } ?? 0
  }

  func collect() async -> [MetricFamily]? {
    var set = MetricSet()
    let all = figures.withLock { $0 }.sorted {
      ($0.key.resource, $0.key.namespace, $0.key.name) < ($1.key.resource, $1.key.namespace, $1.key.name)
    }
    for (key, value) in all { Self.add(key, value, to: &set) }
    return set.families
  }

  private static func add(_ key: Key, _ value: Figures, to set: inout MetricSet) {
    let labels: MetricLabels = [("name", key.name), ("namespace", key.namespace)]
    switch value {
    case .migration(let schedule, let status, let stage, let duration):
      let labels = labels + [(name: "schedule", value: schedule)]
      set.add(StorkDefinitions.migrationStatus, labels, Double(status))
      set.add(StorkDefinitions.migrationStage, labels, Double(stage))
      if let duration { set.add(StorkDefinitions.migrationDuration, labels, Double(duration)) }
    case .schedule(let types): set.add(StorkDefinitions.scheduleStatus, labels, Double(types))
    case .pair(let scheduler, let storage):
      set.add(StorkDefinitions.pairScheduler, labels, Double(scheduler))
      set.add(StorkDefinitions.pairStorage, labels, Double(storage))
    }
  }
}
