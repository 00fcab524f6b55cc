import APIModel
import FoundationEssentials

extension ResourceKind {
  /// core/v1 ConfigMap.
  public static let configMap: ResourceKind = {
    var kind = core("ConfigMap", plural: "configmaps")
    kind.description = "Settings for programs, by name."
    kind.fields = Schema.configMap
    kind.shortNames = ["cm"]
    kind.columns = [
      .name,
      Column("Data", type: "integer") { object, _ in
        .integer(Int64((object.json["data"]?.object?.count ?? 0) + (object.json["binaryData"]?.object?.count ?? 0)))
      }, .age,
    ]
    kind.validate = { object, old in
      let texts = byteCount(object.json["data"]) { $0.utf8.count }
      let bytes = byteCount(object.json["binaryData"]) { Data(base64Encoded: $0)?.count ?? $0.utf8.count }
      return sizeCauses(texts + bytes, field: "[]") + Immutable.frozenData(object, old)
    }
    return kind
  }()

  /// core/v1 Secret.
  public static let secret: ResourceKind = {
    var kind = core("Secret", plural: "secrets")
    kind.description = "Secret bytes for programs, by name."
    kind.fields = Schema.secret
    kind.fieldSelectors = ["type"]
    kind.columns = [
      .name, .path("Type", "type"),
      Column("Data", type: "integer") { object, _ in .integer(Int64(object.json["data"]?.object?.count ?? 0)) }, .age,
    ]
    kind.defaults = Defaults.secret
    kind.validate = { object, old in
      let bytes = byteCount(object.json["data"]) { Data(base64Encoded: $0)?.count ?? $0.utf8.count }
      return base64Causes(object) + sizeCauses(bytes, field: "data") + Immutable.causes(["type"], object, old)
        + Immutable.frozenData(object, old)
    }
    return kind
  }()

  /// Bytes that the data of a ConfigMap or Secret may have, as Kubernetes has it.
  private static let dataLimit = 1 << 20

  private static func byteCount(_ data: JSONValue?, _ count: (String) -> Int) -> Int {
    (data?.object ?? [:]).values.reduce(0) { $0 + ($1.string.map(count) ?? 0) }
  }

  private static func sizeCauses(_ bytes: Int, field: String) -> [StatusError.Cause] {
    guard bytes > dataLimit else { return [] }
    return [
      StatusError.Cause(
        reason: "FieldValueTooLong", message: "Too long: may not be more than \(dataLimit) bytes", field: field)
    ]
  }

  /// The values themselves are never repeated.
  private static func base64Causes(_ object: KubeObject) -> [StatusError.Cause] {
    (object.json["data"]?.object ?? [:]).sorted { $0.key < $1.key }.compactMap { key, value in
      guard value.string.flatMap({ Data(base64Encoded: $0) }) == nil else { return nil }
      return StatusError.Cause(
        reason: "FieldValueInvalid", message: "Invalid value: must be base64; plain text belongs in stringData",
        field: "data[\(key)]")
    }
  }

  /// core/v1 ServiceAccount.
  public static let serviceAccount: ResourceKind = {
    var kind = core("ServiceAccount", plural: "serviceaccounts")
    kind.description = "An identity for programs."
    kind.fields = Schema.serviceAccount
    kind.shortNames = ["sa"]
    kind.columns = [.name, .age]
    return kind
  }()

  /// core/v1 Service.
  public static let service: ResourceKind = {
    var kind = core("Service", plural: "services")
    kind.description = "A name and ports under which pods are reached. Kept for the other site, not served here."
    kind.fields = Schema.service
    kind.shortNames = ["svc"]
    kind.categories = ["all"]
    kind.hasStatus = true
    kind.labelName = true
    kind.columns = [
      .name, .path("Type", "spec.type"), .path("Cluster-IP", "spec.clusterIP", missing: "<none>"),
      Column("External-IP") { object, _ in
        let addresses = object.spec["externalIPs"]?.array?.compactMap(\.string) ?? []
        return addresses.isEmpty ? Cells.none : .string(addresses.joined(separator: ","))
      },
      Column("Port(s)") { object, _ in Cells.ports(object) }, .age,
      Column("Selector", priority: 1) { object, _ in Cells.selector(object.spec["selector"]) },
    ]
    kind.prepare = { object in object.json["status"] = ["loadBalancer": [:]] }
    kind.defaults = Defaults.service
    kind.validate = { object, old in
      portCauses(object) + Immutable.causesOnceSet(["spec.clusterIP"], object, old)
    }
    return kind
  }()

  private static func portCauses(_ object: KubeObject) -> [StatusError.Cause] {
    let ports = object.spec["ports"]?.array ?? []
    guard ports.count > 1 else { return [] }
    return ports.indices.filter { (ports[$0]["name"]?.string ?? "").isEmpty }.map { index in
      StatusError.Cause(
        reason: "FieldValueRequired", message: "Required value", field: "spec.ports[\(index)].name")
    }
  }

  /// core/v1 Node.
  public static let node: ResourceKind = {
    var kind = core("Node", plural: "nodes", namespaced: false)
    kind.description = "A machine."
    kind.fields = Schema.node
    kind.shortNames = ["no"]
    kind.hasStatus = true
    kind.fieldSelectors = ["spec.unschedulable"]
    kind.columns = [
      .name, Column("Status") { object, _ in Cells.nodeStatus(object) },
      Column("Roles") { object, _ in Cells.roles(object) }, .age,
      .path("Version", "status.nodeInfo.kubeletVersion"),
      Column("Internal-IP", priority: 1) { object, _ in Cells.address(object, "InternalIP") },
      Column("External-IP", priority: 1) { object, _ in Cells.address(object, "ExternalIP") },
      .path("OS-Image", "status.nodeInfo.osImage", priority: 1, missing: "<unknown>"),
      .path("Kernel-Version", "status.nodeInfo.kernelVersion", priority: 1, missing: "<unknown>"),
      .path("Container-Runtime", "status.nodeInfo.containerRuntimeVersion", priority: 1, missing: "<unknown>"),
    ]
    return kind
  }()

  static func core(_ kind: String, plural: String, namespaced: Bool = true) -> ResourceKind {
    ResourceKind(group: "", version: "v1", kind: kind, plural: plural, namespaced: namespaced, custom: false)
  }
}
