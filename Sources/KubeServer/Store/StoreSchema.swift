import GRDB
import Glibc
import ReplModel

/// The versions of the object database and the way from each to the next.
struct StoreSchema: Sendable {
  /// The step at index n leads from version n to n + 1.
  var steps: [@Sendable (Database) throws -> Void]

  /// What this program reads and writes.
  static let current = StoreSchema(steps: [
    { db in
      try db.execute(
        sql: """
          CREATE TABLE objects (
            resource TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, uid TEXT NOT NULL UNIQUE,
            version INTEGER NOT NULL, document TEXT NOT NULL, PRIMARY KEY (resource, namespace, name)
          ) WITHOUT ROWID;
          CREATE INDEX objects_by_namespace ON objects (namespace, resource, name);
          CREATE TABLE owners (
            owner TEXT NOT NULL, dependent TEXT NOT NULL, PRIMARY KEY (owner, dependent)
          ) WITHOUT ROWID;
          CREATE TABLE counter (id INTEGER PRIMARY KEY CHECK (id = 1), version INTEGER NOT NULL);
          INSERT INTO counter VALUES (1, 1);
          """)
    }
  ])

  var version: Int { steps.count }

  /// Brings a database up to date. A copy of the old one is kept before anything is changed.
  func upgrade(_ pool: DatabasePool, path: String) throws {
    let found = try pool.read { try Int.fetchOne($0, sql: "PRAGMA user_version") ?? 0 }
    guard found != version else { return }
    guard found < version else {
      throw ReplError(
        .refused, subject: "database \(path)",
        cause: "its schema version \(found) is newer than \(version), the newest this program knows",
        remedy: "start the version that wrote it, or restore a copy named \(path).v<N>.bak")
    }
    if found > 0 { try keepCopy(pool, path: path, version: found) }
    try pool.writeWithoutTransaction { db in
      try db.inTransaction(.exclusive) {
        for step in steps[found...] { try step(db) }
        try db.execute(sql: "PRAGMA user_version = \(version)")
        return .commit
      }
    }
  }

  /// A copy under its final name is always whole: written beside it, synced, then renamed.
  private func keepCopy(_ pool: DatabasePool, path: String, version: Int) throws {
    let copy = "\(path).v\(version).bak"
    guard access(copy, F_OK) != 0 else { return }
    let part = copy + ".part"
    unlink(part)
    try pool.writeWithoutTransaction { db in try db.execute(sql: "VACUUM INTO ?", arguments: [part]) }
    chmod(part, 0o600)
    try Self.sync(part)
    guard rename(part, copy) == 0 else { throw Self.failure(copy, "rename") }
    try Self.sync(String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)]) + "/.")
  }

  private static func sync(_ path: String) throws {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw failure(path, "open") }
    defer { close(descriptor) }
    guard fsync(descriptor) == 0 else { throw failure(path, "fsync") }
  }

  private static func failure(_ path: String, _ call: String) -> ReplError {
    ReplError(.io, subject: path, cause: "\(call): \(String(cString: strerror(errno)))")
  }
}
