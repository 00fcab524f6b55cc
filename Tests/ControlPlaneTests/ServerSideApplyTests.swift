import APIModel
import TestSupport
import Testing

@testable import KubeModel
@testable import KubeServer
@testable import ReplAgent
@testable import StorkControllers

/// A control plane whose objects several managers write.
private struct Managers {
  let call: APICall

  init() async throws { call = try await APICall() }

  static let deployments = "apis/apps/v1/namespaces/default/deployments"
  static let configMaps = "api/v1/namespaces/default/configmaps"
  static let rules = "apis/stork.libopenstorage.org/v1alpha1/namespaces/default/rules"

  func apply(_ path: String, _ body: JSONValue, by manager: String, _ options: String = "") async throws
    -> APICall.Answer
  {
    try await call.send(
      "PATCH", path, query: "fieldManager=\(manager)&\(options)", bytes: JSONWriter.bytes(body),
      type: "application/apply-patch+yaml")
  }

  func merge(_ path: String, _ body: JSONValue, by manager: String) async throws -> APICall.Answer {
    try await call.send(
      "PATCH", path, query: "fieldManager=\(manager)", bytes: JSONWriter.bytes(body),
      type: "application/merge-patch+json")
  }

  static func config(_ data: JSONValue, labels: JSONValue? = nil) -> JSONValue {
    var config: JSONValue = [
      "apiVersion": "v1", "kind": "ConfigMap", "metadata": ["name": "settings"], "data": data,
    ]
    if let labels { config[at: "metadata.labels"] = labels }
    return config
  }

  static func deployment(replicas: Int64? = nil, containers: JSONValue) -> JSONValue {
    var deployment: JSONValue = [
      "apiVersion": "apps/v1", "kind": "Deployment", "metadata": ["name": "web"],
      "spec": [
        "selector": ["matchLabels": ["app": "web"]],
        "template": ["metadata": ["labels": ["app": "web"]], "spec": ["containers": containers]],
      ],
    ]
    if let replicas { deployment[at: "spec.replicas"] = .integer(replicas) }
    return deployment
  }
}

extension APICall.Answer {
  /// The fields of a manager's entry, as text.
  fileprivate func owned(_ manager: String, _ operation: String, subresource: String? = nil) -> JSONValue? {
    entry(manager, operation, subresource: subresource)?["fieldsV1"]
  }

  fileprivate func entry(_ manager: String, _ operation: String, subresource: String? = nil) -> JSONValue? {
    object.metadata["managedFields"]?.array?.first {
      $0["manager"]?.string == manager && $0["operation"]?.string == operation
        && $0["subresource"]?.string == subresource
    }
  }
}

@Suite("Server-side apply")
struct ServerSideApplyTests {
  private typealias M = Managers
  private let settings = "\(Managers.configMaps)/settings"
  private let web = "\(Managers.deployments)/web"

  @Test("makes what is missing; the manager owns what it applied and nothing else")
  func create() async throws {
    let m = try await M()
    let made = try await m.apply(settings, M.config(["a": "1"], labels: ["l": "x"]), by: "one")
    #expect(made.code == 201)
    let entry = try #require(made.entry("one", "Apply"))
    #expect(entry["apiVersion"] == "v1" && entry["fieldsType"] == "FieldsV1" && entry["time"]?.string != nil)
    #expect(entry["fieldsV1"] == ["f:data": ["f:a": [:]], "f:metadata": ["f:labels": ["f:l": [:]]]])
    #expect(made.object.metadata["managedFields"]?.array?.count == 1)
    let workload = try await m.apply(web, M.deployment(containers: [["name": "c", "image": "i"]]), by: "one")
    #expect(workload.object.spec["replicas"] == 1, "a default, and nobody's")
    #expect(workload.owned("one", "Apply")?[at: "f:spec.f:replicas"] == nil)
    #expect(workload.owned("one", "Apply")?[at: "f:spec.f:selector"] == [:])
  }

  @Test("needs a manager, of bounded length, and knows no managedFields in its body")
  func refused() async throws {
    let m = try await M()
    let body = M.config(["a": "1"])
    #expect(try await m.apply(settings, body, by: "").code == 422)
    #expect(try await m.apply(settings, body, by: String(repeating: "x", count: 129)).code == 422)
    #expect(try await m.merge(settings, body, by: "tab%09").code == 422)
    let forced = try await m.call.send(
      "PATCH", settings, query: "force=true", body: "{}", type: "application/merge-patch+json")
    #expect(forced.code == 422)
    for list in [JSONValue.array([]), [["manager": "x"]]] {
      var owned = body
      owned[at: "metadata.managedFields"] = list
      let answer = try await m.apply(settings, owned, by: "one")
      #expect(answer.code == 400 && answer.message == "metadata.managedFields must be nil")
    }
    let twice = M.deployment(containers: [["name": "c"], ["name": "c"]])
    let answer = try await m.apply(web, twice, by: "one")
    #expect(
      answer.code == 400 && answer.message.contains(#"duplicate entries for key [name="c"]"#), "\(answer.message)")
    let unnamed = try await m.apply(web, M.deployment(containers: [["image": "i"]]), by: "one")
    #expect(unnamed.code == 400 && unnamed.message.contains("omits all key fields"), "\(unnamed.message)")
    #expect(try await m.call.send("GET", settings).code == 404)
  }

  @Test("Nothing is written by a dry run, nor twice by the same configuration")
  func idempotent() async throws {
    let m = try await M()
    #expect(try await m.apply(settings, M.config(["a": "1"]), by: "one", "dryRun=All").code == 201)
    #expect(try await m.call.send("GET", settings).code == 404)
    let made = try await m.apply(settings, M.config(["a": "1"]), by: "one")
    m.call.fixture.clock.advance(60)
    #expect(try await m.apply(settings, M.config(["a": "1"]), by: "one").json == made.json)
    let dry = try await m.apply(settings, M.config(["a": "2"]), by: "one", "dryRun=All")
    #expect(dry.json[at: "data.a"] == "2")
    #expect(try await m.call.send("GET", settings).json == made.json)
    let changed = try await m.apply(settings, M.config(["a": "2"]), by: "one")
    #expect(changed.object.resourceVersion != made.object.resourceVersion)
    #expect(changed.entry("one", "Apply")?["time"] != made.entry("one", "Apply")?["time"])
  }

  @Test("What the manager leaves out goes, unless somebody else owns it or nobody ever did")
  func prune() async throws {
    let m = try await M()
    _ = try await m.apply(settings, M.config(["a": "1", "b": "2", "c": "3"], labels: ["l": "x"]), by: "one")
    _ = try await m.apply(settings, M.config(["b": "2"]), by: "two")
    _ = try await m.merge(settings, ["data": ["d": "4"]], by: "editor")
    let less = try await m.apply(settings, M.config(["a": "1"]), by: "one")
    #expect(less.json["data"] == ["a": "1", "b": "2", "d": "4"])
    #expect(less.object.labels.isEmpty)
    #expect(less.owned("two", "Apply") == ["f:data": ["f:b": [:]]])
    #expect(less.owned("editor", "Update") == ["f:data": ["f:d": [:]]])
    let nothing = try await m.apply(settings, ["apiVersion": "v1", "kind": "ConfigMap"], by: "one")
    #expect(nothing.json["data"] == ["b": "2", "d": "4"] && nothing.entry("one", "Apply") == nil)
  }

  @Test("Elements of keyed lists come and go with their managers, in the order they are applied")
  func lists() async throws {
    let m = try await M()
    _ = try await m.apply(
      web, M.deployment(containers: [["name": "a", "image": "1"], ["name": "b", "image": "1"]]), by: "one")
    _ = try await m.apply(
      web,
      [
        "apiVersion": "apps/v1", "kind": "Deployment",
        "spec": ["template": ["spec": ["containers": [["name": "side", "image": "s"]]]]],
      ], by: "two")
    let names = { (answer: APICall.Answer) in
      answer.json[at: "spec.template.spec.containers"]?.array?.compactMap { $0["name"]?.string } ?? []
    }
    let reordered = try await m.apply(
      web, M.deployment(containers: [["name": "c", "image": "1"], ["name": "a", "image": "1"]]), by: "one")
    #expect(Set(names(reordered)) == ["c", "a", "side"] && reordered.code == 200)
    let order = names(reordered)
    #expect((order.firstIndex(of: "c") ?? 9) < (order.firstIndex(of: "a") ?? 0), "\(order)")
    let gone = try await m.apply(web, ["apiVersion": "apps/v1", "kind": "Deployment"], by: "two")
    #expect(names(gone) == ["c", "a"])
  }

  @Test("A field that another manager owns is not changed: 409 names the field and the manager; force takes it over")
  func conflict() async throws {
    let m = try await M()
    let containers: JSONValue = [["name": "c", "image": "1"]]
    _ = try await m.call.send(
      "POST", M.deployments, query: "fieldManager=kubectl-client-side-apply",
      bytes: JSONWriter.bytes(M.deployment(replicas: 2, containers: containers)))
    let refused = try await m.apply(web, M.deployment(replicas: 3, containers: containers), by: "one")
    #expect(refused.code == 409 && refused.json["reason"] == "Conflict")
    #expect(
      refused.json[at: "details.causes"] == [
        [
          "reason": "FieldManagerConflict", "field": ".spec.replicas",
          "message": "conflict with \"kubectl-client-side-apply\" using apps/v1",
        ]
      ])
    #expect(
      refused.message
        == "Apply failed with 1 conflict: conflict with \"kubectl-client-side-apply\" using apps/v1: .spec.replicas")
    let two = try await m.apply(
      web, M.deployment(replicas: 3, containers: [["name": "c", "image": "2"]]), by: "one")
    #expect(
      two.message.hasPrefix(
        "Apply failed with 2 conflicts: conflicts with \"kubectl-client-side-apply\" using apps/v1:\n- .spec.replicas\n"
      ))
    #expect(two.message.hasSuffix(#"- .spec.template.spec.containers[name="c"].image"#), "\(two.message)")
    let forced = try await m.apply(web, M.deployment(replicas: 3, containers: containers), by: "one", "force=true")
    #expect(forced.code == 200 && forced.object.spec["replicas"] == 3)
    #expect(forced.owned("one", "Apply")?[at: "f:spec.f:replicas"] == [:])
    #expect(forced.owned("kubectl-client-side-apply", "Update")?[at: "f:spec.f:replicas"] == nil)
    let back = try await m.apply(web, M.deployment(replicas: 2, containers: containers), by: "two")
    #expect(back.message.contains("conflict with \"one\": .spec.replicas"), "\(back.message)")
  }

  @Test("Equal values are shared: either manager may let go, and neither may change them alone")
  func shared() async throws {
    let m = try await M()
    _ = try await m.apply(settings, M.config(["a": "1"]), by: "one")
    let both = try await m.apply(settings, M.config(["a": "1"]), by: "two")
    #expect(both.code == 200 && both.owned("one", "Apply") == both.owned("two", "Apply"))
    #expect(try await m.apply(settings, M.config(["a": "2"]), by: "one").code == 409)
    #expect(try await m.apply(settings, M.config(["z": "9"]), by: "one").json["data"] == ["a": "1", "z": "9"])
    #expect(try await m.apply(settings, M.config(["a": "2"]), by: "two").code == 200)
  }

  @Test("Applying twice never changes anything, whatever is applied in between", arguments: 0..<40)
  func property(_ seed: UInt64) async throws {
    var numbers = SeededGenerator(seed: seed)
    let m = try await M()
    for _ in 0..<12 {
      let manager = ["one", "two", "three"].randomElement(using: &numbers) ?? ""
      let keys = ["a", "b", "c", "d"].filter { _ in Bool.random(using: &numbers) }
      let names = ["x", "y", "z"].filter { _ in Bool.random(using: &numbers) }.shuffled(using: &numbers)
      var body = M.deployment(
        containers: .array(
          names.map { ["name": .string($0), "image": .string("i\(Int.random(in: 0...1, using: &numbers))")] }))
      body[at: "metadata.labels"] = .object(keys.reduce(into: [:]) { $0[$1] = "v" })
      let first = try await m.apply(web, body, by: manager, "force=true")
      #expect(first.code < 300, "seed \(seed): \(first.message)")
      m.call.fixture.clock.advance(5)
      let again = try await m.apply(web, body, by: manager)
      #expect(again.json == first.json, "seed \(seed)")
      let labels = Set(first.object.labels.keys)
      #expect(labels.isSuperset(of: keys), "seed \(seed)")
    }
  }

  @Test("The status and the scale are applied through their subresources, each with an entry of its own")
  func subresources() async throws {
    let m = try await M()
    var body = M.deployment(replicas: 1, containers: [["name": "c", "image": "i"]])
    body["status"] = ["replicas": 7]
    let made = try await m.apply(web, body, by: "one")
    #expect(made.object.status["replicas"] == nil && made.owned("one", "Apply")?["f:status"] == nil)
    let status = try await m.apply(web + "/status", body, by: "one")
    #expect(status.object.status["replicas"] == 7)
    #expect(status.owned("one", "Apply", subresource: "status") == ["f:status": ["f:replicas": [:]]])
    let scale: JSONValue = [
      "apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": ["name": "web"], "spec": ["replicas": 5],
    ]
    #expect(try await m.apply(web + "/scale", scale, by: "scaler").code == 409)
    #expect(try await m.apply(web + "/scale", scale, by: "scaler", "force=true").json[at: "spec.replicas"] == 5)
    let after = try await m.call.send("GET", web)
    #expect(after.owned("scaler", "Apply", subresource: "scale") == ["f:spec": ["f:replicas": [:]]])
    #expect(after.owned("one", "Apply")?[at: "f:spec.f:replicas"] == nil)
    let refused = try await m.apply(web, body, by: "one")
    #expect(refused.message.contains(#"conflict with "scaler" with subresource "scale": .spec.replicas"#))
  }

  @Test("Kinds without descriptions of their lists own them whole")
  func custom() async throws {
    let m = try await M()
    let rule: JSONValue = [
      "apiVersion": "stork.libopenstorage.org/v1alpha1", "kind": "Rule", "metadata": ["name": "r"],
      "rules": [["podSelector": ["app": "x"]]],
    ]
    let made = try await m.apply("\(M.rules)/r", rule, by: "one")
    #expect(made.code == 201 && made.owned("one", "Apply") == ["f:rules": [:]])
    var other = rule
    other["rules"] = []
    let refused = try await m.apply("\(M.rules)/r", other, by: "two")
    #expect(refused.json[at: "details.causes"]?.array?.compactMap { $0["field"]?.string } == [".rules"])
  }
}

@Suite("Owners of fields")
struct FieldOwnershipTests {
  private typealias M = Managers
  private let settings = "\(Managers.configMaps)/settings"

  private func post(_ m: Managers, _ body: JSONValue, by manager: String) async throws -> APICall.Answer {
    try await m.call.send("POST", M.configMaps, query: "fieldManager=\(manager)", bytes: JSONWriter.bytes(body))
  }

  @Test("Who creates an object owns its fields; who changes one owns that")
  func update() async throws {
    let m = try await M()
    let made = try await post(m, M.config(["a": "1", "b": "2"]), by: "maker")
    #expect(made.owned("maker", "Update") == ["f:data": [".": [:], "f:a": [:], "f:b": [:]]])
    m.call.fixture.clock.advance(10)
    let changed = try await m.merge(settings, ["data": ["a": "x", "b": .null]], by: "editor")
    #expect(changed.owned("maker", "Update") == ["f:data": [:]])
    #expect(changed.owned("editor", "Update") == ["f:data": ["f:a": [:]]])
    var whole = M.config(["a": "x", "new": "3"])
    whole[at: "metadata.labels"] = ["l": "v"]
    let put = try await m.call.send("PUT", settings, query: "fieldManager=putter", bytes: JSONWriter.bytes(whole))
    #expect(
      put.owned("putter", "Update") == ["f:data": ["f:new": [:]], "f:metadata": ["f:labels": [".": [:], "f:l": [:]]]])
    let same = try await m.call.send("PUT", settings, query: "fieldManager=other", bytes: JSONWriter.bytes(whole))
    #expect(same.json == put.json, "who changes nothing owns nothing")
  }

  @Test("Without a name, the manager is the program of the User-Agent")
  func userAgent() async throws {
    let m = try await M()
    func name(_ agent: String) throws -> String {
      let request = APIRequest(method: "POST", path: "/api/v1/x", userAgent: agent)
      let path = try #require(ResourcePath(["api", "v1", "configmaps"], registry: .standard))
      return try FieldManager(request, path, options: "CreateOptions").name
    }
    #expect(try name("kubectl/v1.32.4 (linux/amd64) kubernetes/1a2b3c4") == "kubectl")
    #expect(try name("") == "unknown" && (try name("a\u{7}b/1")) == "ab")
    #expect(try name(String(repeating: "y", count: 300)).utf8.count == 128)
    #expect(try await post(m, M.config(["a": "1"]), by: "").entry("unknown", "Update") != nil)
  }

  @Test("An empty list in a write forgets the owners; a list that cannot be read changes nothing")
  func reset() async throws {
    let m = try await M()
    let made = try await post(m, M.config(["a": "1"]), by: "maker")
    let odd = try await m.merge(settings, ["metadata": ["managedFields": [["manager": "x"]]]], by: "editor")
    #expect(odd.json == made.json)
    let path = #"[{"op":"replace","path":"/metadata/managedFields","value":[{}]}]"#
    let bare = try await m.call.send("PATCH", settings, body: path, type: "application/json-patch+json")
    #expect(bare.code == 200 && bare.object.metadata["managedFields"] == nil)
    #expect(bare.object.resourceVersion != made.object.resourceVersion)
    let untracked = try await m.merge(settings, ["data": ["b": "2"]], by: "editor")
    #expect(untracked.object.metadata["managedFields"] == nil, "it goes on without, as objects of before do")
    let applied = try await m.apply(settings, M.config(["a": "9"]), by: "one")
    #expect(applied.message.contains(#"conflict with "before-first-apply" using v1: .data.a"#))
    let shared = try await m.apply(settings, M.config(["a": "1"]), by: "one")
    #expect(shared.owned("before-first-apply", "Update")?[at: "f:data.f:b"] == [:])
    let empty = try await m.merge(settings, ["metadata": ["managedFields": []]], by: "editor")
    #expect(empty.object.metadata["managedFields"] == nil)
  }

  @Test("Whoever rewrites the list, as kubectl does when it goes over to applying here, has it stored")
  func rewritten() async throws {
    let m = try await M()
    var body = M.config(["a": "1", "b": "2"])
    let last = "kubectl.kubernetes.io/last-applied-configuration"
    body[path: ["metadata", "annotations", last]] = .string(body.compactText)
    let made = try await post(m, body, by: "kubectl-client-side-apply")
    let applied = try await m.apply(settings, M.config(["a": "2"]), by: "kubectl")
    #expect(applied.code == 200, "what the same client applied on its side before is no conflict: \(applied.message)")
    #expect(applied.object.annotations[last]?.contains(#""a":"2""#) == true)
    #expect(try await m.apply(settings, M.config(["b": "3"]), by: "other").code == 409)

    var list = try #require(made.object.metadata["managedFields"]?.array)
    list[0]["manager"] = "kubectl"
    list[0]["operation"] = "Apply"
    let patch: JSONValue = [
      ["op": "replace", "path": "/metadata/managedFields", "value": .array(list)],
      ["op": "replace", "path": "/metadata/resourceVersion", "value": .string(applied.object.resourceVersion)],
    ]
    let moved = try await m.call.send(
      "PATCH", settings, query: "fieldManager=kubectl", bytes: JSONWriter.bytes(patch),
      type: "application/json-patch+json")
    #expect(moved.code == 200 && moved.entry("kubectl", "Apply")?["time"] == list[0]["time"])
    let pruned = try await m.apply(settings, M.config(["a": "2"]), by: "kubectl")
    #expect(pruned.json["data"] == ["a": "2"], "what the client had applied, and leaves out now, goes")
  }

  @Test("The agent's own writes belong to repl-agent: its status is one field, in an entry that does not grow")
  func controllers() async throws {
    let m = try await M()
    let store = m.call.fixture.store
    var migration = ResourceKind.migration.object(namespace: "default", name: "m")
    migration.json["spec"] = ["clusterPair": "p"]
    _ = try await store.create(.migration, migration, dryRun: false)
    var size = 0
    for round in 0..<20 {
      let volumes = (0...round).map { JSONValue.object(["volume": .string("v\($0)"), "status": "Pending"]) }
      let written = try await store.update(.migration, namespace: "default", name: "m", part: .whole, dryRun: false) {
        var new = $0
        new.json["status"] = ["stage": "Volumes", "volumes": .array(volumes)]
        return new
      }
      let list = try #require(written.metadata["managedFields"])
      #expect(list.array?.count == 2)
      let entry = list.array?.first { $0["subresource"] == "status" }
      #expect(entry?["manager"] == "repl-agent" && entry?["operation"] == "Update")
      #expect(entry?["fieldsV1"] == ["f:status": [:]])
      if round > 0 { #expect(JSONWriter.bytes(list).count == size) }
      size = JSONWriter.bytes(list).count
    }
    #expect(size < 512)
  }

  @Test("Many managers are put together, the oldest first")
  func cap() async throws {
    let m = try await M()
    _ = try await post(m, M.config(["a": "1"]), by: "maker")
    for number in 0..<15 {
      m.call.fixture.clock.advance(1)
      _ = try await m.merge(settings, ["data": .object(["k\(number)": "v"])], by: "m\(number)")
    }
    let object = try await m.call.send("GET", settings)
    let names = object.object.metadata["managedFields"]?.array?.compactMap { $0["manager"]?.string } ?? []
    #expect(names.count == 10 && names.contains("ancient-changes") && names.contains("m14"), "\(names)")
    #expect(object.owned("ancient-changes", "Update")?[at: "f:data.f:k0"] == [:])
  }

  @Test("OpenAPI tells how lists are owned")
  func published() throws {
    let schema = OpenAPISchema.three.json(ResourceKind.deployment.schema)
    let pod = "properties.spec.properties.template.properties.spec.properties"
    let container = "\(pod).containers"
    #expect(schema[at: "\(container).x-kubernetes-list-type"] == "map")
    #expect(schema[at: "\(container).x-kubernetes-list-map-keys"] == ["name"])
    let ports = schema[at: "\(container).items.properties.ports"]
    #expect(ports?["x-kubernetes-list-map-keys"] == ["containerPort", "protocol"])
    #expect(ports?["x-kubernetes-patch-merge-key"] == "containerPort")
    #expect(schema[at: "properties.spec.properties.selector.x-kubernetes-map-type"] == "atomic")
    let metadata = OpenAPISchema.three.json(.metadata)
    #expect(metadata[at: "properties.finalizers.x-kubernetes-list-type"] == "set")
    #expect(metadata[at: "properties.ownerReferences.x-kubernetes-list-map-keys"] == ["uid"])
  }
}
