import Glibc
public import GRDB
public import ReplModel

/// The agent's own SQLite database: WAL, `synchronous=FULL`, one writer. What is decided is told to a peer, a client or
/// an operator only after its commit.
public struct AgentDatabase: Sendable {
  /// Version of the schema this program writes, kept in `PRAGMA user_version`.
  public static let schemaVersion = 5
  /// Serialised access; calls block and belong on dedicated threads.
  public let queue: DatabaseQueue

  /// Opens or makes the database at `path`. Before a schema change the file is copied to `<path>.v<old>.bak`.
  ///
  /// - Parameter cluster: this agent's: versions before 5 did not record it with its own volumes.
  /// - Throws: `.refused` for a database of a newer program, `.io` for one that cannot be opened or is damaged.
  public static func open(_ path: String, cluster: String) throws(ReplError) -> AgentDatabase {
    try wrap(path) {
      // Tokens and keys are in it; the files that SQLite puts beside it get the mode of this one.
      try makePrivate(path)
      let queue = try DatabaseQueue(path: path, configuration: configuration())
      try upgrade(queue, path: path, cluster: cluster)
      return AgentDatabase(queue: queue)
    }
  }

  /// A database in memory: what was committed stays as long as the value does. For simulations.
  public static func inMemory() throws(ReplError) -> AgentDatabase {
    try wrap("in-memory database") {
      let queue = try DatabaseQueue()
      try queue.write { try Schema.create($0) }
      return AgentDatabase(queue: queue)
    }
  }

  /// Runs `body` in one transaction, durable on return.
  public func write<Value>(_ body: (Database) throws -> Value) throws(ReplError) -> Value {
    try Self.wrap("agent database") { try queue.write(body) }
  }

  /// Runs `body` on a consistent state.
  public func read<Value>(_ body: (Database) throws -> Value) throws(ReplError) -> Value {
    try Self.wrap("agent database") { try queue.read(body) }
  }

  private static func configuration() -> Configuration {
    var configuration = Configuration()
    configuration.label = "agent"
    // GRDB's own WAL set-up would choose synchronous=NORMAL, which may lose commits on a power cut.
    configuration.prepareDatabase { database in
      try database.execute(sql: "PRAGMA journal_mode = WAL")
      try database.execute(sql: "PRAGMA synchronous = FULL")
      try database.execute(sql: "PRAGMA foreign_keys = ON")
    }
    return configuration
  }

  private static func upgrade(_ queue: DatabaseQueue, path: String, cluster: String) throws {
    let found = try queue.read { try Int.fetchOne($0, sql: "PRAGMA user_version") ?? 0 }
    guard found <= schemaVersion else {
      throw ReplError(
        .refused, subject: path, cause: "has schema version \(found), this program knows \(schemaVersion)",
        remedy: "run the newer program, or restore the copy \(path).v\(schemaVersion).bak")
    }
    if found > 0, found < schemaVersion { try keepCopy(queue, to: "\(path).v\(found).bak") }
    if found < schemaVersion { try queue.write { try Schema.upgrade($0, from: found, cluster: cluster) } }
    try assertDurable(queue, path: path)
  }

  /// Makes the file with mode 0600, and gives that to one that is there.
  private static func makePrivate(_ path: String) throws {
    let descriptor = Glibc.open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw systemError(path, "cannot open") }
    defer { close(descriptor) }
    for name in [path, path + "-wal", path + "-shm"] where chmod(name, 0o600) != 0 && errno != ENOENT {
      throw systemError(name, "cannot change its mode")
    }
  }

  private static func systemError(_ path: String, _ what: String) -> ReplError {
    ReplError(.io, subject: path, cause: "\(what): \(String(cString: strerror(errno)))")
  }

  private static func keepCopy(_ queue: DatabaseQueue, to copy: String) throws {
    try makePrivate(copy)
    try queue.writeWithoutTransaction { try $0.execute(sql: "VACUUM INTO ?", arguments: [copy]) }
  }

  /// The settings are read back: a build of SQLite or a wrapper that ignores them must not go unnoticed.
  private static func assertDurable(_ queue: DatabaseQueue, path: String) throws {
    let (mode, synchronous) = try queue.read {
      (
        try String.fetchOne($0, sql: "PRAGMA journal_mode") ?? "",
        try Int.fetchOne($0, sql: "PRAGMA synchronous") ?? 0
      )
    }
    guard mode == "wal", synchronous == 2 else {
      throw ReplError(
        .io, subject: path, cause: "journal_mode=\(mode) synchronous=\(synchronous), expected wal and 2 (FULL)",
        remedy: "keep the state directory on a local file system")
    }
  }

  static func wrap<Value>(_ subject: String, _ body: () throws -> Value) throws(ReplError) -> Value {
    do {
      return try body()
    } catch let error as ReplError {
      throw error
    } catch let error as DatabaseError where error.resultCode == .SQLITE_FULL {
      throw ReplError(.noSpace, subject: subject, cause: "\(error)", remedy: "make room in the state directory")
    } catch {
      throw ReplError(.io, subject: subject, cause: "\(error)")
    }
  }
}
