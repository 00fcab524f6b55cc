import APIModel
import Testing

@testable import KubeModel
@testable import KubeServer
@testable import ReplAgent
@testable import StorkControllers

@Suite("Preparation of objects that travel")
struct ResourcePreparationTests {
  private func preparation(_ spec: [String: JSONValue] = [:]) -> ResourcePreparation {
    ResourcePreparation(
      wishes: ResourceWishes(MigrationFixture.migration(spec)), migrationName: "m", migrationNamespace: "shop",
      now: 1_550_182_611)
  }

  private func object(_ kind: ResourceKind, _ fields: [String: JSONValue]) -> KubeObject {
    var object = kind.object(namespace: "shop", name: "x")
    for (path, value) in fields { object.json[at: path] = value }
    return object
  }

  @Test("Name, namespace, labels and annotations are the metadata that is left, and no status")
  func metadata() {
    let prepared = preparation().prepare(
      .configMap,
      object(
        .configMap,
        [
          "metadata.uid": "u", "metadata.resourceVersion": "7", "metadata.finalizers": ["f"],
          "metadata.ownerReferences": [["uid": "o"]], "metadata.labels": ["app": "x", "field.cattle.io/p": "1"],
          "metadata.annotations": ["a": "b", "repl-agent/volume-id": "v"], "data": ["k": "v"], "status": ["s": 1],
        ]))
    #expect(prepared.metadata.object.map { Set($0.keys) } == ["name", "namespace", "labels", "annotations"])
    #expect(prepared.labels == ["app": "x"])
    #expect(prepared.annotations["a"] == "b" && prepared.annotations["repl-agent/volume-id"] == nil)
    #expect(prepared.json["status"] == nil && prepared.json[at: "data.k"] == "v")
  }

  @Test("Every object says which Migration prepared it, and when in UTC")
  func marks() {
    let annotations = preparation().prepare(.configMap, object(.configMap, [:])).annotations
    #expect(annotations["stork.libopenstorage.org/migrated"] == "true")
    #expect(annotations["stork.libopenstorage.org/migrationName"] == "m")
    #expect(annotations["stork.libopenstorage.org/migrationNamespace"] == "shop")
    #expect(annotations["stork.libopenstorage.org/migrationTime"] == "2019-02-14-221651")
  }

  @Test("Equal objects have equal hashes whatever their status or the time; others do not")
  func hash() {
    func hash(_ fields: [String: JSONValue], now: Int64 = 1) -> String? {
      var preparation = preparation()
      preparation.now = now
      return preparation.prepare(.configMap, object(.configMap, fields)).annotations[MigrationMark.hash]
    }
    let first = hash(["data": ["k": "v"]])
    #expect(first.flatMap { UInt64($0) } != nil)
    #expect(hash(["data": ["k": "v"], "status": ["s": 1], "metadata.uid": "u"], now: 99) == first)
    #expect(hash(["data": ["k": "w"]]) != first)
  }

  @Test("Workloads arrive with 0 replicas and remember theirs in both spellings")
  func replicas() {
    for kind in [ResourceKind.deployment, .statefulSet] {
      let prepared = preparation().prepare(kind, object(kind, ["spec.replicas": 3]))
      #expect(prepared.spec["replicas"] == 0)
      #expect(prepared.annotations["stork.libopenstorage.org/migrationReplicas"] == "3")
      #expect(prepared.annotations["stork.openstorage.org/migrationReplicas"] == "3")
      #expect(prepared.labels["stork.libopenstorage.org/migrated"] == "true")
      let absent = preparation().prepare(kind, object(kind, ["spec.selector": ["a": "b"]]))
      #expect(absent.annotations["stork.libopenstorage.org/migrationReplicas"] == "1")
    }
  }

  @Test("A workload that was scaled down here keeps the count it had, whichever way it travels")
  func carriedForward() {
    for key in MigrationMark.replicas {
      let stopped = object(.deployment, ["spec.replicas": 0, "metadata.annotations": .object([key: "4"])])
      let prepared = preparation().prepare(.deployment, stopped)
      #expect(prepared.annotations[MigrationMark.replicas[0]] == "4")
      let started = preparation(["startApplications": true]).prepare(.deployment, stopped)
      #expect(started.spec["replicas"] == 4)
      #expect(MigrationMark.replicas.allSatisfy { started.annotations[$0] == nil })
    }
  }

  @Test("CronJobs are suspended unless the applications start")
  func cronJobs() {
    let cronJob = object(.cronJob, ["spec.schedule": "* * * * *"])
    #expect(preparation().prepare(.cronJob, cronJob).spec["suspend"] == true)
    #expect(preparation(["startApplications": true]).prepare(.cronJob, cronJob).spec["suspend"] == nil)
  }

  @Test("A Service loses the addresses of its cluster, unless it is headless or says otherwise")
  func services() {
    let fields: [String: JSONValue] = [
      "spec.clusterIP": "10.0.0.1", "spec.clusterIPs": ["10.0.0.1"], "spec.loadBalancerIP": "192.0.2.1",
    ]
    let prepared = preparation().prepare(.service, object(.service, fields))
    #expect(prepared.spec["clusterIP"] == "" && prepared.spec["clusterIPs"] == nil)
    #expect(prepared.spec["loadBalancerIP"] == nil)
    let headless = object(.service, fields.merging(["spec.clusterIP": "None"]) { $1 })
    #expect(preparation().prepare(.service, headless).spec["clusterIP"] == "None")
    #expect(
      preparation(["skipServiceUpdate": true]).prepare(.service, object(.service, fields)).spec["clusterIP"]
        == "10.0.0.1")
    let kept = object(
      .service,
      fields.merging(["metadata.annotations": ["stork.libopenstorage.org/skip-modify-resource": "true"]]) { $1 })
    #expect(preparation().prepare(.service, kept).spec["clusterIP"] == "10.0.0.1")
  }

  @Test("A volume gives up claim and class and is retained; what they were is remembered")
  func volumes() {
    let prepared = preparation().prepare(
      .persistentVolume,
      object(
        .persistentVolume,
        [
          "spec.claimRef": ["name": "db"], "spec.storageClassName": "fast",
          "spec.persistentVolumeReclaimPolicy": "Delete",
        ]))
    #expect(prepared.spec["claimRef"] == nil && prepared.spec["storageClassName"] == "")
    #expect(prepared.spec["persistentVolumeReclaimPolicy"] == "Retain")
    #expect(prepared.annotations["stork.libopenstorage.org/reclaimPolicy"] == "Delete")
    #expect(prepared.annotations["stork.libopenstorage.org/current-storage-class-name"] == "fast")
  }

  @Test("A Job loses the labels of its controller")
  func jobs() {
    let prepared = preparation().prepare(
      .job,
      object(
        .job,
        [
          "metadata.labels": ["controller-uid": "u", "app": "x"],
          "spec.selector.matchLabels": ["batch.kubernetes.io/controller-uid": "u"],
          "spec.template.metadata.labels": ["controller-uid": "u", "job-name": "x"],
        ]))
    #expect(prepared.labels == ["app": "x"])
    #expect(prepared.json[at: "spec.selector.matchLabels"] == [:])
    #expect(prepared.json[at: "spec.template.metadata.labels"] == ["job-name": "x"])
  }
}

@Suite("Which objects travel")
struct ResourceSelectionTests {
  private func object(_ kind: ResourceKind, _ name: String, _ fields: [String: JSONValue] = [:]) -> (
    kind: ResourceKind, object: KubeObject
  ) {
    var object = kind.object(namespace: "shop", name: name)
    object.json[at: "metadata.uid"] = .string("uid-\(name)")
    for (path, value) in fields { object.json[at: path] = value }
    return (kind, object)
  }

  private func chosen(
    _ objects: [(kind: ResourceKind, object: KubeObject)], _ spec: [String: JSONValue] = [:]
  ) -> [String] {
    let selection = ResourceSelection(wishes: ResourceWishes(MigrationFixture.migration(spec)))
    return selection.withoutOwned(objects.filter { selection.isMeant($0.kind, $0.object) }).map(\.object.name)
  }

  @Test("All selectors must match, and no excluding one may")
  func selectors() {
    let objects = [
      object(.configMap, "both", ["metadata.labels": ["a": "1", "b": "2"]]),
      object(.configMap, "one", ["metadata.labels": ["a": "1"]]), object(.configMap, "none"),
    ]
    #expect(chosen(objects) == ["both", "one", "none"])
    #expect(chosen(objects, ["selectors": ["a": "1", "b": "2"]]) == ["both"])
    #expect(chosen(objects, ["excludeSelectors": ["b": "2", "c": "3"]]) == ["one", "none"])
  }

  @Test("What is annotated to be skipped, or is being deleted, stays")
  func skipped() {
    let objects = ["stork.libopenstorage.org/skip-resource", "stork.libopenstorage.org/skipresource"].map {
      object(.configMap, "x", ["metadata.annotations": .object([$0: "true"])])
    }
    #expect(chosen(objects).isEmpty)
    #expect(chosen([object(.configMap, "x", ["metadata.deletionTimestamp": "2026-01-01T00:00:00Z"])]).isEmpty)
  }

  @Test("What every cluster makes for itself stays")
  func clustersOwn() {
    let objects = [
      object(.service, "kubernetes"), object(.configMap, "kube-root-ca.crt"),
      object(.configMap, "openshift-service-ca.crt"), object(.secret, "default-token-x"),
      object(.secret, "builder-dockercfg-x"), object(.serviceAccount, "default"),
      object(.serviceAccount, "builder", ["imagePullSecrets": [["name": "builder-dockercfg-1"]]]),
      object(.persistentVolumeClaim, "unbound", ["status.phase": "Pending"]),
    ]
    #expect(chosen(objects).isEmpty)
    let own = [
      object(.serviceAccount, "deployer", ["imagePullSecrets": [["name": "registry"]]]),
      object(.serviceAccount, "shop"), object(.secret, "password"),
    ]
    #expect(chosen(own) == ["deployer", "shop", "password"])
  }

  @Test("Objects that come with their owner are left out, unless somebody asks for them")
  func owners() {
    let owner = object(.deployment, "owner")
    let reference: JSONValue = [["kind": "Deployment", "uid": "uid-owner"]]
    let owned = object(.service, "owned", ["metadata.ownerReferences": reference])
    let foreign = object(.service, "foreign", ["metadata.ownerReferences": [["kind": "Thing", "uid": "elsewhere"]]])
    let ofPod = object(.configMap, "of-pod", ["metadata.ownerReferences": [["kind": "Pod", "uid": "p"]]])
    let map = object(.configMap, "map", ["metadata.ownerReferences": reference])
    #expect(chosen([owner, owned, foreign, ofPod, map]) == ["owner", "foreign", "map"])
    #expect(chosen([owner, owned], ["ignoreOwnerReferencesCheck": true]) == ["owner", "owned"])
    var asked = owned
    asked.object.json[at: "metadata.annotations"] = ["stork.libopenstorage.org/skip-owner-ref-check": "true"]
    #expect(chosen([owner, asked]) == ["owner", "owned"])
  }

  @Test("Kinds follow the Migration: Jobs on demand, none that is excluded, claims only without resources")
  func kinds() {
    func kinds(_ spec: [String: JSONValue]) -> [String] {
      ResourceWishes(MigrationFixture.migration(spec)).kinds.map(\.kind)
    }
    #expect(!kinds([:]).contains("Job") && kinds([:]).contains("CronJob"))
    #expect(kinds(["includeOptionalResourceTypes": ["Jobs"]]).contains("Job"))
    #expect(!kinds(["excludeResourceTypes": ["SECRET"]]).contains("Secret"))
    #expect(kinds(["includeResources": false]) == ["PersistentVolumeClaim"])
  }
}
