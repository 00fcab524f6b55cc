import APIModel
import KubeModel
import GRDB

/// The rules of writing within one transaction: identity, versions, finalizers, owners, namespaces.
///
/// Lives on the writer's queue for the time of one transaction; collects what is published after the commit.
final class StoreWriter {
  let db: Database
  let registry: ResourceRegistry
  let now: Int64
  /// Nothing of this will be kept: objects get no new version.
  let dryRun: Bool
  /// Ends a name of which only the beginning was given.
  private let suffix: () -> String
  private(set) var changes: [StoreChange] = []
  /// The namespace whose contents are being deleted as a whole, which is looked at once at the end.
  var emptying: String?
  /// Objects that were removed and whose dependants, waiting owners and namespaces have not been looked at yet. A list and
  /// not calls within calls: chains of owners are as long as callers make them.
  private var removed: [(kind: ResourceKind, object: KubeObject)] = []

  init(db: Database, registry: ResourceRegistry, now: Int64, dryRun: Bool, suffix: @escaping () -> String) {
    self.db = db
    self.registry = registry
    self.now = now
    self.dryRun = dryRun
    self.suffix = suffix
  }

  static func decode(_ document: String) throws -> KubeObject {
    try ObjectText(namespace: "", name: "", text: Array(document.utf8)).decoded()
  }

  static func fetch(_ db: Database, _ kind: ResourceKind, namespace: String, name: String) throws -> KubeObject? {
    let document = try String.fetchOne(
      db, sql: "SELECT document FROM objects WHERE resource = ? AND namespace = ? AND name = ?",
      arguments: [kind.resource, kind.namespaced ? namespace : "", name])
    return try document.map(decode)
  }

  func create(_ kind: ResourceKind, _ object: KubeObject, _ tracking: FieldTracking) throws -> KubeObject {
    if kind.namespaced { try checkNamespace(kind, object) }
    var created = try named(kind, object)
    if let old = try Self.fetch(db, kind, namespace: created.namespace, name: created.name) {
      throw StatusError(
        409, "AlreadyExists",
        (old.isDeleting ? "object is being deleted: " : "") + "\(kind.resource) \"\(created.name)\" already exists",
        name: created.name, group: kind.group, kind: kind.plural)
    }
    created[metadata: "managedFields"] = FieldOwnership(kind: kind, now: now).created(created, wanted: object, tracking)
    // With what was filled in; the owners of fields can be several times as large as the fields.
    try ObjectLimits.check(created, old: nil, part: .whole)
    try store(kind, &created, old: nil)
    return created
  }

  /// The object as it will be stored. A name that the server chooses is one that nobody has, if one is found.
  private func named(_ kind: ResourceKind, _ object: KubeObject) throws -> KubeObject {
    let (rules, uid) = (ObjectRules(kind: kind), Self.uuid())
    var created = try rules.created(object, uid: uid, suffix: suffix, now: now)
    for _ in 1..<GeneratedName.attempts where object.name.isEmpty {
      guard try Self.fetch(db, kind, namespace: created.namespace, name: created.name) != nil else { break }
      created = try rules.created(object, uid: uid, suffix: suffix, now: now)
    }
    return created
  }

  func update(
    _ kind: ResourceKind, namespace: String, name: String, part: ObjectPart,
    _ tracking: FieldTracking, change: (KubeObject) throws(StatusError) -> KubeObject
  ) throws -> KubeObject {
    guard let old = try Self.fetch(db, kind, namespace: namespace, name: name) else { throw kind.notFound(name) }
    let wanted = try change(old)
    let (owners, sent) = (old.metadata["managedFields"], wanted.metadata["managedFields"])
    let rules = ObjectRules(kind: kind)
    if sent != owners { try rules.checkOwners(sent, name: name) }
    var bare = old
    bare[metadata: "managedFields"] = nil
    var result = try rules.updated(wanted, old: bare, part: part)
    result[metadata: "managedFields"] = FieldOwnership(kind: kind, now: now)
      .updated(result, old: bare, stored: owners, wanted: sent, tracking)
    guard result != old else { return old }
    try ObjectLimits.check(result, old: old, part: .whole)
    if result.isDeleting, result.finalizers.isEmpty, try !hasContents(kind, result) {
      try remove(kind, result)
      try finishRemovals()
      return result
    }
    try store(kind, &result, old: old)
    return result
  }

  func delete(_ kind: ResourceKind, namespace: String, name: String, options: DeleteOptions) throws -> DeleteOutcome {
    guard let object = try Self.fetch(db, kind, namespace: namespace, name: name) else { throw kind.notFound(name) }
    try checkPreconditions(kind, object, options)
    if kind.resource == ResourceKind.namespace.resource { try checkNotFixed(kind, name) }
    let outcome = try delete(kind, object, propagation: options.propagation ?? Self.policy(kind, object))
    try finishRemovals()
    return outcome
  }

  /// One object; what follows from its removal is left to ``finishRemovals()``.
  func delete(_ kind: ResourceKind, _ object: KubeObject, propagation: PropagationPolicy) throws
    -> DeleteOutcome
  {
    var finalizers = object.finalizers
    switch propagation {
    case .orphan: try releaseDependants(of: object)
    case .foreground:
      if try deleteDependants(of: object, blockingOnly: true), !finalizers.contains(Self.foreground) {
        finalizers.append(Self.foreground)
      }
    case .background: break
    }
    var marked = ObjectRules(kind: kind).marked(object, finalizers: finalizers, now: now)
    if kind.resource == ResourceKind.namespace.resource {
      if !object.isDeleting { try store(kind, &marked, old: object) }
      try deleteContents(of: object.name)
      guard let left = try Self.fetch(db, kind, namespace: "", name: object.name) else { return .deleted(marked) }
      return .pending(left)
    }
    guard !finalizers.isEmpty else {
      try remove(kind, object)
      return .deleted(object)
    }
    if marked != object { try store(kind, &marked, old: object) }
    return .pending(marked)
  }

  private static let foreground = "foregroundDeletion"

  /// What is done about dependants when the request does not say.
  private static func policy(_ kind: ResourceKind, _ object: KubeObject) -> PropagationPolicy {
    if object.finalizers.contains("orphan") { return .orphan }
    if object.finalizers.contains(foreground) { return .foreground }
    return kind.orphansDependants ? .orphan : .background
  }

  private func checkPreconditions(_ kind: ResourceKind, _ object: KubeObject, _ options: DeleteOptions) throws {
    let prefix = "Operation cannot be fulfilled on \(kind.qualifiedKind) \"\(object.name)\": "
    func conflict(_ text: String) -> StatusError {
      StatusError(409, "Conflict", prefix + text, name: object.name, group: kind.group, kind: kind.kind)
    }
    if let uid = options.uid, uid != object.uid {
      throw conflict(
        "the UID in the precondition (\(uid)) does not match the UID in record (\(object.uid)). "
          + "The object might have been deleted and then recreated")
    }
    if let version = options.resourceVersion, version != object.resourceVersion {
      throw conflict(
        "the ResourceVersion in the precondition (\(version)) does not match the ResourceVersion in record "
          + "(\(object.resourceVersion)). The object might have been modified")
    }
  }

  /// Writes an object under the next version and remembers the change.
  func store(_ kind: ResourceKind, _ object: inout KubeObject, old: KubeObject?) throws {
    let version = try nextVersion()
    if !dryRun { object[metadata: "resourceVersion"] = .string(String(version)) }
    let text = JSONWriter.bytes(object.json)
    let document = String(decoding: text, as: UTF8.self)
    let before = try old.flatMap { _ in try self.text(kind, object) }
    try db.execute(
      sql:
        "INSERT OR REPLACE INTO objects (resource, namespace, name, uid, version, document) VALUES (?, ?, ?, ?, ?, ?)",
      arguments: [kind.resource, object.namespace, object.name, object.uid, version, document])
    if old?.metadata["ownerReferences"] != object.metadata["ownerReferences"] { try storeOwners(object) }
    changes.append(
      StoreChange(
        action: old == nil ? .added : .modified, resource: kind.resource, object: ObjectText(object, text), old: before,
        version: version))
  }

  /// What is stored of an object now.
  private func text(_ kind: ResourceKind, _ object: KubeObject) throws -> ObjectText? {
    try String.fetchOne(
      db, sql: "SELECT document FROM objects WHERE resource = ? AND namespace = ? AND name = ?",
      arguments: [kind.resource, object.namespace, object.name]
    ).map { ObjectText(object, Array($0.utf8)) }
  }

  /// Deletes the row. What depended on it and what was waiting for it follows in ``finishRemovals()``.
  func remove(_ kind: ResourceKind, _ object: KubeObject) throws {
    let version = try nextVersion()
    let before = try text(kind, object)
    try db.execute(
      sql: "DELETE FROM objects WHERE resource = ? AND namespace = ? AND name = ?",
      arguments: [kind.resource, object.namespace, object.name])
    var last = object
    last[metadata: "resourceVersion"] = .string(String(version))
    let text = JSONWriter.bytes(last.json)
    changes.append(
      StoreChange(
        action: .deleted, resource: kind.resource, object: ObjectText(last, text), old: before, version: version))
    removed.append((kind, object))
  }

  /// Deletes what depended on removed objects, then what was waiting for them, until nothing follows any more.
  private func finishRemovals() throws {
    while let (kind, object) = removed.popLast() {
      _ = try deleteDependants(of: object, blockingOnly: false)
      try db.execute(sql: "DELETE FROM owners WHERE owner = ?", arguments: [object.uid])
      try finishWaitingOwners(of: object)
      try db.execute(sql: "DELETE FROM owners WHERE dependent = ?", arguments: [object.uid])
      if kind.namespaced { try finishNamespace(object.namespace) }
    }
  }

  private func nextVersion() throws -> Int64 {
    try db.execute(sql: "UPDATE counter SET version = version + 1")
    return try Int64.fetchOne(db, sql: "SELECT version FROM counter") ?? 0
  }

  private static func uuid() -> String {
    var generator = SystemRandomNumberGenerator()
    let high = generator.next() & ~0xF000 | 0x4000
    let low = generator.next() & ~(3 << 62) | 2 << 62
    func hex(_ value: UInt64, _ digits: Int) -> String {
      let text = String(value, radix: 16)
      return String(repeating: "0", count: digits - text.count) + text
    }
    return "\(hex(high >> 32, 8))-\(hex(high >> 16 & 0xFFFF, 4))-\(hex(high & 0xFFFF, 4))"
      + "-\(hex(low >> 48, 4))-\(hex(low & 0xFFFF_FFFF_FFFF, 12))"
  }
}

// Owners and dependants.
extension StoreWriter {
  private func storeOwners(_ object: KubeObject) throws {
    try db.execute(sql: "DELETE FROM owners WHERE dependent = ?", arguments: [object.uid])
    for reference in object.metadata["ownerReferences"]?.array ?? [] {
      guard let owner = reference["uid"]?.string, !owner.isEmpty else { continue }
      try db.execute(sql: "INSERT OR IGNORE INTO owners VALUES (?, ?)", arguments: [owner, object.uid])
    }
  }

  private func dependants(of object: KubeObject) throws -> [(ResourceKind, KubeObject)] {
    let sql = """
      SELECT objects.resource, objects.document FROM owners JOIN objects ON objects.uid = owners.dependent
      WHERE owners.owner = ?
      """
    return try Row.fetchAll(db, sql: sql, arguments: [object.uid]).compactMap {
      row -> (ResourceKind, KubeObject)? in
      guard let kind = registry.kind(resource: try row.decode(atIndex: 0)) else { return nil }
      return (kind, try Self.decode(row.decode(atIndex: 1)))
    }
  }

  /// Deletes the dependants; whether some of those to wait for are still there.
  private func deleteDependants(of owner: KubeObject, blockingOnly: Bool) throws -> Bool {
    var waiting = false
    for (kind, dependant) in try dependants(of: owner) where dependant.uid != owner.uid {
      if !dependant.isDeleting, case .pending = try delete(kind, dependant, propagation: .background) {
        waiting = waiting || Self.blocks(dependant, owner)
      } else if dependant.isDeleting {
        waiting = waiting || Self.blocks(dependant, owner)
      }
    }
    return waiting
  }

  private static func blocks(_ dependant: KubeObject, _ owner: KubeObject) -> Bool {
    (dependant.metadata["ownerReferences"]?.array ?? []).contains { reference in
      reference["uid"]?.string == owner.uid && reference["blockOwnerDeletion"]?.bool == true
    }
  }

  private func releaseDependants(of owner: KubeObject) throws {
    for (kind, dependant) in try dependants(of: owner) {
      var released = dependant
      let rest = (dependant.metadata["ownerReferences"]?.array ?? []).filter { $0["uid"]?.string != owner.uid }
      released[metadata: "ownerReferences"] = rest.isEmpty ? nil : .array(rest)
      try store(kind, &released, old: dependant)
    }
  }

  /// Lets owners go that were only waiting for this dependant.
  private func finishWaitingOwners(of dependant: KubeObject) throws {
    for reference in dependant.metadata["ownerReferences"]?.array ?? [] {
      guard let uid = reference["uid"]?.string,
        let row = try Row.fetchOne(db, sql: "SELECT resource, document FROM objects WHERE uid = ?", arguments: [uid]),
        let kind = registry.kind(resource: try row.decode(atIndex: 0))
      else { continue }
      let owner = try Self.decode(row.decode(atIndex: 1))
      guard owner.isDeleting, owner.finalizers.contains(Self.foreground) else { continue }
      let others = try dependants(of: owner).filter { $0.1.uid != dependant.uid && Self.blocks($0.1, owner) }
      guard others.isEmpty else { continue }
      let rest = owner.finalizers.filter { $0 != Self.foreground }
      var freed = ObjectRules(kind: kind).marked(owner, finalizers: rest, now: now)
      if rest.isEmpty { try remove(kind, owner) } else { try store(kind, &freed, old: owner) }
    }
  }
}
