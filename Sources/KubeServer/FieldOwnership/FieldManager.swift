/// Who writes, as the ownership of fields has it.
public struct FieldManager: Sendable, Hashable {
  public var name: String
  /// `status` or `scale` when the write goes through that; empty for the object itself.
  public var subresource: String

  public init(_ name: String, subresource: String = "") {
    self.name = name
    self.subresource = subresource
  }

  /// This program's own controllers.
  public static let agent = FieldManager("repl-agent")
}

/// How a write takes part in the ownership of fields.
public enum FieldTracking: Sendable, Hashable {
  /// The fields that change belong to this manager afterwards, and to nobody else.
  case update(FieldManager)
  /// As by `update` with the agent's own name; what changes in the status is told apart, as if written through that
  /// subresource.
  case controller
  /// The object says in `managedFields` who owns what: it comes from server-side apply.
  case applied
  /// Nothing is noted down: for objects that only one writer ever touches, and many of them.
  case none
}
