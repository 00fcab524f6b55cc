import APIModel
import Glibc
import ReplModel
import Testing

@testable import KubeModel
@testable import KubeServer
@testable import ReplAgent
@testable import StorkControllers
@testable import ReplCtl

private let migrations = "apis/stork.libopenstorage.org/v1alpha1/namespaces/default/migrations"
private let pairs = "apis/stork.libopenstorage.org/v1alpha1/namespaces/default/clusterpairs"
private let tableType = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"

private func migration(_ name: String) -> JSONValue {
  [
    "apiVersion": "stork.libopenstorage.org/v1alpha1", "kind": "Migration", "metadata": ["name": .string(name)],
    "spec": ["clusterPair": "none", "namespaces": ["default"], "unknown": ["kept": .null]],
  ]
}

/// The verbs without a transport: fast, and every refusal as clients see it.
@Suite struct ObjectAPITests {
  private func call(
    _ fixture: StoreFixture, _ method: String, _ path: String, query: String = "", body: String = "",
    type: String = "application/json", accept: String = ""
  ) async throws -> (code: Int, json: JSONValue) {
    let request = APIRequest(
      method: method, path: "/" + path, query: query, accept: accept, contentType: type, body: Array(body.utf8))
    do {
      switch try await fixture.api.answer(request) {
      case .json(let code, let json, _): return (code, json)
      case .bytes(let code, "application/json", let bytes, _): return (code, try JSONParser.parse(bytes))
      default: return (0, .null)
      }
    } catch let error as StatusError { return (error.code, error.json) }
  }

  private func fixture() async throws -> StoreFixture {
    let fixture = try StoreFixture()
    try await fixture.namespace("default")
    return fixture
  }

  @Test func anObjectGoesThroughItsWholeLife() async throws {
    let fixture = try await fixture()
    let created = try await call(fixture, "POST", migrations, body: migration("m").compactText)
    #expect(created.code == 201)
    #expect(created.json[at: "spec.unknown.kept"] == .null)
    let put = try await call(fixture, "PUT", "\(migrations)/m", body: created.json.compactText)
    #expect(put.code == 200 && put.json == created.json)
    let patched = try await call(
      fixture, "PATCH", "\(migrations)/m", body: #"{"spec":{"clusterPair":"b"}}"#, type: "application/merge-patch+json")
    #expect(patched.json[at: "spec.clusterPair"] == "b")
    let stale = try await call(fixture, "PUT", "\(migrations)/m", body: created.json.compactText)
    #expect(stale.code == 409)
    let deleted = try await call(fixture, "DELETE", "\(migrations)/m")
    #expect(deleted.code == 200 && deleted.json["status"] == "Success")
    #expect(try await call(fixture, "GET", "\(migrations)/m").code == 404)
  }

  @Test(arguments: [
    ("", 400), ("{", 400), ("[]", 400), (#"{"kind":"Migration"}"#, 400), ("\u{0}", 400), ("null", 400), ("1", 400),
    (#"{"apiVersion":"v1","kind":"Migration","metadata":{"name":"x"}}"#, 400),
    (#"{"apiVersion":"stork.libopenstorage.org/v1alpha1","kind":"ClusterPair","metadata":{"name":"x"}}"#, 422),
    (#"{"apiVersion":"stork.libopenstorage.org/v1alpha1","kind":"Migration","metadata":{}}"#, 422),
    (#"{"apiVersion":"stork.libopenstorage.org/v1alpha1","kind":"Migration","metadata":{"name":"../x"}}"#, 422),
    (#"{"apiVersion":"stork.libopenstorage.org/v1alpha1","kind":"Migration","metadata":{"name":"A"}}"#, 422),
    (#"{"apiVersion":"stork.libopenstorage.org/v1alpha1","kind":"Migration","metadata":{"name":5}}"#, 400),
    (#"{"apiVersion":"stork.libopenstorage.org/v1alpha1","kind":"Migration","metadata":[]}"#, 400),
    (
      #"{"apiVersion":"stork.libopenstorage.org/v1alpha1","kind":"Migration","metadata":{"name":"x","labels":{"a":1}}}"#,
      400
    ),
    (
      #"{"apiVersion":"stork.libopenstorage.org/v1alpha1","kind":"Migration","metadata":{"name":"x","namespace":"y"}}"#,
      400
    ),
    (
      #"{"apiVersion":"stork.libopenstorage.org/v1alpha1","kind":"Migration","metadata":{"name":"x","resourceVersion":"1"}}"#,
      500
    ),
  ])
  func badObjectsAreRefusedAndNothingIsStored(_ body: String, _ code: Int) async throws {
    let fixture = try await fixture()
    let answer = try await call(fixture, "POST", migrations, body: body)
    #expect(answer.code == code)
    #expect(answer.json["kind"] == "Status" && answer.json["status"] == "Failure")
    #expect(try await fixture.store.list(ListQuery(.migration)).items.isEmpty)
  }

  @Test func deepNestingIsRefused() async throws {
    let fixture = try await fixture()
    let deep = String(repeating: #"{"a":"#, count: 100_000) + "1" + String(repeating: "}", count: 100_000)
    #expect(try await call(fixture, "POST", migrations, body: deep).code == 400)
    let list = String(repeating: "[", count: 100_000)
    #expect(
      try await call(fixture, "PATCH", "\(migrations)/m", body: list, type: "application/json-patch+json").code == 400)
  }

  @Test(arguments: [
    ("PATCH", "\(migrations)/m", "application/strategic-merge-patch+json", "{}", 415),
    ("PATCH", "\(migrations)/m", "application/json", "{}", 415),
    ("PATCH", "\(migrations)/m", "application/merge-patch+json", "[]", 400),
    ("PATCH", "\(migrations)/m", "application/json-patch+json", "{}", 400),
    ("PATCH", "\(migrations)/m", "application/merge-patch+json", #"{"metadata":{"uid":"x"}}"#, 422),
    ("PATCH", "\(migrations)/m", "application/merge-patch+json", #"{"metadata":{"resourceVersion":"1"}}"#, 409),
    ("PATCH", "\(migrations)/none", "application/merge-patch+json", "{}", 404),
    ("PATCH", migrations, "application/merge-patch+json", "{}", 400),
    ("PUT", "\(migrations)/m", "application/json", migration("other").compactText, 422),
    ("POST", migrations, "text/plain", "{}", 415), ("POST", "\(migrations)/m", "application/json", "{}", 405),
    ("POST", "api/v1/namespaces", "application/json", #"{"metadata":{"name":"has.dot"}}"#, 422),
    ("GET", "\(migrations)/m/status", "", "", 404), ("GET", "\(migrations)/../../x", "", "", 0),
    ("DELETE", "api/v1/namespaces/default", "", "", 403), ("DELETE", "\(migrations)/none", "", "", 404),
    ("DELETE", "\(migrations)/m", "application/json", #"{"propagationPolicy":"Never"}"#, 422),
    ("DELETE", "\(migrations)/m", "application/json", #"{"preconditions":{"uid":"x"}}"#, 409),
    ("DELETE", "\(migrations)/m", "application/json", "{", 400),
  ])
  func refusalsHaveTheCodesClientsExpect(
    _ method: String, _ path: String, _ type: String, _ body: String, _ code: Int
  ) async throws {
    let fixture = try await fixture()
    let made = try await call(fixture, "POST", migrations, body: migration("m").compactText)
    #expect(try await call(fixture, method, path, body: body, type: type).code == code)
    #expect(try await fixture.store.get(.migration, namespace: "default", name: "m").json == made.json)
  }

  @Test func pagesCoverEverythingOnce() async throws {
    let fixture = try await fixture()
    for number in 0..<7 {
      _ = try await call(fixture, "POST", migrations, body: migration("m\(number)").compactText)
    }
    var names: [String] = []
    var token = ""
    repeat {
      let page = try await call(
        fixture, "GET", migrations, query: token.isEmpty ? "limit=3" : "limit=3&continue=\(token)")
      names += (page.json["items"]?.array ?? []).map { KubeObject($0).name }
      token = page.json[at: "metadata.continue"]?.string ?? ""
    } while !token.isEmpty
    #expect(names == (0..<7).map { "m\($0)" })
    #expect(try await call(fixture, "GET", migrations, query: "continue=zz").code == 400)
    #expect(try await call(fixture, "GET", migrations, query: "limit=x").code == 400)
    #expect(try await call(fixture, "GET", migrations, query: "resourceVersion=999999").code == 504)
    #expect(
      try await call(fixture, "GET", "apis/stork.libopenstorage.org/v1alpha1/namespaces/gone/migrations").json["items"]
        == .array([]))
  }

  @Test func selectorsAndTablesGoTogether() async throws {
    let fixture = try await fixture()
    for name in ["a", "b"] {
      var object = migration(name)
      object[at: "metadata.labels"] = ["app": .string(name)]
      _ = try await call(fixture, "POST", migrations, body: object.compactText)
    }
    fixture.clock.advance(65)
    let table = try await call(fixture, "GET", migrations, query: "labelSelector=app%3Db", accept: tableType)
    #expect(table.json["kind"] == "Table")
    #expect(table.json["rows"]?.array?.map { $0["cells"] } == [["b", "65s"]])
    #expect(table.json["rows"]?.array?.first?[at: "object.metadata.name"] == "b")
    let named = try await call(fixture, "GET", migrations, query: "fieldSelector=metadata.name%3Da")
    #expect(named.json["items"]?.array?.count == 1)
    #expect(try await call(fixture, "GET", migrations, query: "fieldSelector=spec.x%3Da").code == 400)
  }

  @Test func serverSideApplyMakesWhatIsMissing() async throws {
    let fixture = try await fixture()
    let body = migration("m").compactText
    let type = "application/apply-patch+yaml"
    #expect(try await call(fixture, "PATCH", "\(migrations)/m", body: body, type: type).code == 422)
    #expect(
      try await call(fixture, "PATCH", "\(migrations)/m", query: "fieldManager=k", body: body, type: type).code == 201)
    #expect(
      try await call(fixture, "PATCH", "\(migrations)/m", query: "fieldManager=k", body: body, type: type).code == 200)
  }

  @Test func duplicateFieldsAreRefusedWhenStrict() async throws {
    let fixture = try await fixture()
    let body =
      #"{"apiVersion":"stork.libopenstorage.org/v1alpha1","kind":"Migration","metadata":{"name":"m"},"spec":{"a":1,"a":2}}"#
    let strict = try await call(fixture, "POST", migrations, query: "fieldValidation=Strict", body: body)
    #expect(strict.code == 400)
    #expect(strict.json["message"]?.string?.contains("duplicate field \"spec.a\"") == true)
    #expect(try await call(fixture, "POST", migrations, body: body).code == 201)
  }

  @Test func statusOfBuiltInKindsIsASubresource() async throws {
    let fixture = try await fixture()
    let body =
      #"{"metadata":{"name":"c"},"spec":{"resources":{"requests":{"storage":"1Gi"}}},"status":{"phase":"Bound"}}"#
    let path = "api/v1/namespaces/default/persistentvolumeclaims"
    let created = try await call(fixture, "POST", path, body: body)
    #expect(created.code == 201 && created.json[at: "status.phase"] == "Pending")
    let patch = #"{"status":{"phase":"Bound"},"spec":{"x":1}}"#
    let type = "application/merge-patch+json"
    let main = try await call(fixture, "PATCH", "\(path)/c", body: patch, type: type)
    #expect(main.json[at: "status.phase"] == "Pending" && main.json[at: "spec.x"] == 1)
    let status = try await call(
      fixture, "PATCH", "\(path)/c/status", body: #"{"status":{"phase":"Lost"},"spec":{"x":2}}"#, type: type)
    #expect(status.json[at: "status.phase"] == "Lost" && status.json[at: "spec.x"] == 1)
    let bad = try await call(
      fixture, "POST", path, body: #"{"metadata":{"name":"d"},"spec":{"resources":{"requests":{"storage":"-1"}}}}"#)
    #expect(bad.code == 422)
  }

  @Test func collectionsAreDeletedBySelection() async throws {
    let fixture = try await fixture()
    for name in ["a", "b"] { _ = try await call(fixture, "POST", migrations, body: migration(name).compactText) }
    let answer = try await call(fixture, "DELETE", migrations, query: "fieldSelector=metadata.name%3Da")
    #expect(answer.json["items"]?.array?.count == 1)
    #expect(try await fixture.store.list(ListQuery(.migration)).items.map(\.name) == ["b"])
    #expect(try await call(fixture, "DELETE", "api/v1/namespaces").code == 405)
  }

  @Test func aSelectionSeesObjectsComeAndGo() throws {
    var query = ListQuery(.migration)
    query.labels = .matching(["a": "1"])
    func object(_ label: String) -> ObjectText {
      var object = ResourceKind.migration.object(namespace: "n", name: "m")
      object[metadata: "labels"] = ["a": .string(label)]
      return ObjectText(namespace: "n", name: "m", text: JSONWriter.bytes(object.json))
    }
    func event(_ old: ObjectText?, _ new: ObjectText, _ action: StoreChange.Action) throws -> String? {
      let change = StoreChange(
        action: action, resource: ResourceKind.migration.resource, object: new, old: old, version: 9)
      return try WatchStream.event(change, query)?.type
    }
    #expect(try event(nil, object("1"), .added) == "ADDED")
    #expect(try event(object("2"), object("1"), .modified) == "ADDED")
    #expect(try event(object("1"), object("1"), .modified) == "MODIFIED")
    #expect(try event(object("1"), object("2"), .modified) == "DELETED")
    #expect(try event(object("1"), object("1"), .deleted) == "DELETED")
    #expect(try event(object("2"), object("2"), .modified) == nil)
  }
}

/// A whole server on a real socket.
@Suite struct SocketTests {
  @Test func discoveryNamesEveryKindAndEachAnswersALIST() async throws {
    let plane = try await PlaneFixture()
    #expect(try await plane.send("GET", "version")["gitVersion"]?.string?.hasPrefix("v1.") == true)
    let client = plane.client
    let kinds = try await blocking { try KindCatalog(client).kinds.map { ($0.plural, $0.path(namespace: nil)) } }
    #expect(kinds.count == ResourceRegistry.standard.kinds.count)
    for (_, path) in kinds {
      #expect(try await plane.send("GET", path.joined(separator: "/"))["items"]?.array != nil)
    }
    try await plane.stop()
  }

  @Test func aBodyTooLargeIsRefusedAndTheServerGoesOn() async throws {
    let plane = try await PlaneFixture()
    var object = migration("big")
    object[at: "spec.blob"] = .string(String(repeating: "x", count: 10 << 20))
    let big = object
    let error = await #expect(throws: Failure.self) { _ = try await plane.send("POST", migrations, body: big) }
    #expect(error?.cause == "Request entity too large: limit is 3145728")
    _ = try await plane.send("POST", migrations, body: migration("small"))
    try await plane.stop()
  }

  @Test func aWatchSeesEveryChangeInOrder() async throws {
    let plane = try await PlaneFixture()
    let start = try await plane.send("GET", "api/v1/namespaces")
    let version = KubeObject(start).resourceVersion
    let client = plane.client
    async let seen = blocking {
      var lines: [String] = []
      try client.watch(
        ["api", "v1", "namespaces"], query: [("resourceVersion", version), ("timeoutSeconds", "60")]
      ) { type, object in
        lines.append("\(type) \(KubeObject(object).name)")
        return lines.count < 4
      }
      return lines
    }
    for name in ["w1", "w2"] {
      _ = try await plane.send("POST", "api/v1/namespaces", body: ["metadata": ["name": .string(name)]])
    }
    _ = try await plane.send(
      "PATCH", "api/v1/namespaces/w1", body: ["metadata": ["labels": ["a": "b"]]],
      contentType: "application/merge-patch+json")
    _ = try await plane.send(
      "PATCH", "api/v1/namespaces/w2", body: ["metadata": ["labels": ["a": "b"]]],
      contentType: "application/merge-patch+json")
    #expect(try await seen == ["ADDED w1", "ADDED w2", "MODIFIED w1", "MODIFIED w2"])
    try await plane.stop()
  }

  @Test func aWatchEndsWhenItsTimeIsUpAndAnOldOneIsTold() async throws {
    let plane = try await PlaneFixture()
    let client = plane.client
    let lines = try await blocking {
      var lines: [String] = []
      try client.watch(
        ["api", "v1", "namespaces"],
        query: [
          ("sendInitialEvents", "true"), ("resourceVersionMatch", "NotOlderThan"), ("allowWatchBookmarks", "true"),
          ("timeoutSeconds", "1"),
        ]
      ) { type, object in
        let end = KubeObject(object).annotations["k8s.io/initial-events-end"] ?? ""
        lines.append("\(type) \(KubeObject(object).name)\(end)")
        return true
      }
      return lines
    }
    #expect(lines.prefix(3) == ["ADDED default", "ADDED kube-system", "BOOKMARK true"])
    try await plane.stop()
    // The journal of changes does not outlive a restart; the versions do.
    let second = try await PlaneFixture(plane.directory)
    let old = try await blocking {
      var types: [String] = []
      try client.watch(["api", "v1", "namespaces"], query: [("resourceVersion", "1")]) { type, object in
        types.append("\(type) \(object["reason"]?.string ?? "")")
        return true
      }
      return types
    }
    #expect(old == ["ERROR Expired"])
    try await second.stop()
  }

  @Test func aClientThatGoesAwayFreesItsWatch() async throws {
    let plane = try await PlaneFixture()
    let client = plane.client
    try await blocking {
      try client.watch(["api", "v1", "namespaces"], query: []) { _, _ in false }
    }
    // One for each controller stays.
    // Seven kinds, four related ones, three that are shown as metrics.
    let controllers = 14
    let end = ContinuousClock.now + .seconds(10)
    while plane.plane.openWatches != controllers, ContinuousClock.now < end {
      try await Task.sleep(for: .milliseconds(10))
    }
    #expect(plane.plane.openWatches == controllers)
    try await plane.stop()
  }

  @Test func stoppingEndsWatchesSoonAndRemovesTheSocket() async throws {
    let plane = try await PlaneFixture()
    let client = plane.client
    let (opened, signal) = AsyncStream.makeStream(of: Void.self)
    async let watch: Void = blocking {
      try client.watch(["api", "v1", "namespaces"], query: []) { _, _ in
        signal.yield()
        return true
      }
    }
    var iterator = opened.makeAsyncIterator()
    _ = await iterator.next()
    let begin = ContinuousClock.now
    try await plane.stop()
    _ = try? await watch
    #expect(ContinuousClock.now - begin < .seconds(8))
    #expect(!plane.directory.names.contains("agent.sock"))
  }

  @Test func aStaleSocketIsReplacedAndALiveOneIsNot() async throws {
    let directory = try TemporaryDirectory()
    let path = directory.path + "/agent.sock"
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    let bound = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    #expect(bound == 0)
    close(descriptor)
    let plane = try await PlaneFixture(directory)
    var status = stat()
    #expect(stat(path, &status) == 0 && status.st_mode & 0o777 == 0o660)
    let error = #expect(throws: ReplError.self) { try LocalSocket(path: path).prepare() }
    #expect(error?.cause == "another agent answers on it")
    _ = try await plane.send("GET", "version")
    try await plane.stop()
  }

  @Test func aFileThatIsNoSocketIsNeverRemoved() throws {
    let directory = try TemporaryDirectory()
    let path = directory.path + "/agent.sock"
    close(open(path, O_CREAT | O_WRONLY, 0o600))
    #expect(throws: ReplError.self) { try LocalSocket(path: path).prepare() }
    #expect(access(path, F_OK) == 0)
  }
}
