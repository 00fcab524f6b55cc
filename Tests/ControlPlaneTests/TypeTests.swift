import APIModel
import Testing

@testable import KubeModel
@testable import KubeServer
@testable import ReplAgent
@testable import StorkControllers

private let stork = ResourceRegistry.standard.kinds.filter {
  $0.group == Stork.group && $0.verbs.contains("create")
}

/// A described scalar, list, map or object within a kind.
struct TypedField: Sendable, CustomTestStringConvertible {
  enum Step: Sendable {
    case field(String)
    case element
    case key
  }

  var kind: ResourceKind
  var steps: [Step]
  var form: Schema.Form

  /// As in a cause.
  var path: String {
    steps.reduce("") { path, step in
      switch step {
      case .field(let name): path.isEmpty ? name : "\(path).\(name)"
      case .element: "\(path)[0]"
      case .key: "\(path).k"
      }
    }
  }

  var testDescription: String { "\(kind.kind) \(path)" }

  /// An object with a value there and nothing else.
  func object(_ value: JSONValue) -> JSONValue {
    var result = value
    for step in steps.reversed() {
      switch step {
      case .field(let name): result = [name: result]
      case .element: result = [result]
      case .key: result = ["k": result]
      }
    }
    var object = kind.object(namespace: "default", name: "x").json
    for (name, field) in result.object ?? [:] { object[name] = field }
    return object
  }

  /// A value of each JSON type that the field is not of.
  var wrong: [JSONValue] {
    let all: [JSONValue] = [true, 7, .number(1.5), "maybe", ["a"], ["a": "b"]]
    return all.filter { value in
      switch (form, value) {
      case (.boolean, .bool), (.integer, .integer), (.string, .string), (.bytes, .string), (.quantity, .integer),
        (.quantity, .number), (.intOrString, .integer), (.intOrString, .string), (.looseString, .bool),
        (.looseString, .integer), (.looseString, .number), (.looseString, .string), (.list, .array), (.map, .object),
        (.object, .object):
        false
      default: true
      }
    }
  }

  static func all(of kind: ResourceKind) -> [TypedField] {
    kind.fields.flatMap { of($0.schema, kind, [.field($0.name)]) }
  }

  private static func of(_ schema: Schema, _ kind: ResourceKind, _ steps: [Step]) -> [TypedField] {
    let own = TypedField(kind: kind, steps: steps, form: schema.form)
    switch schema.form {
    case .anything: return []
    case .object(let fields): return [own] + fields.flatMap { of($0.schema, kind, steps + [.field($0.name)]) }
    case .map(let values): return [own] + of(values, kind, steps + [.key])
    case .list(let element, _): return [own] + of(element, kind, steps + [.element])
    default: return [own]
    }
  }
}

@Suite("Values of wrong types are refused by their field, and never taken for the default") struct TypeTests {
  private static let merge = "application/merge-patch+json"
  private static let jsonPatch = "application/json-patch+json"
  private static let apply = "application/apply-patch+yaml"

  private func collection(_ kind: ResourceKind) -> String {
    let root = kind.root.dropFirst()
    return kind.namespaced ? "\(root)/namespaces/default/\(kind.plural)" : "\(root)/\(kind.plural)"
  }

  /// The fields that an answer names.
  private func fields(_ answer: APICall.Answer) -> [String] {
    (answer.json[at: "details.causes"]?.array ?? []).compactMap { $0["field"]?.string }
  }

  @Test("every field of every Stork kind, with every wrong type, in every way of writing", arguments: stork)
  func everyField(_ kind: ResourceKind) async throws {
    let api = try await APICall(inMemory: true)
    let path = collection(kind)
    #expect(
      try await api.send("POST", path, body: kind.object(namespace: "default", name: "x").json.compactText).code == 201)
    for field in TypedField.all(of: kind) {
      for value in field.wrong {
        let body = field.object(value)
        let name = "\(field.path) = \(value.compactText)"
        let made = try await api.send("POST", path, query: "dryRun=All", body: renamed(body, "y").compactText)
        #expect(made.code == 422 && fields(made).contains(field.path), "create \(name): \(made.message)")
        let patched = try await api.send(
          "PATCH", "\(path)/x", query: "dryRun=All", body: body.compactText, type: Self.merge)
        #expect(patched.code == 422 && fields(patched).contains(field.path), "merge \(name): \(patched.message)")
      }
      guard let value = field.wrong.first else { continue }
      try await otherWays(api, "\(path)/x", field, value)
    }
  }

  private func otherWays(_ api: APICall, _ path: String, _ field: TypedField, _ value: JSONValue) async throws {
    var body = field.object(value)
    let top = field.path.prefix { $0 != "." && $0 != "[" }
    let operation: JSONValue = [["op": "add", "path": .string("/\(top)"), "value": body[String(top)] ?? .null]]
    let patched = try await api.send(
      "PATCH", path, query: "dryRun=All", body: operation.compactText, type: Self.jsonPatch)
    #expect(patched.code == 422 && fields(patched).contains(field.path), "JSON patch \(field.path): \(patched.message)")
    let applied = try await api.send(
      "PATCH", path, query: "dryRun=All&fieldManager=t&force=true", body: body.compactText, type: Self.apply)
    #expect([400, 422].contains(applied.code), "apply \(field.path): \(applied.message)")
    let current = try await api.send("GET", path)
    body[path: ["metadata", "resourceVersion"]] = .string(current.object.resourceVersion)
    let put = try await api.send("PUT", path, query: "dryRun=All", body: body.compactText)
    #expect(put.code == 422 && fields(put).contains(field.path), "PUT \(field.path): \(put.message)")
  }

  private func renamed(_ json: JSONValue, _ name: String) -> JSONValue {
    var json = json
    json[path: ["metadata", "name"]] = .string(name)
    return json
  }

  @Test(
    "what was written is what is refused, in the words of an API server",
    arguments: [
      ("migrationschedules", "MigrationSchedule", #"{"suspend":"true"}"#, "spec.suspend"),
      ("migrations", "Migration", #"{"includeVolumes":"false"}"#, "spec.includeVolumes"),
      ("migrations", "Migration", #"{"includeResources":0}"#, "spec.includeResources"),
      ("migrations", "Migration", #"{"selectors":"app=mysql"}"#, "spec.selectors"),
      ("migrations", "Migration", #"{"excludeResourceTypes":"Secret"}"#, "spec.excludeResourceTypes"),
      ("migrations", "Migration", #"{"namespaces":["shop",8080]}"#, "spec.namespaces[1]"),
      ("migrations", "Migration", #"{"namespaces":["shop",null]}"#, "spec.namespaces[1]"),
      ("migrations", "Migration", #"{"selectors":{"app":5}}"#, "spec.selectors.app"),
      (
        "migrationschedules", "MigrationSchedule", #"{"template":{"spec":{"startApplications":"no"}}}"#,
        "spec.template.spec.startApplications"
      ),
      ("actions", "Action", #"{"actionType":"fail"}"#, "spec.actionType"),
      ("clusterpairs", "ClusterPair", #"{"options":{"mode":"Disaster"}}"#, "spec.options.mode"),
      ("clusterpairs", "ClusterPair", #"{"options":{"port":[1]}}"#, "spec.options.port"),
    ])
  func fromTheIssue(_ plural: String, _ kind: String, _ spec: String, _ field: String) async throws {
    let api = try await APICall()
    let body = #"{"apiVersion":"\#(Stork.group)/v1alpha1","kind":"\#(kind)","metadata":{"name":"x"},"spec":\#(spec)}"#
    let answer = try await api.send("POST", "apis/\(Stork.group)/v1alpha1/namespaces/default/\(plural)", body: body)
    #expect(answer.code == 422 && answer.json["reason"] == "Invalid" && fields(answer) == [field], "\(answer.message)")
  }

  @Test("the sentence about a type is that of an API server")
  func words() async throws {
    let api = try await APICall()
    let body =
      #"{"apiVersion":"stork.libopenstorage.org/v1alpha1","kind":"MigrationSchedule","metadata":{"name":"x"},"spec":{"suspend":"true"}}"#
    let answer = try await api.send(
      "POST", "apis/stork.libopenstorage.org/v1alpha1/namespaces/default/migrationschedules", body: body)
    #expect(
      answer.message == #"MigrationSchedule.stork.libopenstorage.org "x" is invalid: spec.suspend: Invalid value: "#
        + #""string": spec.suspend in body must be of type boolean: "string""#)
    #expect(answer.json[at: "details.causes"]?.array?.first?["reason"] == "FieldValueTypeInvalid")
  }

  @Test(
    "built-in kinds refuse what their decoder could not read",
    arguments: [
      ("apis/apps/v1/namespaces/default/deployments", #"{"spec":{"replicas":"3"}}"#, "spec.replicas"),
      ("apis/apps/v1/namespaces/default/deployments", #"{"spec":{"replicas":4294967296}}"#, "spec.replicas"),
      (
        "apis/apps/v1/namespaces/default/deployments",
        #"{"spec":{"template":{"spec":{"containers":[{"name":"c","resources":{"limits":{"cpu":"lots"}}}]}}}}"#,
        "spec.template.spec.containers[0].resources.limits.cpu"
      ),
      (
        "apis/apps/v1/namespaces/default/deployments",
        #"{"spec":{"template":{"spec":{"containers":[{"name":"c","livenessProbe":{"periodSeconds":"5"}}]}}}}"#,
        "spec.template.spec.containers[0].livenessProbe.periodSeconds"
      ),
      ("apis/batch/v1/namespaces/default/cronjobs", #"{"spec":{"suspend":"true"}}"#, "spec.suspend"),
      ("api/v1/namespaces/default/services", #"{"spec":{"ports":[{"port":"80"}]}}"#, "spec.ports[0].port"),
      ("api/v1/namespaces/default/configmaps", #"{"immutable":"true"}"#, "immutable"),
      ("api/v1/namespaces/default/configmaps", #"{"binaryData":{"a":"?"}}"#, "binaryData.a"),
      ("api/v1/namespaces/default/configmaps", #"{"metadata":{"name":"x","labels":{"a":1}}}"#, "metadata.labels.a"),
      (
        "api/v1/namespaces/default/persistentvolumeclaims",
        #"{"spec":{"resources":{"requests":{"storage":"big"}}}}"#, "spec.resources.requests.storage"
      ),
      (
        "apis/coordination.k8s.io/v1/namespaces/default/leases", #"{"spec":{"renewTime":"yesterday"}}"#,
        "spec.renewTime"
      ),
    ])
  func builtIn(_ path: String, _ text: String, _ field: String) async throws {
    let api = try await APICall()
    var body = try JSONParser.parse(text)
    if body["metadata"] == nil { body["metadata"] = ["name": "x"] }
    let answer = try await api.send("POST", path, body: body.compactText)
    #expect(answer.code == 400 && fields(answer).contains(field), "\(answer.message)")
    #expect(answer.message.contains("cannot be handled as a"))
  }

  @Test("patches of built-in kinds and of their scale are held to the same")
  func builtInPatches() async throws {
    let api = try await APICall()
    let path = "apis/apps/v1/namespaces/default/deployments"
    let made = try await api.send("POST", path, body: #"{"metadata":{"name":"d"},"spec":{"template":{}}}"#)
    #expect(made.code == 201)
    for type in [Self.merge, "application/strategic-merge-patch+json"] {
      let answer = try await api.send("PATCH", "\(path)/d", body: #"{"spec":{"replicas":"2"}}"#, type: type)
      #expect(answer.code == 422 && fields(answer) == ["spec.replicas"])
      let status = try await api.send("PATCH", "\(path)/d/status", body: #"{"status":{"replicas":"2"}}"#, type: type)
      #expect(status.code == 422 && fields(status) == ["status.replicas"])
    }
    for body in [#"{"spec":{"replicas":"2"}}"#, #"{"spec":{"replicas":1.5}}"#, #"{"spec":[]}"#] {
      let answer = try await api.send("PATCH", "\(path)/d/scale", body: body, type: Self.merge)
      #expect([400, 422].contains(answer.code), "\(body)")
    }
    #expect(try await api.send("GET", "\(path)/d").json[at: "spec.replicas"] == 1)
  }

  @Test(
    "what is empty and of a wrong type does not take away what is there",
    arguments: [
      ("finalizers", #""""#), ("finalizers", "{}"), ("labels", "[]"), ("labels", #""""#), ("labels", #"{"a":1}"#),
      ("annotations", "[]"), ("ownerReferences", #""""#), ("managedFields", #""""#), ("managedFields", "{}"),
      ("managedFields", #"[{"manager":5}]"#), ("name", "[]"), ("uid", "{}"),
    ], ["application/merge-patch+json", "application/json-patch+json"])
  func emptyMetadata(_ field: (key: String, value: String), _ type: String) async throws {
    let api = try await APICall()
    let path = "api/v1/namespaces/default/configmaps"
    let made = try await api.send(
      "POST", path,
      body: #"{"metadata":{"name":"c","finalizers":["a/b"],"labels":{"a":"b"},"annotations":{"a":"b"}}}"#)
    #expect(made.code == 201)
    let patch =
      type == Self.merge
      ? #"{"metadata":{"\#(field.key)":\#(field.value)}}"#
      : #"[{"op":"add","path":"/metadata/\#(field.key)","value":\#(field.value)}]"#
    let answer = try await api.send("PATCH", "\(path)/c", body: patch, type: type)
    #expect(answer.code == (["name", "uid"].contains(field.key) ? 400 : 422), "\(answer.message)")
    #expect(try await api.send("GET", "\(path)/c").json == made.json)
  }

  @Test("what is empty and of the right type is dropped")
  func droppedMetadata() async throws {
    let api = try await APICall()
    let path = "api/v1/namespaces/default/configmaps"
    let made = try await api.send(
      "POST", path, body: #"{"metadata":{"name":"c","finalizers":["a/b"],"labels":{"a":"b"}}}"#)
    let answer = try await api.send(
      "PATCH", "\(path)/c",
      body:
        ##"[{"op":"add","path":"/metadata/finalizers","value":[]},{"op":"add","path":"/metadata/labels","value":{}}]"##,
      type: Self.jsonPatch)
    #expect(made.code == 201 && answer.code == 200)
    #expect(answer.object.finalizers.isEmpty && answer.json[at: "metadata.labels"] == nil)
  }

  @Test("options of a ClusterPair become texts, however they are written")
  func options() async throws {
    let api = try await APICall()
    let path = "apis/stork.libopenstorage.org/v1alpha1/namespaces/default/clusterpairs"
    func body(_ options: String) -> String {
      #"{"apiVersion":"stork.libopenstorage.org/v1alpha1","kind":"ClusterPair","metadata":{"name":"p"},"spec":{"options":\#(options)}}"#
    }
    let made = try await api.send("POST", path, body: body(#"{"ip":"h","port":9001,"secure":true,"ratio":0.5}"#))
    #expect(made.json[at: "spec.options"] == ["ip": "h", "port": "9001", "secure": "true", "ratio": "0.5"])
    let patched = try await api.send(
      "PATCH", "\(path)/p", body: #"{"spec":{"options":{"port":9002}}}"#, type: Self.merge)
    #expect(patched.json[at: "spec.options.port"] == "9002")
    let query = "fieldManager=t&force=true"
    let applied = try await api.send(
      "PATCH", "\(path)/p", query: query, body: body(#"{"port":9003}"#), type: Self.apply)
    #expect(applied.json[at: "spec.options.port"] == "9003")
    let again = try await api.send(
      "PATCH", "\(path)/p", query: query, body: body(#"{"port":9003}"#), type: Self.apply)
    #expect(again.object.resourceVersion == applied.object.resourceVersion, "the same again changes nothing")
  }

  @Test(
    "parts of a policy that are not where they are looked for are refused",
    arguments: [
      (#""spec":{"interval":{"intervalMinutes":5}}"#, "spec"),
      (#""interval":{"intervalMinutes":5}"#, "interval"),
      (#""policy":[{"interval":{"intervalMinutes":5}}]"#, "policy"),
      (#""policy":{"interval":[{"intervalMinutes":5}]}"#, "policy.interval"),
      (#""policy":{"hourly":{"minute":5}}"#, "policy.hourly"),
      (#""policy":{"interval":{"intervalMinutes":"5"}}"#, "policy.interval.intervalMinutes"),
    ])
  func policies(_ part: String, _ field: String) async throws {
    let api = try await APICall()
    let body =
      #"{"apiVersion":"stork.libopenstorage.org/v1alpha1","kind":"SchedulePolicy","metadata":{"name":"x"},\#(part)}"#
    let answer = try await api.send("POST", "apis/stork.libopenstorage.org/v1alpha1/schedulepolicies", body: body)
    #expect(answer.code == 422 && fields(answer) == [field], "\(answer.message)")
  }

  @Test(
    "options of a DELETE that cannot be read delete nothing",
    arguments: [
      #"{"dryRun":"All"}"#, #"{"dryRun":[true]}"#, #"{"preconditions":{"uid":5}}"#, #"{"preconditions":"x"}"#,
      #"{"propagationPolicy":true}"#, #"{"orphanDependents":"true"}"#,
    ])
  func deleteOptions(_ body: String) async throws {
    let api = try await APICall()
    let path = "api/v1/namespaces/default/configmaps"
    #expect(try await api.send("POST", path, body: #"{"metadata":{"name":"c"}}"#).code == 201)
    #expect([400, 422].contains(try await api.send("DELETE", "\(path)/c", body: body).code))
    #expect(try await api.send("GET", "\(path)/c").code == 200)
  }

  @Test(
    "what an older version has stored is not carried out as the opposite",
    arguments: [
      #"{"includeVolumes":"false"}"#, #"{"includeResources":0}"#, #"{"selectors":"app=mysql"}"#,
      #"{"namespaces":["default",8080]}"#,
    ])
  func stored(_ spec: String) throws {
    var migration = ResourceKind.migration.object(namespace: "default", name: "m")
    migration.json["spec"] = try JSONParser.parse(spec)
    migration.json[at: "spec.clusterPair"] = "p"
    guard case .fail(let cause) = MigrationDecision.decide(migration, report: nil) else {
      Issue.record("it is carried out")
      return
    }
    #expect(cause.contains("nothing is done with this Migration until it is corrected"))
  }

  @Test("a schedule that was stored so stays as it is and triggers nothing")
  func storedSchedule() throws {
    var schedule = ResourceKind.migrationSchedule.object(namespace: "default", name: "s")
    schedule.json["spec"] = ["suspend": "true"]
    #expect(ResourceKind.migrationSchedule.storedFault(schedule)?.hasPrefix("spec.suspend: ") == true)
    #expect(ScheduledMigration.prepared(schedule).json[at: "spec.suspend"] == "true")
  }

  @Test("what was wrong before is not held against a write that leaves it")
  func ratchet() throws {
    var old = ResourceKind.migration.object(namespace: "default", name: "m")
    old.json["spec"] = ["includeVolumes": "false"]
    var new = old
    new.json["status"] = ["stage": "Final"]
    #expect(ResourceKind.migration.typeCauses(new, old: old).isEmpty)
    new.json[at: "spec.includeResources"] = "x"
    #expect(ResourceKind.migration.typeCauses(new, old: old).map(\.field) == ["spec.includeResources"])
  }

  @Test("also where more was wrong before than is told at once")
  func longRatchet() throws {
    var old = ResourceKind.migration.object(namespace: "default", name: "m")
    old.json["spec"] = ["namespaces": .array((0..<40).map { .integer($0) })]
    var new = old
    // One of the first is mended, which lets one more into a list that is cut short.
    new.json["spec"] = ["namespaces": .array([.string("a")] + (1..<40).map { .integer($0) })]
    #expect(ResourceKind.migration.typeCauses(new, old: old).isEmpty)
    new.json["spec"] = ["namespaces": .array((0..<40).map { .integer($0) } + [true])]
    #expect(ResourceKind.migration.typeCauses(new, old: old).map(\.field) == ["spec.namespaces[40]"])
  }

  @Test("what clients ask for on their way to something else is there")
  func storkClients() async throws {
    let api = try await APICall()
    let list = try await api.send("GET", "apis/apiextensions.k8s.io/v1/customresourcedefinitions")
    #expect(list.code == 200 && list.json["items"] == [])
    let path = "apis/stork.libopenstorage.org/v1alpha1/namespaces/default/backuplocations"
    let body =
      #"{"apiVersion":"stork.libopenstorage.org/v1alpha1","kind":"BackupLocation","metadata":{"name":"b"},"location":{"type":"s3","path":"bucket","s3Config":{"region":"x"},"sync":false},"cluster":{}}"#
    #expect(try await api.send("POST", path, body: body).code == 201)
    #expect(try await api.send("POST", path, body: body).code == 409)
    #expect(try await api.send("DELETE", "\(path)/b").code == 200)
    try await api.fixture.namespace("kube-system")
    try await StorkSettings.ensure(api.fixture.store)
    try await StorkSettings.ensure(api.fixture.store)
    let settings = try await api.send("GET", "api/v1/namespaces/kube-system/configmaps/stork-controller-config")
    #expect(settings.json[at: "data.admin-ns"] == "kube-system")
  }

  @Test("a typed client that writes a schedule back loses none of the instants that are settled")
  func typedRoundTrip() throws {
    var schedule = ResourceKind.migrationSchedule.object(namespace: "default", name: "s")
    var status = ScheduleStatus(schedule)
    status.settle(.daily, 1_700_000_000)
    status.write(to: &schedule)
    #expect(schedule.status["settledTriggers"] == nil)
    // What such a client knows of a status.
    schedule.json["status"] = ["items": schedule.status["items"] ?? .null, "applicationActivated": false]
    #expect(ScheduleStatus(schedule).settled == [.daily: [1_700_000_000]])
    #expect(MigrationMark.travelling(schedule.annotations).isEmpty, "they are of this cluster alone")
    #expect(ScheduledMigration.object(schedule, name: "m").annotations[ScheduleStatus.settledKey] == nil)
    var old = ResourceKind.migrationSchedule.object(namespace: "default", name: "s")
    old.json["status"] = ["settledTriggers": ["Daily": ["2023-11-14T22:13:20Z"]]]
    #expect(ScheduleStatus(old).settled == [.daily: [1_700_000_000]], "an older version's are read")
  }

  @Test(
    "times are those that typed clients can read",
    arguments: [
      ("2024-02-29T00:00:00Z", true), ("2024-02-30T00:00:00Z", false), ("2024-+1-01T00:00:00Z", false),
      ("2024-01-01T00:00:00.Z", false), ("2024-01-01T00:00:00+25:00", false), ("2024-01-01T00:00:00+-1:00", false),
    ])
  func times(_ text: String, _ good: Bool) {
    #expect((Timestamp.seconds(text) != nil) == good)
  }

  @Test(
    "an offset is no time zone",
    arguments: [("UTC+2", false), ("GMT-3", false), ("UTC", true), ("Europe/Berlin", true)])
  func zones(_ name: String, _ good: Bool) {
    #expect(((try? ScheduleZone(named: name)) != nil) == good)
  }
}
