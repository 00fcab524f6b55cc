import APIModel
import KubeModel

/// One run that a schedule has asked for.
struct ScheduleItem: Hashable, Sendable {
  /// Name of the Migration.
  var name: String
  /// When it was triggered, seconds since 1970.
  var created: Int64
  /// When its end was noticed.
  var finished: Int64?
  /// The word of the Migration's status; `Pending` until it has one.
  var status: MigrationWord

  var isActive: Bool { status == .pending || status == .inProgress }
  var isGood: Bool { status == .successful || status == .partialSuccess }
}

/// The status of a MigrationSchedule. Pure: what is written follows from what is read.
struct ScheduleStatus: Hashable, Sendable {
  /// Oldest first.
  var items: [PolicyType: [ScheduleItem]] = [:]
  /// Calendar instants that are done with, in the order in which they were settled.
  var settled: [PolicyType: [Int64]] = [:]

  /// Most items of a type: a schedule that fails every minute must not grow without end.
  static let itemLimit = 50
  /// Most settled instants of a type.
  static let settledLimit = 8

  init() {}

  init(_ object: KubeObject) {
    let settledTimes = Self.settledTimes(object)
    for type in PolicyType.allCases {
      let list = object.json[path: ["status", "items", type.rawValue]]?.array ?? []
      let read = list.compactMap { entry -> ScheduleItem? in
        guard let name = entry["name"]?.string, !name.isEmpty else { return nil }
        return ScheduleItem(
          name: name, created: Self.time(entry["creationTimestamp"]) ?? 0,
          finished: Self.time(entry["finishTimestamp"]), status: Self.word(entry["status"]))
      }
      if !read.isEmpty { items[type] = read }
      let times = (settledTimes[type.rawValue]?.array ?? []).compactMap(Self.time)
      if !times.isEmpty { settled[type] = times }
    }
  }

  /// Where settled instants are: an annotation, since typed clients write back the status with the fields they know and no
  /// others, and annotations whole.
  static let settledKey = "repl-agent/settled-triggers"
  /// Where the first versions had them.
  private static let oldSettledKey = "settledTriggers"

  private static func settledTimes(_ object: KubeObject) -> JSONValue {
    let annotation = object.annotations[settledKey].flatMap { try? JSONParser.parse($0) }
    return annotation ?? object.json[path: ["status", oldSettledKey]] ?? .null
  }

  /// A word that is none is taken for an end that went wrong: nothing waits for it.
  private static func word(_ value: JSONValue?) -> MigrationWord {
    value?.string.map { MigrationWord(rawValue: $0) ?? .failed } ?? .pending
  }

  private static func time(_ value: JSONValue?) -> Int64? { value?.string.flatMap(Timestamp.seconds) }

  /// Puts this into the status of an object; what else is there stays.
  func write(to object: inout KubeObject) {
    var status = object.status.object ?? [:]
    if status["applicationActivated"] == nil { status["applicationActivated"] = false }
    var lists: [String: JSONValue] = [:]
    for (type, list) in items where !list.isEmpty { lists[type.rawValue] = .array(list.map(Self.json)) }
    status["items"] = lists.isEmpty ? .null : .object(lists)
    var times: [String: JSONValue] = [:]
    for (type, list) in settled where !list.isEmpty {
      times[type.rawValue] = .array(list.map { .string(Timestamp.text($0)) })
    }
    status[Self.oldSettledKey] = nil
    object.json["status"] = .object(status)
    var annotations = object.annotations
    annotations[Self.settledKey] = times.isEmpty ? nil : JSONValue.object(times).compactText
    if annotations != object.annotations { object.setMap("annotations", annotations) }
  }

  private static func json(_ item: ScheduleItem) -> JSONValue {
    [
      "name": .string(item.name), "creationTimestamp": .string(Timestamp.text(item.created)),
      "finishTimestamp": item.finished.map { .string(Timestamp.text($0)) } ?? .null,
      "status": .string(item.status.rawValue),
    ]
  }

  var all: [ScheduleItem] { PolicyType.allCases.flatMap { items[$0] ?? [] } }
  var isActive: Bool { all.contains(where: \.isActive) }

  /// The run asked for last counts, not the one with the highest time: the clock may have gone back in between.
  func history(_ type: PolicyType) -> Trigger.History {
    Trigger.History(last: items[type]?.last?.created, settled: Set(settled[type] ?? []))
  }

  /// Remembers that nothing more is to be done for a calendar instant.
  mutating func settle(_ type: PolicyType, _ instant: Int64) {
    guard type != .interval, settled[type]?.contains(instant) != true else { return }
    settled[type] = Array(((settled[type] ?? []) + [instant]).suffix(Self.settledLimit))
  }

  /// What became of the Migration of an item.
  enum Finding: Hashable, Sendable {
    /// The word of its status, empty before it has one.
    case status(MigrationWord)
    case failed(String)
  }

  /// Renews the items whose Migrations were looked at; what to tell follows from what ended.
  mutating func refresh(_ findings: [String: Finding], now: Int64) -> [EventNote] {
    var told: [EventNote] = []
    for type in PolicyType.allCases {
      guard var list = items[type] else { continue }
      for index in list.indices where list[index].isActive {
        guard let finding = findings[list[index].name] else { continue }
        told += Self.renew(&list[index], finding, now: now)
      }
      items[type] = list
    }
    return told
  }

  private static func renew(_ item: inout ScheduleItem, _ finding: Finding, now: Int64) -> [EventNote] {
    switch finding {
    case .failed(let cause):
      item.status = .failed
      item.finished = now
      return [
        EventNote(
          warning: true, reason: "Failed", message: "Error getting status of migration \(item.name): \(cause)")
      ]
    case .status(let word):
      item.status = word == .none ? .pending : word
      guard !item.isActive else { return [] }
      item.finished = now
      let good = word == .successful
      return [
        EventNote(
          warning: !good, reason: good ? "Successful" : "Failed",
          message: good
            ? "Scheduled migration (\(item.name)) completed successfully"
            : "Scheduled migration (\(item.name)) status \(word.rawValue)")
      ]
    }
  }

  /// The status without the items before the last good one of each type, and the names of those.
  func pruned() -> (status: ScheduleStatus, names: [String]) {
    var result = self
    var names: [String] = []
    for (type, list) in items {
      let good = list.lastIndex(where: \.isGood) ?? 0
      let cut = max(good, list.count - Self.itemLimit)
      // One that runs is kept, however long the list.
      let drop = list.prefix(cut).filter { !$0.isActive }
      guard !drop.isEmpty else { continue }
      names += drop.map(\.name)
      result.items[type] = list.filter { !drop.contains($0) }
    }
    return (result, names.sorted())
  }
}
