import APIModel
import KubeModel

/// The events of one watch request: which changes concern it and how they are written.
public struct WatchStream: Sendable {
  var query: ListQuery
  var form: ObjectForm
  /// Where the objects are.
  var store: any ObjectStore
  /// Whether the objects there are come first, as ADDED.
  var initial: Bool
  /// Whether a bookmark tells the end of these.
  var endOfInitial: Bool
  var bookmarks: Bool
  /// When the server ends the stream.
  var seconds: Int64
  var watch: ObjectWatch
  /// Its place among the watches that may be open; nil for one that takes none.
  var slot: WatchSlot?

  /// What a change looks like through a selection: an object that stops matching is deleted, in its old state with the
  /// new version; one that starts matching is added.
  static func event(
    _ change: StoreChange, _ query: ListQuery
  ) throws(StatusError) -> (type: String, object: ObjectText)? {
    guard change.resource == query.kind.resource else { return nil }
    let before = if let old = change.old { try query.matches(old) } else { false }
    let after = change.action == .deleted ? false : try query.matches(change.object)
    switch (before, after) {
    case (false, false): return nil
    case (false, true): return ("ADDED", change.object)
    case (true, true): return ("MODIFIED", change.object)
    case (true, false):
      guard let old = change.old, change.action != .deleted else { return ("DELETED", change.object) }
      var last = try old.decoded()
      last[metadata: "resourceVersion"] = .string(String(change.version))
      return ("DELETED", ObjectText(last, JSONWriter.bytes(last.json)))
    }
  }

  /// The line of a change, in pieces: the text is the journal's own and is not copied. Empty when it does not concern this
  /// watch.
  func line(_ change: StoreChange) throws(StatusError) -> [[UInt8]] {
    guard let (type, object) = try Self.event(change, query) else { return [] }
    return try line(type, object)
  }

  /// The line of an object that is there already.
  func line(_ object: ObjectText) throws(StatusError) -> [[UInt8]] { try line("ADDED", object) }

  /// What was written for the store is what goes out, the same for every watcher, unless another form is wanted.
  private func line(_ type: String, _ object: ObjectText) throws(StatusError) -> [[UInt8]] {
    let text = form.form == .json ? object.text : JSONWriter.bytes(form.one(try object.decoded()))
    return Self.line(type, text: text)
  }

  /// A bookmark line.
  func bookmark(_ version: Int64, annotations: [String: JSONValue] = [:]) -> [[UInt8]] {
    var metadata: JSONValue = ["resourceVersion": .string(String(version))]
    if !annotations.isEmpty { metadata["annotations"] = .object(annotations) }
    return Self.line("BOOKMARK", text: JSONWriter.bytes(form.bookmark(metadata)))
  }

  /// An error line; the stream ends after it.
  func failure(_ error: StatusError) -> [[UInt8]] { Self.line("ERROR", text: JSONWriter.bytes(error.json)) }

  private static func line(_ type: String, text: [UInt8]) -> [[UInt8]] {
    [Array("{\"type\":\"\(type)\",\"object\":".utf8), text, end]
  }

  private static let end = Array("}\n".utf8)
}
