public import APIModel
public import KubeModel
import GRDB
import Glibc
public import ReplModel

/// API objects in SQLite: one transaction for each write, durable before it is answered.
///
/// Work runs on the database's own queues, never on the cooperative pool. Changes are published in the order of their
/// commits, on the queue of the writer.
public final class SQLiteObjectStore: ObjectStore {
  private let pool: DatabasePool
  private let hub: WatchHub
  private let sharedTexts = SharedTexts()
  private let registry: ResourceRegistry
  /// Seconds since 1970.
  private let clock: @Sendable () -> Int64
  /// Ends names of which only the beginning was given.
  private let suffix: @Sendable () -> String

  /// Opens or makes the database at `path`; a schema of an older version is upgraded, a newer one refused.
  public convenience init(
    path: String, registry: ResourceRegistry, clock: @escaping @Sendable () -> Int64 = systemSeconds
  ) throws(ReplError) {
    try self.init(path: path, registry: registry, clock: clock, schema: .current, journal: 8_192)
  }

  init(
    path: String, registry: ResourceRegistry, clock: @escaping @Sendable () -> Int64, schema: StoreSchema, journal: Int,
    suffix: @escaping @Sendable () -> String = GeneratedName.suffix
  ) throws(ReplError) {
    self.registry = registry
    self.clock = clock
    self.suffix = suffix
    do {
      pool = try Self.open(path)
      try schema.upgrade(pool, path: path)
      let version = try pool.read { try Int64.fetchOne($0, sql: "SELECT version FROM counter") ?? 0 }
      hub = WatchHub(version: version, maximumEntries: journal)
    } catch let error as ReplError {
      throw error
    } catch {
      throw ReplError(.io, subject: "database \(path)", cause: "\(error)")
    }
  }

  private static func open(_ path: String) throws -> DatabasePool {
    var configuration = Configuration()
    configuration.busyMode = .timeout(5)
    configuration.label = "control-plane"
    // Made before SQLite does, so that tokens in objects are never readable by others.
    let descriptor = Glibc.open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else {
      throw ReplError(
        .io, subject: "database \(path)", cause: String(cString: strerror(errno)),
        remedy: "check that the state directory exists and is writable")
    }
    Glibc.close(descriptor)
    let pool = try DatabasePool(path: path, configuration: configuration)
    // The pool sets NORMAL together with WAL; a decision is told only after it is durable, so this must be FULL.
    let synchronous = try pool.writeWithoutTransaction { db in
      try db.execute(sql: "PRAGMA synchronous = FULL")
      return try Int.fetchOne(db, sql: "PRAGMA synchronous")
    }
    let journal = try pool.writeWithoutTransaction { try String.fetchOne($0, sql: "PRAGMA journal_mode") }
    guard synchronous == 2, journal == "wal" else {
      throw ReplError(
        .bug, subject: "database \(path)",
        cause: "synchronous is \(synchronous ?? -1) and journal_mode \(journal ?? "unknown") instead of FULL and wal")
    }
    return pool
  }

  /// Ends all watches and closes the database. Nothing may be called afterwards.
  public func close() {
    hub.finish()
    try? pool.close()
  }

  /// Ends all watches, so that connections can drain.
  func endWatches() { hub.finish() }

  /// How many watches are open.
  public var openWatches: Int { hub.readers }

  // Reads and writes with database errors in the API's words.
  private func read<Value: Sendable>(_ body: @escaping @Sendable (Database) throws -> Value)
    async throws(StatusError) -> Value
  {
    do { return try await pool.read(body) } catch { throw Self.status(error) }
  }

  private func write<Value: Sendable>(dryRun: Bool, _ body: @escaping @Sendable (StoreWriter) throws -> Value)
    async throws(StatusError) -> Value
  {
    let (registry, hub, suffix, now) = (registry, hub, suffix, clock())
    do {
      return try await pool.writeWithoutTransaction { db in
        let writer = StoreWriter(db: db, registry: registry, now: now, dryRun: dryRun, suffix: suffix)
        var result: Value?
        try db.inTransaction(.immediate) {
          result = try body(writer)
          return dryRun || writer.changes.isEmpty ? .rollback : .commit
        }
        if !dryRun { hub.publish(writer.changes) }
        guard let result else { throw StatusError(500, "InternalError", "the transaction gave no result") }
        return result
      }
    } catch { throw Self.status(error) }
  }

  private static func status(_ error: any Error) -> StatusError {
    if let status = error as? StatusError { return status }
    if let database = error as? DatabaseError, database.resultCode == .SQLITE_FULL {
      return StatusError(
        507, "InsufficientStorage", "no room for the object database",
        causes: [StatusError.Cause(reason: "Remedy", message: "free space in the state directory")])
    }
    return StatusError(500, "InternalError", "object database: \(error)")
  }
}

/// Seconds since 1970 by the system's clock.
@Sendable public func systemSeconds() -> Int64 { Int64(time(nil)) }

extension SQLiteObjectStore {
  public func get(_ kind: ResourceKind, namespace: String, name: String) async throws(StatusError) -> KubeObject {
    try await read { db in
      guard let object = try StoreWriter.fetch(db, kind, namespace: namespace, name: name) else {
        throw kind.notFound(name)
      }
      return object
    }
  }

  public func list(_ query: ListQuery) async throws(StatusError) -> ObjectList {
    try await read { db in
      var list = ObjectList(items: [], version: try Self.version(db), more: false)
      list.more = try Self.select(db, query) { text, object in
        list.items.append(try object ?? text.decoded())
      }
      return list
    }
  }

  public func texts(_ query: ListQuery) async throws(StatusError) -> TextList {
    try await read { [sharedTexts] db in
      var list = TextList(items: [], version: try Self.version(db), more: false)
      list.more = try Self.select(db, query) { object, _ in
        var object = object
        object.text = sharedTexts.share(object.text, of: "\(query.kind.resource)/\(object.namespace)/\(object.name)")
        list.items.append(object)
      }
      return list
    }
  }

  private static func version(_ db: Database) throws -> Int64 {
    try Int64.fetchOne(db, sql: "SELECT version FROM counter") ?? 0
  }

  /// Hands out the selected objects, decoded where the selection looked into them; whether more follow.
  private static func select(_ db: Database, _ query: ListQuery, _ body: (ObjectText, KubeObject?) throws -> Void)
    throws
    -> Bool
  {
    let (sql, arguments) = statement(query)
    let rows = try Row.fetchCursor(db, sql: sql, arguments: arguments)
    var (count, bytes) = (0, 0)
    while let row = try rows.next() {
      let document = try row.decode(String.self, atIndex: 2)
      let object = query.looksInside ? try StoreWriter.decode(document) : nil
      if let object, !query.matches(object) { continue }
      if (query.limit > 0 && count == query.limit) || (count > 0 && bytes >= query.maximumBytes) { return true }
      let (namespace, name) = (try row.decode(String.self, atIndex: 0), try row.decode(String.self, atIndex: 1))
      try body(ObjectText(namespace: namespace, name: name, text: Array(document.utf8)), object)
      count += 1
      bytes += document.utf8.count
    }
    return false
  }

  private static func statement(_ query: ListQuery) -> (String, StatementArguments) {
    var sql = "SELECT namespace, name, document FROM objects WHERE resource = ?"
    var arguments: StatementArguments = [query.kind.resource]
    if let namespace = query.namespace {
      sql += " AND namespace = ?"
      arguments += [namespace]
    }
    if let name = query.fields.name {
      sql += " AND name = ?"
      arguments += [name]
    }
    if let after = query.after {
      sql += " AND (namespace, name) > (?, ?)"
      arguments += [after.namespace, after.name]
    }
    return (sql + " ORDER BY namespace, name", arguments)
  }

  public func create(_ kind: ResourceKind, _ object: KubeObject, dryRun: Bool, tracking: FieldTracking)
    async throws(StatusError) -> KubeObject
  {
    try await write(dryRun: dryRun) { writer in
      try writer.create(kind, object, tracking)
    }
  }

  public func update(
    _ kind: ResourceKind, namespace: String, name: String, part: ObjectPart, dryRun: Bool,
    tracking: FieldTracking, change: @escaping @Sendable (KubeObject) throws(StatusError) -> KubeObject
  ) async throws(StatusError) -> KubeObject {
    try await write(dryRun: dryRun) { writer in
      try writer.update(kind, namespace: namespace, name: name, part: part, tracking, change: change)
    }
  }

  public func delete(_ kind: ResourceKind, namespace: String, name: String, options: DeleteOptions)
    async throws(StatusError) -> DeleteOutcome
  {
    try await write(dryRun: options.dryRun) { writer in
      try writer.delete(kind, namespace: namespace, name: name, options: options)
    }
  }

  public func watch(after version: Int64?) async throws(StatusError) -> ObjectWatch {
    if let version { return ObjectWatch(hub: hub, after: version) }
    let current = try await read { try Int64.fetchOne($0, sql: "SELECT version FROM counter") ?? 0 }
    return ObjectWatch(hub: hub, after: current)
  }
}
