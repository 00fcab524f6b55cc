import APIModel
import KubeModel
import Logging
import AgentService

/// Something to tell about an object.
struct EventNote: Hashable, Sendable {
  var warning: Bool
  var reason: String
  var message: String
}

/// Writes Event objects, with the aggregation people know from clusters: equal events count up, many similar ones
/// become one, and a flood is cut off.
actor EventRecorder {
  /// What an event is about. Not all have a uid: what the engine tells of a claim comes with its name only, and none of
  /// them may share anything with another.
  private struct Subject: Hashable {
    var kind: String
    var namespace: String
    var name: String
    var uid: String

    init(_ object: ObjectReference) {
      (kind, namespace, name, uid) = (object.kind, object.namespace, object.name, object.uid)
    }
  }

  /// What shares a bucket: the events of one object, but for grave ones, which noise of the same object does not hide.
  private struct Source: Hashable {
    var subject: Subject
    /// Empty for what is not grave.
    var reason: String
  }

  private struct Key: Hashable {
    var subject: Subject
    var type: String
    var reason: String
    var message: String
  }

  private struct Similar {
    var messages: Set<String> = []
    var last: Int64 = 0
  }

  private struct Bucket {
    var tokens: Double
    var at: Int64
  }

  private let store: any KubeStore
  private let logger: Logger
  private let clock: @Sendable () -> Int64
  /// Name and count of the event that stands for a key.
  private var known: [Key: (name: String, count: Int64)] = [:]
  private var similar: [Key: Similar] = [:]
  private var buckets: [Source: Bucket] = [:]
  /// Makes the names of events differ within a second; begins anywhere, so that they differ after a restart too.
  private var sequence = UInt64.random(in: 0..<1_000_000_000)

  private static let burst = 25.0
  private static let secondsPerToken = 300.0
  private static let similarLimit = 10
  private static let similarGap: Int64 = 600
  /// Seconds after which an event that did not repeat is removed.
  static let lifetime: Int64 = 3_600
  /// Entries of each table before all are forgotten; an event after that is a new one, which is harmless.
  private static let tableLimit = 4_096

  init(store: any KubeStore, logger: Logger, clock: @escaping @Sendable () -> Int64) {
    self.store = store
    self.logger = logger
    self.clock = clock
  }

  /// Records an event about an object. Never fails: what cannot be written is logged.
  func record(_ object: KubeObject, warning: Bool, reason: String, message: String) async {
    let reference = ObjectReference(
      kind: object.kind, namespace: object.namespace, name: object.name, uid: object.uid)
    await record(reference, apiVersion: object.apiVersion, warning: warning, reason: reason, message: message)
  }

  func record(_ object: KubeObject, _ note: EventNote) async {
    await record(object, warning: note.warning, reason: note.reason, message: note.message)
  }

  /// Records what the engine reports.
  func record(_ event: EngineEvent) async {
    let stork = ["ClusterPair", "Migration", "MigrationSchedule"].contains(event.object.kind)
    await record(
      event.object, apiVersion: stork ? "\(Stork.group)/\(Stork.version)" : "v1", warning: event.warning,
      reason: event.reason, message: event.message)
  }

  private func record(
    _ object: ObjectReference, apiVersion: String, warning: Bool, reason: String, message: String
  ) async {
    let now = clock()
    forgetIfFull()
    let type = warning ? "Warning" : "Normal"
    let text = String((await redacted(message)).prefix(1_024))
    // What a Migration did well is a line of the engine's for each volume, and not one for each object besides.
    let isRoutine = !warning && object.kind == "Migration"
    logger.log(
      level: warning ? .warning : isRoutine ? .debug : .info, "\(text)",
      metadata: ["object": "\(object.kind)/\(object.namespace)/\(object.name)", "reason": "\(reason)"])
    var key = Key(subject: Subject(object), type: type, reason: reason, message: text)
    var shown = text
    if combine(key, now: now) {
      key.message = ""
      shown = "(combined from similar events): \(text)"
    }
    // As in client-go, what the bucket holds back is counted all the same, and shows with the next one it lets through.
    if let (name, count) = known[key] { known[key] = (name, count + 1) }
    guard spend(Source(subject: key.subject, reason: EventRetention.grave.contains(reason) ? reason : ""), now: now)
    else { return }
    if let (name, count) = known[key], await bump(object, name, count: count, message: shown, now: now) { return }
    if let name = await write(object, apiVersion: apiVersion, type: type, reason: reason, message: shown, now: now) {
      known[key] = (name, 1)
    }
  }

  /// Whether an event is one too many of a kind that differs by its message only.
  private func combine(_ key: Key, now: Int64) -> Bool {
    var group = key
    group.message = ""
    var entry = similar[group] ?? Similar()
    if now - entry.last > Self.similarGap { entry.messages = [] }
    entry.last = now
    let combined = !entry.messages.contains(key.message) && entry.messages.count >= Self.similarLimit - 1
    if !combined { entry.messages.insert(key.message) }
    similar[group] = entry
    return combined
  }

  /// A burst, then one per five minutes, for new events and repeated ones alike.
  private func spend(_ source: Source, now: Int64) -> Bool {
    var bucket = buckets[source] ?? Bucket(tokens: Self.burst, at: now)
    // A clock that went back takes nothing away.
    bucket.tokens = min(Self.burst, bucket.tokens + Double(max(0, now - bucket.at)) / Self.secondsPerToken)
    bucket.at = now
    defer { buckets[source] = bucket }
    guard bucket.tokens >= 1 else { return false }
    bucket.tokens -= 1
    return true
  }

  private func forgetIfFull() {
    if known.count > Self.tableLimit { known = [:] }
    if similar.count > Self.tableLimit { similar = [:] }
    if buckets.count > Self.tableLimit { buckets = [:] }
  }

  private static func namespace(_ object: ObjectReference) -> String {
    object.namespace.isEmpty ? "default" : object.namespace
  }

  private func bump(_ object: ObjectReference, _ name: String, count: Int64, message: String, now: Int64) async -> Bool
  {
    let updated = try? await store.patch(
      .event, namespace: Self.namespace(object), name: name,
      merge: [
        "count": .integer(count), "lastTimestamp": .string(Timestamp.text(now)), "message": .string(message),
      ])
    return updated != nil
  }

  private func write(
    _ object: ObjectReference, apiVersion: String, type: String, reason: String, message: String, now: Int64
  ) async -> String? {
    sequence += 1
    let nanoseconds = UInt64(max(0, now)) * 1_000_000_000 + sequence % 1_000_000_000
    let digits = String(nanoseconds, radix: 16)
    let suffix = String(repeating: "0", count: max(0, 16 - digits.count)) + digits
    var event = ResourceKind.event.object(
      namespace: Self.namespace(object), name: "\(object.name.prefix(230)).\(suffix)")
    let stamp = JSONValue.string(Timestamp.text(now))
    let values: [String: JSONValue] = [
      "involvedObject": [
        "kind": .string(object.kind), "namespace": .string(object.namespace), "name": .string(object.name),
        "uid": .string(object.uid), "apiVersion": .string(apiVersion),
      ], "reason": .string(reason), "message": .string(message), "type": .string(type), "count": 1,
      "source": ["component": "stork"], "firstTimestamp": stamp, "lastTimestamp": stamp, "eventTime": .null,
      "reportingComponent": "stork", "reportingInstance": "",
    ]
    for (field, value) in values { event.json[field] = value }
    do {
      return try await store.create(.event, event).name
    } catch {
      // The namespace is going or gone; there is nobody left to read it.
      logger.debug("event not written", metadata: ["error": "\(error.message)"])
      return nil
    }
  }

  /// A message without the secrets of any ClusterPair.
  private func redacted(_ message: String) async -> String {
    guard let pairs = try? await store.list(.clusterPair) else { return message }
    return pairs.items.reduce(message) { PairConfig.redacted($0, $1) }
  }

  /// Removes events that did not repeat for their lifetime, and those that are too many.
  func prune(limit: Int = 10_000) async {
    guard let page = try? await store.list(.event) else { return }
    for event in EventRetention.removed(page.items, limit: limit, now: clock()) {
      _ = try? await store.delete(.event, namespace: event.namespace, name: event.name, options: DeleteOptions())
    }
  }
}

/// Which events go when there are too many. Pure.
///
/// The objects with the most events give theirs first, each its ordinary ones before its warnings and the oldest first: who
/// makes noise about many things, or much about one, hides nothing of what others have to tell.
enum EventRetention {
  private struct Entry {
    var event: KubeObject
    var last: Int64
    /// 0: told in passing, 1: a warning, 2: what somebody has to know about data or trust.
    var weight: Int
  }

  /// Reasons that never give way to others, whoever makes noise about how many things.
  static let grave: Set<String> = [
    "PointDamaged", "PointUnreadable", "PointSuspect", "PointsSuspect", "SealMismatch", "MissedChange", "RepairFailed",
    "BaseLost", "BaseMismatch", "HistoryWentBackwards", "VolumeReplaced", "PoolFault", "StateDirectoryFault",
    "TrustEnded",
  ]

  static func removed(_ events: [KubeObject], limit: Int, now: Int64) -> [KubeObject] {
    let entries = events.map { event in
      Entry(
        event: event, last: Timestamp.seconds(event.json["lastTimestamp"]?.string ?? "") ?? event.created ?? now,
        weight: grave.contains(event.json["reason"]?.string ?? "") ? 2 : event.json["type"] == "Warning" ? 1 : 0)
    }
    let old = entries.filter { now - $0.last > EventRecorder.lifetime }.map(\.event)
    let kept = entries.filter { now - $0.last <= EventRecorder.lifetime }
    guard kept.count > limit else { return old }
    // The place of each event among those of its object, the ones to keep longest first.
    let ranked = Dictionary(grouping: kept) { subject($0.event) }.values.flatMap { group in
      group.sorted { ($0.weight, $0.last) > ($1.weight, $1.last) }.enumerated()
        .map { (rank: $0.element.weight == 2 ? 0 : $0.offset, entry: $0.element) }
    }
    let order = ranked.sorted { first, second in
      (first.rank, -first.entry.weight, -first.entry.last) < (second.rank, -second.entry.weight, -second.entry.last)
    }
    return old + order.dropFirst(limit).map(\.entry.event)
  }

  private static func subject(_ event: KubeObject) -> JSONValue {
    let involved = event.json["involvedObject"] ?? .null
    return .array(["kind", "namespace", "name", "uid"].map { involved[$0] ?? .null })
  }
}
