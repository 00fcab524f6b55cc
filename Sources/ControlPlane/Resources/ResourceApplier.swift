import APIModel

/// Puts objects of a peer into the store: made if missing, changed in place if they came from that peer before.
struct ResourceApplier: Sendable {
  var store: any ObjectStore
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
    var namespace = ResourceKind.namespace.object(name: wanted.name)
    namespace.setMap("labels", MigrationMark.travelling(labels: wanted.labels))
    namespace.setMap("annotations", MigrationMark.travelling(wanted.annotations))
    mark(&namespace)
    do throws(StatusError) {
      _ = try await store.create(.namespace, namespace, dryRun: false)
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
      _ = try await put(kind, object)
      guard let reason, MigratedKinds.scaled.contains(kind.resource) || kind.resource == ResourceKind.cronJob.resource
      else { return .migrated(object) }
      return .failed(object, "is not started: \(reason)")
    } catch {
      return .failed(object, error.message)
    }
  }

  /// The stored object after the write, or as it was when its hash is the same.
  func put(_ kind: ResourceKind, _ object: KubeObject) async throws(StatusError) -> KubeObject {
    var wanted = Self.reduced(object)
    mark(&wanted)
    do throws(StatusError) {
      return try await store.create(kind, wanted, dryRun: false)
    } catch {
      guard error.reason == "AlreadyExists" else { throw error }
    }
    return try await update(kind, wanted)
  }

  private func update(_ kind: ResourceKind, _ wanted: KubeObject) async throws(StatusError) -> KubeObject {
    let rules = rules
    return try await store.update(kind, namespace: wanted.namespace, name: wanted.name, part: .main, dryRun: false) {
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
    var result = object
    result.json["status"] = nil
    var metadata: [String: JSONValue] = ["name": .string(object.name)]
    if !object.namespace.isEmpty { metadata["namespace"] = .string(object.namespace) }
    metadata["labels"] = object.metadata["labels"]
    metadata["annotations"] = object.metadata["annotations"]
    result.json["metadata"] = .object(metadata)
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
