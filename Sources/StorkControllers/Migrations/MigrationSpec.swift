import APIModel
import KubeModel

/// The wishes of a Migration, with their defaults.
struct MigrationSpec: Hashable, Sendable {
  var clusterPair: String
  var namespaces: [String]
  var namespaceSelectors: [String: String]
  var includeResources: Bool
  var includeVolumes: Bool
  var skipDeletedNamespaces: Bool
  /// Names of ResourceTransformations, which this agent does not carry out.
  var transformations: [String]
  /// Name of a ClusterPair in the admin namespace for cluster-wide objects; empty for none.
  var adminClusterPair: String
  var selectors: ObjectSelectors

  init(_ object: KubeObject) {
    let spec = object.spec
    func map(_ key: String) -> [String: String] { spec[key]?.object?.compactMapValues(\.text) ?? [:] }
    clusterPair = spec["clusterPair"]?.string ?? ""
    namespaces = spec["namespaces"]?.array?.compactMap(\.string) ?? []
    namespaceSelectors = map("namespaceSelectors")
    includeResources = spec["includeResources"]?.bool ?? true
    includeVolumes = spec["includeVolumes"]?.bool ?? true
    skipDeletedNamespaces = spec["skipDeletedNamespaces"]?.bool ?? true
    transformations = spec["transformSpecs"]?.array?.compactMap(\.string) ?? []
    adminClusterPair = spec["adminClusterPair"]?.string ?? ""
    selectors = ObjectSelectors(object)
  }

  /// The defaults a controller writes into a new object.
  static let defaults: [String: JSONValue] = [
    "includeResources": true, "includeVolumes": true, "startApplications": false, "purgeDeletedResources": false,
    "skipServiceUpdate": false, "includeNetworkPolicyWithCIDR": false, "skipDeletedNamespaces": true,
    "ignoreOwnerReferencesCheck": false, "adminClusterPair": "", "preExecRule": "", "postExecRule": "",
    "selectors": .null, "excludeSelectors": .null, "namespaceSelectors": .null, "includeOptionalResourceTypes": .null,
    "transformSpecs": .null, "excludeResourceTypes": .null,
  ]

  /// A status in which nothing has begun.
  static let emptyStatus: JSONValue = [
    "stage": "", "status": "", "resources": .null, "volumes": .null, "finishTimestamp": .null,
    "volumeMigrationFinishTimestamp": .null, "resourceMigrationFinishTimestamp": .null, "summary": .null, "reason": "",
  ]

  /// What makes the object unusable for ever; nil when nothing does.
  func fault(ownNamespace: String) -> String? {
    if clusterPair.isEmpty { return "clusterPair to migrate to cannot be empty" }
    if namespaces.isEmpty, namespaceSelectors.isEmpty { return Self.noNamespace }
    if namespaces.count + namespaceSelectors.count > Self.namespaceLimit {
      return "names more than \(Self.namespaceLimit) namespaces: split the Migration"
    }
    if ownNamespace != Stork.adminNamespace, namespaces.contains(where: { $0 != ownNamespace }) {
      return Self.foreignNamespace
    }
    if includeResources, let name = transformations.first {
      return
        "transformSpecs names ResourceTransformation \(name): objects are not transformed by this agent; remove it, "
        + "or change the objects at the destination"
    }
    return nil
  }

  /// Namespaces and selectors of one Migration: each is asked for by itself.
  private static let namespaceLimit = 1_000
  static let noNamespace = "no valid namespace found based on the provided 'Namespaces' and 'NamespaceSelectors'"
  static let foreignNamespace = "migration namespaces should only contain the current namespace"
}
