import APIModel

extension ResourceKind {
  /// storage.k8s.io/v1 StorageClass.
  public static let storageClass: ResourceKind = {
    var kind = ResourceKind(
      group: "storage.k8s.io", version: "v1", kind: "StorageClass", plural: "storageclasses", namespaced: false,
      custom: false)
    kind.shortNames = ["sc"]
    kind.columns = [.name, .age]
    return kind
  }()

  /// coordination.k8s.io/v1 Lease.
  public static let lease: ResourceKind = {
    var kind = ResourceKind(
      group: "coordination.k8s.io", version: "v1", kind: "Lease", plural: "leases", namespaced: true, custom: false)
    kind.columns = [
      .name, Column("Holder") { object, _ in object.json[at: "spec.holderIdentity"] ?? "" }, .age,
    ]
    return kind
  }()
}
