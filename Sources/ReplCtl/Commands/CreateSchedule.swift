import APIModel
import ArgumentParser

struct CreateMigrationSchedule: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "migrationschedules", abstract: "Makes a schedule that ships namespaces again and again.",
    aliases: ["migrationschedule"])

  @Argument(help: "Name of the MigrationSchedule.") var names: [String] = []
  @Option(
    name: [.customShort("c"), .customLong("cluster-pair"), .customLong("clusterPair")], help: "Name of the ClusterPair."
  )
  var clusterPair = ""
  @Option(help: "ClusterPair in the admin namespace, for cluster-wide objects.") var adminClusterPair = ""
  @Option(help: "Namespaces, separated by commas.") var namespaces = ""
  @Option(help: "Labels k=v,... of further namespaces.") var namespaceSelectors = ""
  @Option(name: [.customShort("s"), .long], help: "Schedule policy; default-migration-policy if not given.")
  var schedulePolicyName: String?
  @Option(name: [.short, .long], help: "Minutes between runs: makes a policy of the schedule's name.")
  var interval: Int64?
  @Option(help: "Ship data only, no objects.") var excludeResources = false
  @Option(help: "Ship objects only, no data.") var excludeVolumes: Bool?
  @Option(name: [.customShort("a"), .long], help: "Start the applications at the peer.") var startApplications = false
  @Option(help: "Rule to run before.") var preExecRule = ""
  @Option(help: "Rule to run afterwards.") var postExecRule = ""
  @Option(help: "Make it suspended.") var suspend = false
  @Option(help: "Go on after the applications were activated at the peer.") var disableAutoSuspend = false
  @Option(help: "Fail when a namespace is gone.") var disableSkipDeletedNamespaces = false
  @Option(help: "Take owned objects along.") var ignoreOwnerReferencesCheck = false
  @Option(help: "Delete objects at the peer that are gone here. Never data.") var purgeDeletedResources = false
  @Option(help: "Leave the fields of Services as they are.") var skipServiceUpdate = false
  @Option(help: "Take network policies with address blocks along.") var includeNetworkPolicyWithCIDR = false
  @Option(help: "Take Jobs along.") var includeJobs = false
  @Option(help: "Labels k=v,... that objects must have.") var selectors = ""
  @Option(help: "Labels k=v,... of objects that stay.") var excludeSelectors = ""
  @Option(help: "Annotations k=v,... of the schedule.") var annotations = ""
  @Option(help: "Kinds that stay, separated by commas.") var excludeResourceTypes = ""
  @OptionGroup var options: GlobalOptions

  func run() throws {
    guard names.count == 1, let name = names.first else {
      throw Failure.usage("exactly one name needs to be provided for migration schedule name")
    }
    guard !clusterPair.isEmpty else {
      throw Failure.usage("ClusterPair name needs to be provided for migration schedule")
    }
    let client = options.client
    let catalog = try KindCatalog(client)
    var object = KubeObject(
      apiVersion: "stork.libopenstorage.org/v1alpha1", kind: "MigrationSchedule", namespace: options.namespace,
      name: name)
    let notes = try KeyValues.parse(annotations, flag: "annotations")
    if !notes.isEmpty { object[metadata: "annotations"] = .object(notes) }
    let template = try template(catalog, client)
    let policy = try policy(name, catalog, client)
    object.json["spec"] = [
      "template": ["spec": template], "schedulePolicyName": .string(policy), "suspend": .bool(suspend),
      "autoSuspend": .bool(!disableAutoSuspend),
    ]
    let made: JSONValue
    do throws(Failure) {
      made = try client.send(
        "POST", catalog.kind("migrationschedules").path(namespace: options.namespace), body: object.json)
    } catch {
      // A policy for this schedule alone is of use to nobody else.
      if interval != nil {
        _ = try? client.send("DELETE", catalog.kind("schedulepolicies").path(namespace: nil, name: policy))
      }
      throw error
    }
    try options.print(made) { "MigrationSchedule \(name) created successfully" }
  }
}

extension CreateMigrationSchedule {
  private func template(_ catalog: KindCatalog, _ client: AgentClient) throws(Failure) -> JSONValue {
    let namespaces = try checkedNamespaces(catalog, client)
    var spec: JSONValue = [
      "clusterPair": .string(clusterPair), "namespaces": .array(namespaces.map(JSONValue.string)),
      "includeResources": .bool(!excludeResources), "includeVolumes": .bool(try includeVolumes(catalog, client)),
      "startApplications": .bool(startApplications), "preExecRule": .string(preExecRule),
      "postExecRule": .string(postExecRule), "skipDeletedNamespaces": .bool(!disableSkipDeletedNamespaces),
      "ignoreOwnerReferencesCheck": .bool(ignoreOwnerReferencesCheck),
      "purgeDeletedResources": .bool(purgeDeletedResources), "skipServiceUpdate": .bool(skipServiceUpdate),
      "includeNetworkPolicyWithCIDR": .bool(includeNetworkPolicyWithCIDR),
    ]
    if !adminClusterPair.isEmpty { spec["adminClusterPair"] = .string(adminClusterPair) }
    if includeJobs { spec["includeOptionalResourceTypes"] = ["Job"] }
    for (key, text) in [
      ("namespaceSelectors", namespaceSelectors), ("selectors", selectors), ("excludeSelectors", excludeSelectors),
    ] where !text.isEmpty {
      spec[key] = .object(try KeyValues.parse(text, flag: key))
    }
    let excluded = try excludeResourceTypes.split(separator: ",").map { word throws(Failure) -> JSONValue in
      guard let entry = try? catalog.kind(String(word)) else {
        throw Failure.usage("error getting k8s resource type for input resourcetype: \(word)")
      }
      return .string(entry.kind)
    }
    if !excluded.isEmpty { spec["excludeResourceTypes"] = .array(excluded) }
    return spec
  }

  /// Without storage options there is nothing that could carry data.
  private func includeVolumes(_ catalog: KindCatalog, _ client: AgentClient) throws(Failure) -> Bool {
    let pairs = try catalog.kind("clusterpairs")
    if !adminClusterPair.isEmpty,
      try client.find(pairs.path(namespace: SystemNamespace.admin, name: adminClusterPair)) == nil
    {
      throw Failure(.notFound, "", "unable to find the admin cluster pair in the admin namespace")
    }
    guard let pair = try client.find(pairs.path(namespace: options.namespace, name: clusterPair)) else {
      throw Failure(.notFound, "", "unable to find the cluster pair in the given namespace")
    }
    guard pair[at: "spec.options"]?.object?.isEmpty ?? true else { return !(excludeVolumes ?? false) }
    if excludeVolumes == false {
      throw Failure.usage(
        "--exclude-volumes can only be set to true if it is a sync-dr use case or when storage options are not "
          + "provided in the cluster pair")
    }
    return false
  }

  private func checkedNamespaces(_ catalog: KindCatalog, _ client: AgentClient) throws(Failure) -> [String] {
    let listed = namespaces.split(separator: ",").map(String.init)
    let labels = try KeyValues.parse(namespaceSelectors, flag: "namespace-selectors")
    var all = Set(listed)
    if !labels.isEmpty {
      for namespace in try client.send("GET", ["api", "v1", "namespaces"])["items"]?.array ?? []
      where labels.contains(where: { namespace[path: ["metadata", "labels", $0.key]] == $0.value }) {
        all.insert(Field.text(namespace, "metadata.name"))
      }
    }
    guard !all.isEmpty else {
      throw Failure.usage("no valid namespace found based on the provided --namespaces and --namespace-selectors")
    }
    guard options.namespace == SystemNamespace.admin || all == [options.namespace] else {
      throw Failure.usage("migration namespaces should only contain the current namespace")
    }
    return listed
  }

  /// The policy's name; one is made for an interval, and the default one when it is missing.
  private func policy(_ name: String, _ catalog: KindCatalog, _ client: AgentClient) throws(Failure) -> String {
    let policies = try catalog.kind("schedulepolicies")
    if let interval {
      guard schedulePolicyName == nil else {
        throw Failure.usage("must provide only one of schedule-policy-name or interval values")
      }
      do throws(Failure) { try Self.makePolicy(name, minutes: interval, policies, client) } catch {
        throw Failure(
          error.code, "", "could not create a schedule policy with specified interval: \(error.cause)")
      }
      return name
    }
    let name = schedulePolicyName ?? Self.defaultPolicy
    let own = try catalog.kind("namespacedschedulepolicies").path(namespace: options.namespace, name: name)
    if try client.find(own) != nil { return name }
    if try client.find(policies.path(namespace: nil, name: name)) != nil { return name }
    guard schedulePolicyName == nil else {
      throw Failure(
        .notFound, "", "unable to get schedulepolicy \(name): \(policies.resource) \"\(name)\" not found",
        remedy: "replctl create schedulepolicy \(name), or choose one of `replctl get schedulepolicy`")
    }
    try Self.makePolicy(name, minutes: 30, policies, client)
    return name
  }

  private static let defaultPolicy = "default-migration-policy"

  private static func makePolicy(
    _ name: String, minutes: Int64, _ policies: KindEntry, _ client: AgentClient
  ) throws(Failure) {
    if let complaint = PolicyRules.interval(minutes) { throw Failure.usage(complaint) }
    var object = KubeObject(apiVersion: policies.apiVersion, kind: policies.kind, namespace: nil, name: name)
    object.json["policy"] = ["interval": ["intervalMinutes": .integer(minutes), "retain": 10]]
    _ = try client.send("POST", policies.path(namespace: nil), body: object.json)
  }
}

/// Namespaces with a meaning.
enum SystemNamespace {
  /// The one whose objects may name other namespaces.
  static let admin = "kube-system"
}

/// Flags of the form `k=v,k=v`.
enum KeyValues {
  static func parse(_ text: String, flag: String) throws(Failure) -> [String: JSONValue] {
    var values: [String: JSONValue] = [:]
    for pair in text.split(separator: ",") {
      guard let equals = pair.firstIndex(of: "="), equals != pair.startIndex else {
        throw Failure.usage("invalid value \"\(pair)\" for --\(flag): it must be of the form key=value")
      }
      values[String(pair[..<equals])] = .string(String(pair[pair.index(after: equals)...]))
    }
    return values
  }
}
