import APIModel

extension ResourceKind {
  /// storage.k8s.io/v1 StorageClass.
  public static let storageClass: ResourceKind = {
    var kind = ResourceKind(
      group: "storage.k8s.io", version: "v1", kind: "StorageClass", plural: "storageclasses", namespaced: false,
      custom: false)
    kind.description = "A way of making volumes."
    kind.fields = Schema.storageClass
    kind.shortNames = ["sc"]
    kind.columns = [
      .name, .path("Provisioner", "provisioner"), .path("ReclaimPolicy", "reclaimPolicy"),
      .path("VolumeBindingMode", "volumeBindingMode"),
      Column("AllowVolumeExpansion", type: "boolean") { object, _ in
        .bool(object.json["allowVolumeExpansion"]?.bool ?? false)
      }, .age,
    ]
    kind.defaults = { object in
      object.setDefault("reclaimPolicy", "Delete")
      object.setDefault("volumeBindingMode", "Immediate")
    }
    kind.validate = { object, old in
      Immutable.causes(["provisioner", "parameters", "reclaimPolicy", "volumeBindingMode"], object, old)
    }
    return kind
  }()

  /// coordination.k8s.io/v1 Lease.
  public static let lease: ResourceKind = {
    var kind = ResourceKind(
      group: "coordination.k8s.io", version: "v1", kind: "Lease", plural: "leases", namespaced: true, custom: false)
    kind.description = "Something held by one at a time, for a time."
    kind.fields = Schema.lease
    kind.updatesNeedVersion = true
    kind.columns = [.name, .path("Holder", "spec.holderIdentity"), .age]
    return kind
  }()

  /// core/v1 Pod: none run here, and clients ask for those of nearly everything.
  public static let pod: ResourceKind = {
    var kind = core("Pod", plural: "pods")
    kind.description = "A running program. There are none here: this node has no kubelet."
    kind.shortNames = ["po"]
    kind.verbs = readOnly
    kind.categories = ["all"]
    kind.fieldSelectors = [
      "spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "status.phase",
      "status.podIP",
    ]
    kind.columns = [.name, .path("Status", "status.phase"), .age]
    return kind
  }()

  /// apps/v1 ReplicaSet: none here, as there are no pods.
  public static let replicaSet: ResourceKind = {
    var kind = ResourceKind(
      group: "apps", version: "v1", kind: "ReplicaSet", plural: "replicasets", namespaced: true, custom: false)
    kind.description = "A set of equal pods. There are none here: this node has no kubelet."
    kind.shortNames = ["rs"]
    kind.verbs = readOnly
    kind.categories = ["all"]
    kind.columns = [.name, .age]
    return kind
  }()

  /// There are no definitions of kinds here; clients that list them before they look for kinds of others find none.
  public static let customResourceDefinition: ResourceKind = {
    var kind = ResourceKind(
      group: "apiextensions.k8s.io", version: "v1", kind: "CustomResourceDefinition",
      plural: "customresourcedefinitions",
      namespaced: false, custom: false)
    kind.description = "The definition of a kind. There are none here: what is served is built in."
    kind.shortNames = ["crd", "crds"]
    kind.verbs = readOnly
    kind.columns = [.name, .age]
    return kind
  }()

  /// What clients may do with a kind that nobody writes.
  public static let readOnly: Set<String> = ["get", "list", "watch"]
}
