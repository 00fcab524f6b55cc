import APIModel
import KubeModel

/// Which objects of the migrated namespaces travel. Pure.
struct ResourceSelection: Sendable {
  var wishes: ResourceWishes

  private static let secretPrefixes = [
    "builder-dockercfg-", "builder-token-", "default-dockercfg-", "default-token-", "deployer-dockercfg-",
    "deployer-token-",
  ]
  /// Kinds that come with their owner instead of beside it.
  private static let ownedKinds: Set<String> = [
    ResourceKind.deployment.resource, ResourceKind.statefulSet.resource, ResourceKind.serviceAccount.resource,
    ResourceKind.service.resource,
  ]

  /// Whether an object is to travel, as far as it alone says so.
  func isMeant(_ kind: ResourceKind, _ object: KubeObject) -> Bool {
    wishes.selectors.select(object) && isWanted(kind, object)
  }

  /// Of all objects that are meant, those that do not come with another one, in the same order. Looks at metadata only.
  func withoutOwned(_ objects: [(kind: ResourceKind, object: KubeObject)]) -> [(
    kind: ResourceKind, object: KubeObject
  )] {
    let collected = Set(objects.map(\.object.uid))
    return objects.filter { !isDropped($0.kind, $0.object, collected: collected) }
  }

  /// The filters of each kind: what every cluster makes for itself does not travel.
  func isWanted(_ kind: ResourceKind, _ object: KubeObject) -> Bool {
    switch kind.resource {
    case ResourceKind.persistentVolumeClaim.resource:
      object.status["phase"]?.string == "Bound" && !(object.spec["volumeName"]?.string ?? "").isEmpty
    case ResourceKind.service.resource: object.name != "kubernetes"
    case ResourceKind.configMap.resource: !["kube-root-ca.crt", "openshift-service-ca.crt"].contains(object.name)
    case ResourceKind.secret.resource: !Self.secretPrefixes.contains { object.name.hasPrefix($0) }
    case ResourceKind.serviceAccount.resource:
      !["default", "builder", "deployer"].contains(object.name) || Self.hasOwnPullSecret(object)
    default: true
    }
  }

  /// Whether an account that every cluster makes was given a pull secret by somebody.
  private static func hasOwnPullSecret(_ account: KubeObject) -> Bool {
    (account.json["imagePullSecrets"]?.array ?? []).contains { secret in
      guard let name = secret["name"]?.string else { return false }
      return !name.hasPrefix("\(account.name)-dockercfg")
    }
  }

  private func isDropped(_ kind: ResourceKind, _ object: KubeObject, collected: Set<String>) -> Bool {
    let owners = object.metadata["ownerReferences"]?.array ?? []
    guard !owners.isEmpty, kind.resource != ResourceKind.persistentVolumeClaim.resource, !wishes.ignoreOwners,
      object.annotations[MigrationMark.skipOwnerCheck]?.lowercased() != "true"
    else { return false }
    if owners.contains(where: { $0["kind"]?.string == "Pod" }) { return true }
    return Self.ownedKinds.contains(kind.resource)
      && owners.contains { $0["uid"]?.string.map(collected.contains) ?? false }
  }
}
