import APIModel

extension ResourceKind {
  /// core/v1 ConfigMap.
  public static let configMap: ResourceKind = {
    var kind = core("ConfigMap", plural: "configmaps")
    kind.shortNames = ["cm"]
    kind.columns = [
      .name,
      Column("Data", type: "integer") { object, _ in
        .integer(Int64((object.json["data"]?.object?.count ?? 0) + (object.json["binaryData"]?.object?.count ?? 0)))
      }, .age,
    ]
    return kind
  }()

  /// core/v1 Secret.
  public static let secret: ResourceKind = {
    var kind = core("Secret", plural: "secrets")
    kind.fieldSelectors = ["type"]
    kind.columns = [
      .name, Column("Type") { object, _ in object.json["type"] ?? "" },
      Column("Data", type: "integer") { object, _ in .integer(Int64(object.json["data"]?.object?.count ?? 0)) }, .age,
    ]
    return kind
  }()

  /// core/v1 ServiceAccount.
  public static let serviceAccount: ResourceKind = {
    var kind = core("ServiceAccount", plural: "serviceaccounts")
    kind.shortNames = ["sa"]
    kind.columns = [.name, .age]
    return kind
  }()

  /// core/v1 Service.
  public static let service: ResourceKind = {
    var kind = core("Service", plural: "services")
    kind.shortNames = ["svc"]
    kind.hasStatus = true
    kind.labelName = true
    kind.columns = [.name, .age]
    return kind
  }()

  /// core/v1 Node.
  public static let node: ResourceKind = {
    var kind = core("Node", plural: "nodes", namespaced: false)
    kind.shortNames = ["no"]
    kind.hasStatus = true
    kind.fieldSelectors = ["spec.unschedulable"]
    kind.columns = [.name, .age]
    return kind
  }()

  static func core(_ kind: String, plural: String, namespaced: Bool = true) -> ResourceKind {
    ResourceKind(group: "", version: "v1", kind: kind, plural: plural, namespaced: namespaced, custom: false)
  }
}
