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

  /// A snapshot that no record names, while records that cannot be read may have named it.
  public static func ofUnreadableRecord(_ directory: String) -> SkippedEntry {
    SkippedEntry(
      directory, "may be a snapshot whose record was set aside: look into table unreadable of the agent's database")
  }

  public var description: String { "\(path) \(cause)" }
}

extension Storage {
  /// ``list(_:)``, empty where there is no directory. One that cannot be listed is noted and keeps no other from its turn.
  public func names(in directory: String, _ skipped: inout [SkippedEntry]) -> [String] {
    var names: [String] = []
    skipped.attempt(directory) { () throws(ReplError) in names = try listIfPresent(directory) }
    return names
  }
}

extension [SkippedEntry] {
  /// Does a step for one entry; what goes wrong is noted, and the next one has its turn.
  public mutating func attempt(_ path: String, _ body: () throws(ReplError) -> Void) {
    do throws(ReplError) { try body() } catch { append(SkippedEntry(path, "\(error.cause)")) }
  }
}
