import APIModel
import KubeModel

/// Bounds of what is stored, whatever way it came. Pure.
enum ObjectLimits {
  static let bytes = ResourceKind.maximumBytes
  /// What the agent itself may add to an object of a user: its status, marks of deletion.
  private static let ownBytes = 1 << 20
  /// Levels of nesting.
  static let depth = JSONParser.defaultDepth
  /// Owners, finalizers and entries of managedFields of one object.
  static let entries = 1_000

  /// Refuses an object that is too large or nested too deeply. One that is no larger than it was may stay so: it must be
  /// possible to make it smaller step by step, and to delete it.
  static func check(_ object: KubeObject, old: KubeObject?, part: ObjectPart) throws(StatusError) {
    if object.json.isDeeper(than: depth + 8) {
      throw StatusError(400, "BadRequest", "the object is nested deeper than \(depth) levels")
    }
    let limit = part == .whole ? bytes + ownBytes : bytes
    let size = object.json.textSize(upTo: limit)
    guard size > limit else { return }
    if let old, old.json.textSize(upTo: .max / 2) >= object.json.textSize(upTo: .max / 2) { return }
    throw StatusError(413, "RequestEntityTooLarge", "Request entity too large: limit is \(limit)")
  }

  /// Refuses lists in metadata that every later write would have to go through.
  static func causes(_ object: KubeObject) -> [StatusError.Cause] {
    ["ownerReferences", "finalizers", "managedFields"].compactMap { key in
      let count = object.metadata[key]?.array?.count ?? 0
      guard count > entries else { return nil }
      return StatusError.Cause(
        reason: "FieldValueTooMany", message: "Too many: \(count): must have at most \(entries) items",
        field: "metadata.\(key)")
    }
  }
}
