import APIModel

/// The events of one watch request: which changes concern it and how they are written.
struct WatchStream: Sendable {
  var query: ListQuery
  var table: TableWriter?
  /// Objects sent as ADDED before anything else.
  var initial: [KubeObject]
  /// Version the initial objects stand for; a bookmark with this version follows them if asked for.
  var initialBookmark: Int64?
  var bookmarks: Bool
  /// When the server ends the stream.
  var seconds: Int64
  var watch: ObjectWatch

  /// The lines that come first.
  func opening() -> [UInt8] {
    var lines = initial.flatMap { line("ADDED", $0) }
    if let initialBookmark {
      lines += bookmark(initialBookmark, annotations: ["k8s.io/initial-events-end": "true"])
    }
    return lines
  }

  /// The lines of some changes; empty when none of them concerns this watch.
  func lines(_ changes: [StoreChange]) -> [UInt8] {
    changes.flatMap { change -> [UInt8] in
      guard let (type, object) = Self.event(change, query) else { return [] }
      return line(type, object)
    }
  }

  /// What a change looks like through a selection: an object that stops matching is deleted, in its old state with the
  /// new version; one that starts matching is added.
  static func event(_ change: StoreChange, _ query: ListQuery) -> (type: String, object: KubeObject)? {
    guard change.resource == query.kind.resource else { return nil }
    let before = change.old.map(query.matches) ?? false
    let after = change.action != .deleted && query.matches(change.object)
    switch (before, after) {
    case (false, false): return nil
    case (false, true): return ("ADDED", change.object)
    case (true, true): return ("MODIFIED", change.object)
    case (true, false):
      var last = change.old ?? change.object
      last[metadata: "resourceVersion"] = .string(String(change.version))
      return ("DELETED", last)
    }
  }

  /// A bookmark line.
  func bookmark(_ version: Int64, annotations: [String: JSONValue] = [:]) -> [UInt8] {
    var metadata: JSONValue = ["resourceVersion": .string(String(version))]
    if !annotations.isEmpty { metadata["annotations"] = .object(annotations) }
    if let table {
      return Self.line("BOOKMARK", table.table([], metadata: metadata))
    }
    return Self.line(
      "BOOKMARK",
      ["apiVersion": .string(query.kind.apiVersion), "kind": .string(query.kind.kind), "metadata": metadata])
  }

  /// An error line; the stream ends after it.
  func failure(_ error: StatusError) -> [UInt8] { Self.line("ERROR", error.json) }

  private func line(_ type: String, _ object: KubeObject) -> [UInt8] {
    if let table {
      let metadata: JSONValue = ["resourceVersion": .string(object.resourceVersion)]
      return Self.line(type, table.table([object], metadata: metadata))
    }
    return Self.line(type, object.json)
  }

  private static func line(_ type: String, _ object: JSONValue) -> [UInt8] {
    JSONWriter.bytes(["type": .string(type), "object": object]) + [0x0A]
  }
}
