import APIModel
import Testing

@testable import KubeModel
@testable import KubeServer
@testable import ReplAgent
@testable import StorkControllers

private let core = "api/v1/namespaces/default"
private let apps = "apis/apps/v1/namespaces/default"
private let batch = "apis/batch/v1/namespaces/default"
private let merge = "application/merge-patch+json"
private let strategic = "application/strategic-merge-patch+json"
private let tableType = "application/json;as=Table;v=v1;g=meta.k8s.io"

@Suite("Built-in kinds") struct BuiltInKindTests {
  private static let template =
    #"{"spec":{"containers":[{"name":"c","image":"nginx:1.2","ports":[{"containerPort":80}]}]}}"#

  @Test("What is left out is filled in, again when it is cleared")
  func defaults() async throws {
    let api = try await APICall()
    let body = #"{"metadata":{"name":"d"},"spec":{"selector":{"matchLabels":{"a":"b"}},"template":\#(Self.template)}}"#
    let made = try await api.send("POST", "\(apps)/deployments", body: body)
    #expect(made.json[at: "spec.replicas"] == 1 && made.json[at: "spec.revisionHistoryLimit"] == 10)
    #expect(made.json[at: "spec.strategy.rollingUpdate.maxSurge"] == "25%")
    #expect(made.json[at: "spec.template.spec.restartPolicy"] == "Always" && made.object.generation == 1)
    let container = made.json[at: "spec.template.spec.containers"]?.array?.first
    #expect(container?["imagePullPolicy"] == "IfNotPresent")
    #expect(container?["ports"]?.array?.first?["protocol"] == "TCP")
    let same = try await api.send("PUT", "\(apps)/deployments/d", body: body)
    #expect(same.code == 200 && same.json == made.json, "defaults are no change")
    let cleared = try await api.send(
      "PATCH", "\(apps)/deployments/d", body: #"{"spec":{"replicas":null}}"#, type: merge)
    #expect(cleared.json == made.json)
    let job = try await api.send(
      "POST", "\(batch)/jobs", body: #"{"metadata":{"name":"j"},"spec":{"template":\#(Self.template)}}"#)
    #expect(job.json[at: "spec.backoffLimit"] == 6 && job.json[at: "spec.completions"] == 1)
    let service = try await api.send(
      "POST", "\(core)/services", body: #"{"metadata":{"name":"s"},"spec":{"ports":[{"port":80}]}}"#)
    #expect(service.json[at: "spec.ports"] == [["port": 80, "protocol": "TCP", "targetPort": 80]])
    #expect(service.json["status"] == ["loadBalancer": [:]])
  }

  @Test("Data of a ConfigMap or Secret has at most 1 MiB", arguments: ["configmaps", "secrets"])
  func dataSize(plural: String) async throws {
    let api = try await APICall(inMemory: true)
    for (bytes, code) in [(1 << 20, 201), ((1 << 20) + 1, 422)] {
      let text = [UInt8](repeating: 0x78, count: bytes)
      let key = plural == "secrets" ? "stringData" : "data"
      let value = String(decoding: text, as: UTF8.self)
      let body = JSONValue.object(["metadata": ["name": .string("b\(bytes)")], key: ["k": .string(value)]]).compactText
      let made = try await api.send("POST", "\(core)/\(plural)", body: body)
      #expect(made.code == code && made.json["data"]?["k"]?.string?.count ?? 0 < 2 << 20)
      if code == 422 { #expect(made.message.contains("1048576") && made.message.utf8.count < 1000) }
    }
  }

  @Test("Texts of a Secret become data and are not returned")
  func secretTexts() async throws {
    let api = try await APICall()
    let made = try await api.send(
      "POST", "\(core)/secrets",
      body: #"{"metadata":{"name":"s"},"data":{"a":"AA==","b":"AA=="},"stringData":{"b":"text"}}"#)
    #expect(made.json["data"] == ["a": "AA==", "b": "dGV4dA=="] && made.json["stringData"] == nil)
    #expect(made.json["type"] == "Opaque")
    let bad = try await api.send(
      "POST", "\(core)/secrets", body: #"{"metadata":{"name":"t"},"data":{"k":"pass word"}}"#)
    #expect(bad.code == 422 && !bad.message.contains("pass word"))
  }

  @Test(
    "What is fixed when an object is made stays as it is",
    arguments: [
      ("\(core)/secrets", #"{"metadata":{"name":"x"}}"#, #"{"type":"foo"}"#),
      ("\(core)/secrets", #"{"metadata":{"name":"x"},"immutable":true}"#, #"{"data":{"a":"AA=="}}"#),
      ("\(core)/configmaps", #"{"metadata":{"name":"x"},"immutable":true}"#, #"{"immutable":false}"#),
      (
        "apis/storage.k8s.io/v1/storageclasses", #"{"metadata":{"name":"x"},"provisioner":"p"}"#,
        #"{"reclaimPolicy":"Retain"}"#
      ),
      (
        "\(batch)/jobs", #"{"metadata":{"name":"x"},"spec":{"template":\#(template)}}"#,
        #"{"spec":{"template":{"spec":{"x":1}}}}"#
      ),
      (
        "\(core)/persistentvolumeclaims",
        #"{"metadata":{"name":"x"},"spec":{"accessModes":["a"],"resources":{"requests":{"storage":"1Gi"}}}}"#,
        #"{"spec":{"accessModes":["b"]}}"#
      ),
    ])
  func immutable(_ path: String, _ body: String, _ patch: String) async throws {
    let api = try await APICall()
    #expect(try await api.send("POST", path, body: body).code == 201)
    let refused = try await api.send("PATCH", "\(path)/x", body: patch, type: merge)
    #expect(refused.code == 422 && refused.message.contains("immutable"))
  }

  @Test("The real server's words for a changed type")
  func immutableText() async throws {
    let api = try await APICall()
    _ = try await api.send("POST", "\(core)/secrets", body: #"{"metadata":{"name":"s1"}}"#)
    let refused = try await api.send("PATCH", "\(core)/secrets/s1", body: #"{"type":"foo"}"#, type: merge)
    #expect(refused.message == #"Secret "s1" is invalid: type: Invalid value: "foo": field is immutable"#)
  }

  @Test("Rows of every kind have a cell for each column", arguments: ResourceRegistry.standard.kinds.map(\.kind))
  func columns(_ name: String) throws {
    let kind = try #require(ResourceRegistry.standard.kinds.first { $0.kind == name })
    let form = ObjectForm(form: .table, kind: kind, include: .none, clock: { 1_000 })
    let table = form.list([kind.object(namespace: "n", name: "x")], metadata: [:])
    let cells = try #require(table["rows"]?.array?.first?["cells"]?.array)
    #expect(cells.count == kind.columns.count)
    let place = try #require(kind.columns.firstIndex { $0.name == "Name" })
    #expect(cells[place] == "x")
  }

  @Test("Cells say what kubectl users expect")
  func cells() async throws {
    let api = try await APICall()
    _ = try await api.send(
      "POST", "\(core)/services",
      body:
        #"{"metadata":{"name":"s"},"spec":{"selector":{"b":"2","a":"1"},"ports":[{"port":80},{"port":53,"protocol":"UDP","name":"n"}]}}"#
    )
    _ = try await api.send(
      "POST", "\(core)/services",
      body: #"{"metadata":{"name":"s"},"spec":{"selector":{"b":"2","a":"1"},"ports":[{"port":80}]}}"#)
    let table = try await api.send("GET", "\(core)/services", accept: tableType)
    #expect(
      table.json["rows"]?.array?.first?["cells"] == ["s", "ClusterIP", "<none>", "<none>", "80/TCP", "0s", "a=1,b=2"])
  }

  @Test("Two ports of a Service need names")
  func portNames() async throws {
    let api = try await APICall()
    let refused = try await api.send(
      "POST", "\(core)/services", body: #"{"metadata":{"name":"s"},"spec":{"ports":[{"port":80},{"port":81}]}}"#)
    #expect(refused.code == 422 && refused.message.contains("spec.ports[0].name: Required value"))
  }

  @Test("PUT needs a version for Stork kinds and leases, not for other built-in kinds")
  func unconditionalUpdates() async throws {
    let api = try await APICall()
    let leases = "apis/coordination.k8s.io/v1/namespaces/default/leases"
    _ = try await api.send("POST", leases, body: #"{"metadata":{"name":"x"}}"#)
    #expect(try await api.send("PUT", "\(leases)/x", body: #"{"metadata":{"name":"x"}}"#).code == 422)
    _ = try await api.send("POST", "\(core)/configmaps", body: #"{"metadata":{"name":"x"}}"#)
    #expect(try await api.send("PUT", "\(core)/configmaps/x", body: #"{"metadata":{"name":"x"}}"#).code == 200)
  }

  @Test("Pods and replica sets can be asked for and are none")
  func emptyKinds() async throws {
    let api = try await APICall()
    let query = "fieldSelector=spec.nodeName%3Dn,status.phase%21%3DSucceeded"
    let pods = try await api.send("GET", "api/v1/pods", query: query)
    #expect(pods.json["kind"] == "PodList" && pods.json["items"] == [])
    #expect(try await api.send("GET", "\(apps)/replicasets").json["items"] == [])
    #expect(try await api.send("POST", "\(core)/pods", body: #"{"metadata":{"name":"p"}}"#).code == 405)
  }

  @Test("Events are found by their source, jobs by how many ended well")
  func renamedSelectors() async throws {
    let api = try await APICall()
    let event =
      #"{"metadata":{"name":"e"},"involvedObject":{"namespace":"default"},"source":{"component":"stork"},"reason":"R"}"#
    _ = try await api.send("POST", "\(core)/events", body: event)
    for (selector, count) in [("source%3Dstork", 1), ("source%3Dother", 0), ("reason%3DR,source%21%3Dx", 1)] {
      let found = try await api.send("GET", "\(core)/events", query: "fieldSelector=\(selector)")
      #expect(found.json["items"]?.array?.count == count, "\(selector)")
    }
  }
}

@Suite("Strategic merge patches") struct StrategicMergeTests {
  private func apply(_ patch: String, to value: String, kind: ResourceKind = .deployment) throws -> JSONValue {
    try StrategicMerge.apply(try JSONParser.parse(patch), to: try JSONParser.parse(value), schema: kind.schema)
  }

  private func containers(_ list: String) -> String { #"{"spec":{"template":{"spec":{"containers":\#(list)}}}}"# }

  @Test(
    "Containers merge by name; new ones come first unless an order is given",
    arguments: [
      (#"[{"name":"d"}]"#, #"[{"name":"d"},{"name":"c","image":"i"}]"#),
      (#"[{"name":"c","image":"j"}]"#, #"[{"name":"c","image":"j"}]"#),
      (#"[{"name":"c","$patch":"delete"}]"#, "[]"),
      (#"[{"name":"e"},{"$patch":"replace"}]"#, #"[{"name":"e"}]"#),
      (
        #"[{"name":"c","env":[{"name":"A","value":"1"}]}]"#,
        #"[{"name":"c","image":"i","env":[{"name":"A","value":"1"}]}]"#
      ),
    ])
  func keyedLists(_ patch: String, _ expected: String) throws {
    let result = try apply(containers(patch), to: containers(#"[{"name":"c","image":"i"}]"#))
    #expect(result == (try JSONParser.parse(containers(expected))))
  }

  @Test("An order is kept, and what it does not name stays where it was")
  func order() throws {
    let patch =
      #"{"spec":{"ports":[{"port":3}],"$setElementOrder/ports":[{"port":3},{"port":1}]}}"#
    let result = try apply(patch, to: #"{"spec":{"ports":[{"port":1},{"port":2}]}}"#, kind: .service)
    #expect(result[at: "spec.ports"] == [["port": 3], ["port": 1], ["port": 2]])
  }

  @Test("Directives of maps and plain lists")
  func directives() throws {
    #expect(try apply(#"{"data":{"$patch":"replace","b":"2"}}"#, to: #"{"data":{"a":"1"}}"#) == ["data": ["b": "2"]])
    #expect(try apply(#"{"data":{"$patch":"delete"}}"#, to: #"{"data":{"a":"1"},"x":1}"#) == ["x": 1])
    let retained = try apply(
      #"{"spec":{"strategy":{"$retainKeys":["type"],"type":"Recreate"}}}"#,
      to: #"{"spec":{"strategy":{"type":"RollingUpdate","rollingUpdate":{"maxSurge":1}}}}"#)
    #expect(retained == ["spec": ["strategy": ["type": "Recreate"]]])
    let fewer = try apply(
      #"{"metadata":{"$deleteFromPrimitiveList/finalizers":["a"]}}"#, to: #"{"metadata":{"finalizers":["a","b"]}}"#)
    #expect(fewer[at: "metadata.finalizers"] == ["b"])
    #expect(
      try apply(#"{"spec":{"accessModes":["b"]}}"#, to: #"{"spec":{"accessModes":["a"]}}"#, kind: .persistentVolume)
        == ["spec": ["accessModes": ["b"]]])
  }

  @Test(
    "Nonsense is refused",
    arguments: [
      #"{"$patch":"explode"}"#, #"{"spec":{"template":{"spec":{"containers":[{"image":"x"}]}}}}"#,
      #"{"$setElementOrder/spec":1,"spec":[]}"#, #"{"$retainKeys":"x"}"#,
    ])
  func nonsense(_ patch: String) {
    let error = #expect(throws: StatusError.self) { _ = try apply(patch, to: "{}") }
    #expect(error?.code == 400)
  }

  @Test("Large lists take a time in proportion to their length")
  func largeLists() throws {
    let items = (0..<20_000).map { JSONValue.object(["name": .string("c\($0)")]) }
    let list: JSONValue = ["spec": ["template": ["spec": ["containers": .array(items)]]]]
    let schema = ResourceKind.deployment.schema
    let begin = ContinuousClock.now
    let result = try StrategicMerge.apply(list, to: list, schema: schema)
    #expect(result == list)
    #expect(ContinuousClock.now - begin < .seconds(20))
  }
}
