import APIModel
import KubeModel

/// Puts objects of a peer into the store: made if missing, changed in place if they came from that peer before.
struct ResourceApplier: Sendable {
  var store: any KubeStore
  var rules: ReceivingRules

  /// Makes the namespaces that objects of a document need. One that cannot be made shows up with its objects.
  func ensureNamespaces(_ document: ResourceDocument) async {
    let needed = Set(document.items.map(\.object.namespace)).union(document.items.compactMap(\.claim?.namespace))
    for namespace in document.namespaces where needed.contains(namespace.name) {
      guard rules.namespaceRefusal(namespace.name) == nil else { continue }
      try? await ensureNamespace(namespace)
    }
  }

  /// With labels and annotations of the sender's; one that exists is left as it is.
  func ensureNamespace(_ wanted: KubeObject) async throws(StatusError) {
    try Self.checkSize(wanted)
    var namespace = ResourceKind.namespace.object(name: wanted.name)
    namespace.setMap("labels", MigrationMark.travelling(labels: wanted.labels))
    namespace.setMap("annotations", MigrationMark.travelling(wanted.annotations))
    mark(&namespace)
    do throws(StatusError) {
      _ = try await store.create(.namespace, namespace)
    } catch { if error.reason != "AlreadyExists" { throw error } }
  }

  /// Applies an object of a kind without rules of its own.
  ///
  /// - Parameter because: why it is not what the sender wanted; told as its failure.
  func apply(_ object: KubeObject, because reason: String? = nil) async -> ResourceResult {
    let kind: ResourceKind
    switch rules.kind(of: object) {
    case .success(let accepted): kind = accepted
    case .failure(let refusal): return .failed(object, "\(refusal)")
    }
    do throws(StatusError) {
      try Self.checkSize(object)
      _ = try await put(kind, object)
      guard let reason, MigratedKinds.scaled.contains(kind.resource) || kind.resource == ResourceKind.cronJob.resource
      else { return .migrated(object) }
      return .failed(object, "is not started: \(reason)")
    } catch {
      return .failed(object, error.message)
    }
  }

  /// An object has the bounds that the API sets its own clients.
  static func checkSize(_ object: KubeObject) throws(StatusError) {
    let size = JSONWriter.bytes(object.json).count
    guard size > ResourceKind.maximumBytes else { return }
    throw StatusError(
      413, "RequestEntityTooLarge", "has \(size) bytes, an object may have \(ResourceKind.maximumBytes)")
  }

  /// The stored object after the write, or as it was when its hash is the same.
  func put(_ kind: ResourceKind, _ object: KubeObject) async throws(StatusError) -> KubeObject {
    var wanted = Self.reduced(object)
    mark(&wanted)
    if let created = try await create(kind, wanted) { return created }
    do throws(StatusError) {
      return try await update(kind, wanted)
    } catch {
      // A name that is taken is told of a valid object only: what stands in the way are fields that may not change.
      guard error.code == 422 else { throw error }
    }
    return try await replace(kind, wanted)
  }

  /// Makes an object, or changes in place one that came from this peer.
  func write(_ kind: ResourceKind, _ wanted: KubeObject) async throws(StatusError) -> KubeObject {
    if let created = try await create(kind, wanted) { return created }
    return try await update(kind, wanted)
  }

  /// Makes an object; nil when there is one of its name.
  private func create(_ kind: ResourceKind, _ wanted: KubeObject) async throws(StatusError) -> KubeObject? {
    do throws(StatusError) {
      return try await store.create(kind, wanted)
    } catch {
      guard error.reason == "AlreadyExists" else { throw error }
      return nil
    }
  }

  /// Makes an object of this peer anew, since the fields that differ may not change. What it owns here stays.
  private func replace(_ kind: ResourceKind, _ wanted: KubeObject) async throws(StatusError) -> KubeObject {
    let old = try await store.get(kind, namespace: wanted.namespace, name: wanted.name)
    if let refusal = rules.overwriteRefusal(old) { throw Self.refused(kind, old, refusal) }
    _ = try await store.delete(
      kind, namespace: old.namespace, name: old.name,
      options: DeleteOptions(propagation: .orphan, uid: old.uid, resourceVersion: old.resourceVersion))
    return try await store.create(kind, wanted)
  }

  private func update(_ kind: ResourceKind, _ wanted: KubeObject) async throws(StatusError) -> KubeObject {
    let rules = rules
    return try await store.change(kind, namespace: wanted.namespace, name: wanted.name) {
      old throws(StatusError) in
      if let refusal = rules.overwriteRefusal(old) { throw Self.refused(kind, old, refusal) }
      return Self.merged(old, wanted)
    }
  }

  /// What a stored object becomes: the peer's document with the identity, owners and status it has here. Pure.
  static func merged(_ old: KubeObject, _ wanted: KubeObject) -> KubeObject {
    let hash = wanted.annotations[MigrationMark.hash]
    guard hash == nil || old.annotations[MigrationMark.hash] != hash else { return old }
    var new = wanted
    var metadata = old.metadata.object ?? [:]
    metadata["labels"] = wanted.metadata["labels"]
    metadata["annotations"] = wanted.metadata["annotations"]
    new.json["metadata"] = .object(metadata)
    new.json["status"] = old.json["status"]
    return new
  }

  /// The receiver does not rely on the sender to have reduced the metadata.
  static func reduced(_ object: KubeObject) -> KubeObject {
    var result = object.withoutIdentity
    for key in ["labels", "annotations"] { result[metadata: key] = object.metadata[key] }
    return result
  }

  func mark(_ object: inout KubeObject) {
    var annotations = object.annotations
    annotations[MigrationMark.standby] = nil
    annotations[VolumeObjects.volumeID] = nil
    annotations[MigrationMark.origin] = rules.cluster
    object.setMap("annotations", annotations)
  }

  static func refused(_ kind: ResourceKind, _ object: KubeObject, _ cause: String) -> StatusError {
    StatusError(
      409, "Refused", "\(kind.resource) \"\(object.name)\" \(cause)", name: object.name, group: kind.group,
      kind: kind.plural)
  }
}
