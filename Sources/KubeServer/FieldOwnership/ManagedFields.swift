import APIModel
import KubeModel

/// Who owns which fields of an object: its `metadata.managedFields`.
struct ManagedFields: Hashable, Sendable {
  enum Operation: String, Sendable {
    case apply = "Apply"
    case update = "Update"
  }

  /// What tells entries apart. One manager has one entry for what it applied and one for each version it updated in.
  struct Key: Hashable, Sendable {
    var manager: String
    var operation: Operation
    /// Empty for what was applied.
    var apiVersion: String
    var subresource: String

    init(_ manager: FieldManager, _ operation: Operation, apiVersion: String) {
      self.manager = manager.name
      self.operation = operation
      self.apiVersion = operation == .apply ? "" : apiVersion
      subresource = manager.subresource
    }
  }

  struct Entry: Hashable, Sendable {
    var apiVersion: String
    /// RFC 3339; nil when it is not known.
    var time: String?
    var fields: FieldSet
  }

  /// No entry is without fields.
  private(set) var entries: [Key: Entry] = [:]

  init() {}

  var isEmpty: Bool { entries.isEmpty }

  /// The entry of a key; one without fields is removed.
  subscript(_ key: Key) -> Entry? {
    get { entries[key] }
    set { entries[key] = newValue?.fields.isEmpty == false ? newValue : nil }
  }

  /// Takes fields from all entries but one.
  mutating func take(_ fields: FieldSet, except key: Key? = nil) {
    guard !fields.isEmpty else { return }
    for (other, entry) in entries where other != key {
      var left = entry
      left.fields = entry.fields.subtracting(fields)
      self[other] = left
    }
  }

  /// Forgets what was written in other versions: nobody reads those any more.
  mutating func keep(apiVersion: String) { entries = entries.filter { $0.value.apiVersion == apiVersion } }

  /// Whether the same fields have the same owners, whenever they were written.
  func hasSameOwners(as other: ManagedFields) -> Bool {
    entries.count == other.entries.count
      && entries.allSatisfy { key, entry in
        other.entries[key].map { $0.fields == entry.fields && $0.apiVersion == entry.apiVersion } ?? false
      }
  }

  /// The number of updating managers kept apart.
  private static let maximumUpdaters = 10
  private static let ancient = FieldManager("ancient-changes")

  /// Puts the oldest updates together when there are too many, so that the list cannot grow without bound.
  mutating func cap() {
    var updaters = entries.filter { $0.key.operation == .update }.sorted {
      ($0.value.time ?? "", $0.key.manager, $0.key.subresource) < (
        $1.value.time ?? "", $1.key.manager, $1.key.subresource
      )
    }[...]
    guard updaters.count > Self.maximumUpdaters else { return }
    while updaters.count >= Self.maximumUpdaters, let (key, entry) = updaters.popFirst() {
      let bucket = Key(Self.ancient, .update, apiVersion: entry.apiVersion)
      self[key] = nil
      let fields = entry.fields.union(self[bucket]?.fields ?? FieldSet())
      self[bucket] = Entry(apiVersion: entry.apiVersion, time: entry.time, fields: fields)
    }
  }
}

// The JSON form.
extension ManagedFields {
  /// Reads the list of an object; nil when an entry is damaged.
  init?(json: JSONValue?) {
    for item in json?.array ?? [] {
      guard let operation = Operation(rawValue: item["operation"]?.string ?? ""),
        let apiVersion = item["apiVersion"]?.string, !apiVersion.isEmpty, item["fieldsType"] == "FieldsV1",
        let fields = FieldSet(json: item["fieldsV1"] ?? [:])
      else { return nil }
      let manager = FieldManager(item["manager"]?.string ?? "", subresource: item["subresource"]?.string ?? "")
      let time = item["time"]?.string
      self[Key(manager, operation, apiVersion: apiVersion)] = Entry(apiVersion: apiVersion, time: time, fields: fields)
    }
  }

  /// The list of an object; nil when there is nothing to say.
  var json: JSONValue? {
    guard !entries.isEmpty else { return nil }
    let ordered = entries.sorted {
      Self.order($0.key, $0.value).lexicographicallyPrecedes(Self.order($1.key, $1.value))
    }
    return .array(ordered.map { Self.json($0.key, $0.value) })
  }

  private static func order(_ key: Key, _ entry: Entry) -> [String] {
    [key.operation.rawValue, entry.time ?? "", key.manager, entry.apiVersion, key.subresource]
  }

  private static func json(_ key: Key, _ entry: Entry) -> JSONValue {
    var json: JSONValue = [
      "manager": .string(key.manager), "operation": .string(key.operation.rawValue),
      "apiVersion": .string(entry.apiVersion), "fieldsType": "FieldsV1", "fieldsV1": entry.fields.json,
    ]
    if let time = entry.time { json["time"] = .string(time) }
    if !key.subresource.isEmpty { json["subresource"] = .string(key.subresource) }
    return json
  }

  /// Whether a client asks to forget all owners: an empty list, or one of an empty entry.
  static func isReset(_ json: JSONValue?) -> Bool { json == .array([]) || json == .array([.object([:])]) }
}
