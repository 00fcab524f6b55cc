import APIModel
import ReplModel

/// An object in the layout of `kubectl describe`.
enum Description {
  /// The text; `now` in seconds since 1970 is for the ages of events.
  static func text(_ object: JSONValue, events: [JSONValue], now: Int64) -> String {
    var lines: [String] = []
    lines.append(pair("Name", Field.text(object, "metadata.name")))
    let namespace = Field.text(object, "metadata.namespace")
    if !namespace.isEmpty { lines.append(pair("Namespace", namespace)) }
    lines += map("Labels", object[at: "metadata.labels"], mark: "=")
    lines += map("Annotations", object[at: "metadata.annotations"], mark: ": ")
    lines.append(pair("API Version", Field.text(object, "apiVersion")))
    lines.append(pair("Kind", Field.text(object, "kind")))
    var metadata = object["metadata"]?.object ?? [:]
    for key in ["name", "namespace", "labels", "annotations", "managedFields"] { metadata[key] = nil }
    lines += block("Metadata", .object(metadata), level: 0)
    for (key, value) in (object.object ?? [:]).sorted(by: { $0.key < $1.key })
    where !["metadata", "apiVersion", "kind"].contains(key) {
      lines += block(title(key), value, level: 0)
    }
    // The table of events is escaped cell by cell; a value of several lines may not look like further fields.
    return (lines.map(VisibleText.escaped) + self.events(events, now: now)).joined(separator: "\n")
  }

  private static func pair(_ key: String, _ value: String) -> String {
    "\(key):" + String(repeating: " ", count: max(1, 13 - key.count)) + value
  }

  private static func map(_ key: String, _ value: JSONValue?, mark: String) -> [String] {
    let entries = (value?.object ?? [:]).sorted { $0.key < $1.key }.map { "\($0.key)\(mark)\($0.value.text ?? "")" }
    guard let first = entries.first else { return [pair(key, "<none>")] }
    return [pair(key, first)] + entries.dropFirst().map { String(repeating: " ", count: 14) + $0 }
  }

  private static func block(_ key: String, _ value: JSONValue, level: Int) -> [String] {
    let indent = String(repeating: "  ", count: level)
    switch value {
    case .object(let fields):
      return ["\(indent)\(key):"] + self.fields(fields, level: level + 1)
    case .array(let items):
      if items.allSatisfy({ $0.object == nil && $0.array == nil }) {
        return ["\(indent)\(key):"] + items.map { "\(indent)  \($0.text ?? "<nil>")" }
      }
      return ["\(indent)\(key):"] + items.flatMap { self.fields($0.object ?? ["value": $0], level: level + 1) }
    case .null: return ["\(indent)\(key):  <nil>"]
    default: return ["\(indent)\(key):  \(value.text ?? "")"]
    }
  }

  private static func fields(_ fields: [String: JSONValue], level: Int) -> [String] {
    let simple = fields.filter { $0.value.object == nil && $0.value.array == nil }
    let width = simple.keys.map { title($0).count }.max() ?? 0
    return fields.sorted { $0.key < $1.key }.flatMap { key, value -> [String] in
      guard value.object == nil, value.array == nil else { return block(title(key), value, level: level) }
      let name = title(key)
      let indent = String(repeating: "  ", count: level)
      let pad = String(repeating: " ", count: width - name.count + 2)
      return ["\(indent)\(name):\(pad)\(value.isNull ? "<nil>" : value.text ?? "")"]
    }
  }

  /// `clusterPair` as `Cluster Pair`.
  static func title(_ key: String) -> String {
    var words = ""
    var previous: Character = " "
    for character in key {
      if character.isUppercase, previous.isLowercase || previous.isNumber { words.append(" ") }
      words.append(words.isEmpty ? Character(character.uppercased()) : character)
      previous = character
    }
    return words
  }

  private static func events(_ events: [JSONValue], now: Int64) -> [String] {
    guard !events.isEmpty else { return ["Events:  <none>"] }
    func seconds(_ event: JSONValue, _ key: String) -> Int64 { Timestamp.seconds(Field.text(event, key)) ?? now }
    var table = TextTable(["  Type", "Reason", "Age", "From", "Message"])
    table.rows.append(["  ----", "------", "----", "----", "-------"])
    for event in events.sorted(by: { seconds($0, "lastTimestamp") < seconds($1, "lastTimestamp") }) {
      let count = event["count"]?.integer ?? 1
      var age = DurationText.age(now - seconds(event, "lastTimestamp"))
      if count > 1 { age += " (x\(count) over \(DurationText.age(now - seconds(event, "firstTimestamp"))))" }
      table.rows.append([
        "  " + Field.text(event, "type"), Field.text(event, "reason"), age, Field.text(event, "source.component"),
        Field.text(event, "message"),
      ])
    }
    return ["Events:", table.text]
  }
}
