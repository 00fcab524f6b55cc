import APIModel
import KubeModel
import ReplModel

/// Deletes objects that came from a peer and are no longer there. Objects only: never volumes, claims or data.
struct ResourcePurge: Sendable {
  var store: any KubeStore
  var rules: ReceivingRules

  /// Kinds that are purged: accounts stay, as others may have come to rely on them.
  static let kinds = MigratedKinds.namespaced.filter {
    ![ResourceKind.persistentVolumeClaim.resource, ResourceKind.serviceAccount.resource].contains($0.resource)
  }

  /// - Parameter existing: everything the peer has in the namespaces, whatever its Migration selects.
  func run(existing: Set<ObjectName>) async throws(ReplError) -> [ResourceResult] {
    var results: [ResourceResult] = []
    for namespace in rules.namespaces.sorted() where rules.namespaceRefusal(namespace) == nil {
      for kind in Self.kinds {
        var pages = KubePages(store, kind, namespace: namespace)
        while let page = try await next(&pages) {
          for object in page where isGone(kind, object, existing) {
            guard !Task.isCancelled else {
              throw ReplError(
                .transient, subject: "resources of \(rules.cluster)", cause: "the document is waited for no longer")
            }
            results.append(await delete(kind, object))
          }
        }
      }
    }
    return results
  }

  private func next(_ pages: inout KubePages) async throws(ReplError) -> [KubeObject]? {
    do throws(StatusError) { return try await pages.next() } catch {
      throw ReplError(.io, subject: "objects of this cluster", cause: error.message)
    }
  }

  /// Whether an object of this peer has no original any more.
  func isGone(_ kind: ResourceKind, _ object: KubeObject, _ existing: Set<ObjectName>) -> Bool {
    !object.isDeleting && object.annotations[MigrationMark.origin] == rules.cluster
      && object.annotations[MigrationMark.migrated] == "true"
      && !existing.contains(ObjectName(kind: kind.kind, namespace: object.namespace, name: object.name))
  }

  private func delete(_ kind: ResourceKind, _ object: KubeObject) async -> ResourceResult {
    do throws(StatusError) {
      _ = try await store.delete(
        kind, namespace: object.namespace, name: object.name,
        options: DeleteOptions(
          propagation: .background, uid: object.uid, resourceVersion: object.resourceVersion))
      return ResourceResult(object, .purged, "Resource purged")
    } catch {
      return .failed(object, "cannot be purged: \(error.message)")
    }
  }
}
