import APIModel
import KubeModel
import GRDB

/// Namespaces: nothing is made in one that is missing or going, and one goes with the last of its contents.
extension StoreWriter {
  private static let fixed: Set<String> = ["default", "kube-system", "kube-public"]

  func checkNotFixed(_ kind: ResourceKind, _ name: String) throws {
    guard Self.fixed.contains(name) else { return }
    throw StatusError(
      403, "Forbidden", "namespaces \"\(name)\" is forbidden: this namespace may not be deleted", name: name,
      kind: kind.plural)
  }

  func checkNamespace(_ kind: ResourceKind, _ object: KubeObject) throws {
    let name = object.namespace
    guard let namespace = try Self.fetch(db, .namespace, namespace: "", name: name) else {
      throw ResourceKind.namespace.notFound(name)
    }
    guard namespace.isDeleting else { return }
    throw StatusError(
      403, "Forbidden",
      "\(kind.resource) \"\(object.name)\" is forbidden: unable to create new content in namespace \(name) because it "
        + "is being terminated", name: object.name, group: kind.group, kind: kind.plural,
      causes: [
        StatusError.Cause(
          reason: "NamespaceTerminating", message: "namespace \(name) is being terminated", field: "metadata.namespace")
      ])
  }

  func hasContents(_ kind: ResourceKind, _ object: KubeObject) throws -> Bool {
    guard kind.resource == ResourceKind.namespace.resource else { return false }
    return try Self.fetch(db, kind, namespace: "", name: object.name) != nil
      && Int.fetchOne(db, sql: "SELECT 1 FROM objects WHERE namespace = ? LIMIT 1", arguments: [object.name]) != nil
  }

  func deleteContents(of namespace: String) throws {
    emptying = namespace
    let rows = try Row.fetchAll(
      db, sql: "SELECT resource, name FROM objects WHERE namespace = ?", arguments: [namespace])
    for row in rows {
      guard let kind = registry.kind(resource: try row.decode(atIndex: 0)),
        let object = try Self.fetch(db, kind, namespace: namespace, name: try row.decode(atIndex: 1))
      else { continue }
      _ = try delete(kind, object, propagation: .background)
    }
    emptying = nil
    try finishNamespace(namespace)
  }

  /// Removes a namespace that is being deleted and is empty now, or says in its status what is left.
  func finishNamespace(_ name: String) throws {
    guard emptying != name, let namespace = try Self.fetch(db, .namespace, namespace: "", name: name),
      namespace.isDeleting
    else { return }
    guard try hasContents(.namespace, namespace) else {
      if namespace.finalizers.isEmpty { try remove(.namespace, namespace) }
      return
    }
    // Counting all that is left after each of many objects would take the square of their number.
    if namespace.status["conditions"] != nil, try hasMore(than: Self.countedContents, in: name) { return }
    var told = namespace
    let conditions = NamespaceConditions.conditions(
      try remaining(name), old: namespace.status["conditions"]?.array ?? [], now: now)
    told.json[at: "status.conditions"] = .array(conditions)
    if told != namespace { try store(.namespace, &told, old: namespace) }
  }

  /// What is left of a namespace is told anew with each object that goes, when there are no more than these.
  private static let countedContents = 100

  private func hasMore(than count: Int, in namespace: String) throws -> Bool {
    let sql = "SELECT COUNT(*) FROM (SELECT 1 FROM objects WHERE namespace = ? LIMIT ?)"
    return try Int.fetchOne(db, sql: sql, arguments: [namespace, count + 1]) ?? 0 > count
  }

  private func remaining(_ namespace: String) throws -> NamespaceConditions.Remaining {
    var remaining = NamespaceConditions.Remaining()
    let rows = try Row.fetchCursor(
      db, sql: "SELECT resource, document FROM objects WHERE namespace = ?", arguments: [namespace])
    while let row = try rows.next() {
      remaining.resources[try row.decode(atIndex: 0), default: 0] += 1
      for finalizer in try Self.decode(row.decode(atIndex: 1)).finalizers {
        remaining.finalizers[finalizer, default: 0] += 1
      }
    }
    return remaining
  }
}
