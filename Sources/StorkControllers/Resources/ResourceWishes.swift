import APIModel
import KubeModel

/// What a Migration asks of its resources phase, with the defaults of the reference.
struct ResourceWishes: Hashable, Sendable {
  var includeResources: Bool
  var startApplications: Bool
  var purgeDeletedResources: Bool
  var skipServiceUpdate: Bool
  var ignoreOwners: Bool
  var includeJobs: Bool
  /// Kinds in lower case.
  var excludedKinds: Set<String>
  var selectors: ObjectSelectors

  init(_ migration: KubeObject) {
    let spec = migration.spec
    func flag(_ key: String, _ standard: Bool) -> Bool { spec[key]?.bool ?? standard }
    func words(_ key: String) -> Set<String> {
      Set((spec[key]?.array ?? []).compactMap { $0.string?.lowercased() })
    }
    includeResources = flag("includeResources", true)
    startApplications = flag("startApplications", false)
    purgeDeletedResources = flag("purgeDeletedResources", false)
    skipServiceUpdate = flag("skipServiceUpdate", false)
    ignoreOwners = flag("ignoreOwnerReferencesCheck", false)
    includeJobs = !words("includeOptionalResourceTypes").isDisjoint(with: ["job", "jobs"])
    excludedKinds = words("excludeResourceTypes")
    selectors = ObjectSelectors(migration)
  }

  /// The namespaced kinds to collect, claims first.
  var kinds: [ResourceKind] {
    let all = includeResources ? MigratedKinds.namespaced : [.persistentVolumeClaim]
    return all.filter { kind in
      !excludedKinds.contains(kind.kind.lowercased()) && (includeJobs || kind.resource != ResourceKind.job.resource)
    }
  }
}

/// The kinds that travel with a Migration.
enum MigratedKinds {
  /// In the order in which they are applied: what others refer to comes first.
  static let namespaced: [ResourceKind] = [
    .persistentVolumeClaim, .serviceAccount, .configMap, .secret, .service, .deployment, .statefulSet, .cronJob, .job,
  ]
  /// Whose replicas are set to 0 while the applications are not to start.
  static let scaled: Set<String> = [ResourceKind.deployment.resource, ResourceKind.statefulSet.resource]

  /// The kind of a document's own `apiVersion` and `kind`.
  static func kind(of object: KubeObject, in kinds: [ResourceKind]) -> ResourceKind? {
    kinds.first { $0.apiVersion == object.apiVersion && $0.kind == object.kind }
  }
}
