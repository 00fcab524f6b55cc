public import APIModel

// What every controller does with a store, in terms of its few calls.
extension KubeStore {
  /// All objects of a kind, in one namespace or (nil) in all of them.
  public func list(_ kind: ResourceKind, namespace: String? = nil) async throws(StatusError) -> KubeList {
    try await list(kind, namespace: namespace, labels: .all)
  }

  /// Reads an object, changes it, and writes what differs: first the object, then its status where that is a subresource.
  ///
  /// Begins anew with what somebody else has written meanwhile; `change` may be called several times. A `change` that
  /// must be made of one version only throws a conflict for any other, which ends this call. A crash between the two
  /// writes leaves the first: a controller must find its work undone by the status.
  public func change(
    _ kind: ResourceKind, namespace: String, name: String,
    _ change: @Sendable (KubeObject) throws(StatusError) -> KubeObject
  ) async throws(StatusError) -> KubeObject {
    var attempt = 1
    while true {
      let old = try await get(kind, namespace: namespace, name: name)
      let wanted = try change(old)
      guard wanted != old else { return old }
      do throws(StatusError) {
        return try await write(kind, wanted, old: old)
      } catch {
        guard error.code == 409, attempt < changeAttempts else { throw error }
        attempt += 1
      }
    }
  }

  private func write(_ kind: ResourceKind, _ wanted: KubeObject, old: KubeObject) async throws(StatusError)
    -> KubeObject
  {
    guard kind.hasStatus else { return try await update(kind, wanted) }
    var main = wanted
    main.json["status"] = old.json["status"]
    var written = main == old ? old : try await update(kind, main)
    guard wanted.json["status"] != old.json["status"] else { return written }
    written.json["status"] = wanted.json["status"]
    return try await updateStatus(kind, written)
  }
}

/// Writes of others that a change gives way to before it fails as a conflict.
private let changeAttempts = 8
