public import ReplModel

/// Something in a pool that is not as the agent left it: it is left alone and told of, and keeps nothing else from its
/// service.
public struct SkippedEntry: Hashable, Sendable, CustomStringConvertible {
  public var path: String
  public var cause: String

  public init(_ path: String, _ cause: String) {
    self.path = path
    self.cause = cause
  }

  public var description: String { "\(path) \(cause)" }
}

extension [SkippedEntry] {
  /// Does a step for one entry; what goes wrong is noted, and the next one has its turn.
  mutating func attempt(_ path: String, _ body: () throws(ReplError) -> Void) {
    do throws(ReplError) { try body() } catch { append(SkippedEntry(path, "\(error.cause)")) }
  }
}
