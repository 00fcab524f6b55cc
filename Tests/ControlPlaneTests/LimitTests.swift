import APIModel
import TestSupport
import Testing

@testable import KubeModel
@testable import KubeServer
@testable import ReplAgent
@testable import StorkControllers

@Suite("No caller can kill or stall the agent") struct LimitTests {
  private func owned(_ name: String, by owner: KubeObject?) -> KubeObject {
    var object = ResourceKind.configMap.object(namespace: "shop", name: name)
    guard let owner else { return object }
    object[metadata: "ownerReferences"] = [
      [
        "apiVersion": .string(owner.apiVersion), "kind": .string(owner.kind), "name": .string(owner.name),
        "uid": .string(owner.uid), "blockOwnerDeletion": true,
      ]
    ]
    return object
  }

  @Test(
    "a chain of owners is deleted to its end, however long it is",
    arguments: [(PropagationPolicy.background, 6_000), (.foreground, 60)])
  func ownerChain(_ policy: PropagationPolicy, _ length: Int) async throws {
    let fixture = try StoreFixture(inMemory: true)
    try await fixture.namespace("shop")
    var owner: KubeObject?
    for number in 0..<length {
      owner = try await fixture.store.create(.configMap, owned("c\(number)", by: owner), dryRun: false)
    }
    _ = try await fixture.store.delete(
      .configMap, namespace: "shop", name: "c0", options: DeleteOptions(propagation: policy))
    #expect(try await fixture.store.list(ListQuery(.configMap, namespace: "shop")).items.isEmpty)
  }

  @Test("a patch that copies what it has copied is refused before it is large")
  func doubling() throws {
    let start: JSONValue = ["a": .string(String(repeating: "x", count: 1_000))]
    let patch = JSONValue.array(
      (0..<25).map { number -> JSONValue in
        ["op": "copy", "from": "", "path": .string("/c\(number)")]
      })
    let error = #expect(throws: StatusError.self) { _ = try JSONPatch.apply(patch, to: start) }
    #expect(error?.code == 413)
  }

  @Test("nor can one that nests what it has moved, or adds too deeply")
  func nesting() throws {
    let moves = JSONValue.array(
      (0..<300).flatMap { _ -> [JSONValue] in
        [
          ["op": "move", "from": "/a", "path": "/b"], ["op": "add", "path": "/a", "value": [:]],
          ["op": "move", "from": "/b", "path": "/a/a"],
        ]
      })
    #expect(throws: StatusError.self) { _ = try JSONPatch.apply(moves, to: ["a": [:]]) }
    let deep = String(repeating: "/0", count: 100_000)
    let path = JSONValue.array([["op": "add", "path": .string(deep), "value": 1]])
    #expect(throws: StatusError.self) { _ = try JSONPatch.apply(path, to: []) }
  }

  @Test("a body of more values than an object can have is not read to its end", arguments: ["POST", "PATCH", "DELETE"])
  func values(_ method: String) async throws {
    let api = try await APICall()
    let maps = "api/v1/namespaces/default/configmaps"
    let many = Array(repeating: "0", count: APIRequest.maximumValues).joined(separator: ",")
    let answer = try await api.send(
      method, method == "POST" ? maps : "\(maps)/x", body: #"{"data":[\#(many)]}"#,
      type: method == "PATCH" ? "application/merge-patch+json" : "application/json")
    #expect(answer.code == 400 && answer.message.contains("more than 200000 values"), "\(answer.message)")
  }

  @Test("operations that each look at everything are cut off")
  func work() throws {
    let large = JSONValue.array((0..<400_000).map { .integer(Int64($0)) })
    let moves = JSONValue.array((0..<9_000).map { _ -> JSONValue in ["op": "test", "path": "/l", "value": large] })
    let error = #expect(throws: StatusError.self) { _ = try JSONPatch.apply(moves, to: ["l": large]) }
    #expect(error?.code == 413)
  }

  @Test("whatever random operations do to an object, the result is within the bounds or refused", arguments: 0..<40)
  func randomPatches(_ seed: Int) throws {
    var generator = SeededGenerator(seed: UInt64(seed))
    func next(_ bound: Int) -> Int { Int.random(in: 0..<bound, using: &generator) }
    func path() -> JSONValue {
      .string((0..<next(4)).map { _ in "/" + ["a", "b", "c", "0", "-"][next(5)] }.joined())
    }
    let operations = JSONValue.array(
      (0..<400).map { _ -> JSONValue in
        [
          "op": .string(["add", "copy", "move", "replace"][next(4)]), "path": path(), "from": path(),
          "value": ["a": ["b"]],
        ]
      })
    var value: JSONValue = ["a": ["b": [1, 2]], "b": [["a": 1]], "c": "text"]
    for operation in operations.array ?? [] {
      if let changed = try? JSONPatch.apply([operation], to: value) { value = changed }
      if value.textSize(upTo: 1 << 22) > 1 << 20 { break }
    }
    #expect(!value.isDeeper(than: ObjectLimits.depth + 1))
    if let whole = try? JSONPatch.apply(operations, to: ["a": [:]]) {
      #expect(whole.textSize(upTo: .max / 2) <= 2 * ObjectLimits.bytes && !whole.isDeeper(than: ObjectLimits.depth + 1))
    }
  }

  @Test(
    "whatever random patches of all kinds do, what is stored can be decoded",
    arguments: [ResourceKind.deployment, .migrationSchedule, .clusterPair], 0..<6)
  func randomWrites(_ kind: ResourceKind, _ seed: Int) async throws {
    let api = try await APICall(inMemory: true)
    let path = "\(kind.root.dropFirst())/namespaces/default/\(kind.plural)"
    _ = try await api.send("POST", path, body: kind.object(namespace: "default", name: "x").json.compactText)
    let fields = TypedField.all(of: kind)
    var generator = SeededGenerator(seed: UInt64(seed + 1))
    func next(_ bound: Int) -> Int { Int.random(in: 0..<bound, using: &generator) }
    let values: [JSONValue] = [
      true, 7, -1, .number(1.5), "text", "4Gi", "Default", ["a"], [["name": "c"]], ["a": "b"], .null,
    ]
    let types = [
      "application/merge-patch+json", "application/strategic-merge-patch+json", "application/json-patch+json",
      "application/apply-patch+yaml",
    ]
    for _ in 0..<80 {
      let field = fields[next(fields.count)]
      var body = field.object(values[next(values.count)])
      let type = types[next(types.count)]
      if type.contains("json-patch") {
        let top = String(field.path.prefix { $0 != "." && $0 != "[" })
        body = [["op": "add", "path": .string("/\(top)"), "value": body[top] ?? .null]]
      }
      let query = type.contains("apply") ? "fieldManager=t&force=true" : ""
      let answer = try await api.send("PATCH", "\(path)/x", query: query, body: body.compactText, type: type)
      #expect([200, 400, 409, 415, 422].contains(answer.code), "\(type) \(body.compactText): \(answer.message)")
      let stored = try await api.send("GET", "\(path)/x")
      #expect(kind.typeFaults(stored.object).isEmpty, "\(type) \(body.compactText)")
    }
  }

  @Test("an object does not grow beyond its bound by many small writes, and can be made smaller and deleted")
  func growth() async throws {
    let api = try await APICall(inMemory: true)
    let path = "api/v1/namespaces/default/configmaps"
    #expect(try await api.send("POST", path, body: #"{"metadata":{"name":"c"}}"#).code == 201)
    var codes: [Int] = []
    for number in 0..<4 {
      let labels = (0..<10_000).map { ("k\(number)-\($0)", JSONValue.string(String(repeating: "x", count: 50))) }
      let body = JSONValue.object(["metadata": ["labels": .object(.init(uniqueKeysWithValues: labels))]]).compactText
      codes.append(
        try await api.send("PATCH", "\(path)/c", body: body, type: "application/merge-patch+json").code)
    }
    #expect(codes == [200, 200, 413, 413])
    let smaller = try await api.send(
      "PATCH", "\(path)/c", body: #"{"metadata":{"labels":{"k0-0":null}}}"#, type: "application/merge-patch+json")
    #expect(smaller.code == 200)
    #expect(try await api.send("DELETE", "\(path)/c").code == 200)
  }

  @Test("metadata that every write would have to go through is bounded", arguments: ["finalizers", "ownerReferences"])
  func metadata(_ key: String) async throws {
    let api = try await APICall()
    let items = (0..<1_001).map { number -> JSONValue in
      key == "finalizers"
        ? .string("a/f\(number)")
        : ["apiVersion": "v1", "kind": "Secret", "name": "s", "uid": .string("u\(number)")]
    }
    let body: JSONValue = ["metadata": ["name": "c", key: .array(items)]]
    let answer = try await api.send("POST", "api/v1/namespaces/default/configmaps", body: body.compactText)
    #expect(answer.code == 422 && answer.message.contains("Too many"))
  }

  @Test("selectors are bounded", arguments: ["labelSelector", "fieldSelector"])
  func selectors(_ name: String) async throws {
    let api = try await APICall()
    let term = name == "labelSelector" ? "a%3Db" : "metadata.name%3Db"
    let path = "api/v1/namespaces/default/configmaps"
    let many = Array(repeating: term, count: 300).joined(separator: "%2C")
    #expect(try await api.send("GET", path, query: "\(name)=\(many)").code == 400)
    let few = Array(repeating: term, count: 10).joined(separator: "%2C")
    #expect(try await api.send("GET", path, query: "\(name)=\(few)").code == 200)
  }

  @Test("watches are bounded, and one that ends makes room")
  func watches() throws {
    let slots = WatchSlots(limit: 2)
    let first = try slots.take()
    var second: WatchSlot? = try slots.take()
    let error = #expect(throws: StatusError.self) { _ = try slots.take() }
    #expect(error?.code == 429 && error?.retryAfterSeconds != nil)
    withExtendedLifetime((first, second)) {}
    second = nil
    #expect(throws: Never.self) { _ = try slots.take() }
    withExtendedLifetime(first) {}
  }
}

@Suite("Events of one do not hide those of others") struct EventNoiseTests {
  private func reference(_ name: String) -> KubeObject {
    ResourceKind.persistentVolumeClaim.object(namespace: "shop", name: name)
  }

  private func reasons(_ fixture: StoreFixture, of name: String) async throws -> [String] {
    try await fixture.store.list(ListQuery(.event)).items
      .filter { $0.json[at: "involvedObject.name"]?.string == name }.compactMap { $0.json["reason"]?.string }
  }

  @Test("volumes without a uid share nothing")
  func emptyUIDs() async throws {
    let fixture = try StoreFixture()
    try await fixture.namespace("shop")
    let clock = fixture.clock
    let events = EventRecorder(store: fixture.store, logger: LogLines().logger, clock: { clock.now })
    for number in 0..<60 {
      await events.record(reference("noisy"), warning: true, reason: "R\(number)", message: "x")
    }
    await events.record(reference("quiet"), warning: true, reason: "Failed", message: "x")
    #expect(try await reasons(fixture, of: "quiet") == ["Failed"])
  }

  @Test("a damaged point is told whatever else its own volume tells")
  func grave() async throws {
    let fixture = try StoreFixture()
    try await fixture.namespace("shop")
    let clock = fixture.clock
    let events = EventRecorder(store: fixture.store, logger: LogLines().logger, clock: { clock.now })
    for number in 0..<60 { await events.record(reference("v"), warning: true, reason: "R\(number)", message: "x") }
    await events.record(reference("v"), warning: true, reason: "PointDamaged", message: "x")
    #expect(try await reasons(fixture, of: "v").contains("PointDamaged"))
  }

  @Test("of too many events those go first that come from where the most come from")
  func retention() {
    func event(_ name: String, _ reason: String, _ type: String, _ second: Int64) -> KubeObject {
      var event = ResourceKind.event.object(namespace: "shop", name: "\(name)-\(second)")
      event.json["involvedObject"] = ["kind": "PersistentVolumeClaim", "namespace": "shop", "name": .string(name)]
      event.json["reason"] = .string(reason)
      event.json["type"] = .string(type)
      event.json["lastTimestamp"] = .string(Timestamp.text(1_700_000_000 + second))
      return event
    }
    let noise = (100..<200).map { event("noisy", "Failed", "Warning", Int64($0)) }
    let wide = (200..<300).map { event("n\($0)", "Failed", "Warning", Int64($0)) }
    let grave = event("v", "PointDamaged", "Warning", 1)
    let quiet = event("w", "Skipped", "Normal", 2)
    let kept: (([KubeObject], Int) -> Set<String>) = { events, limit in
      let gone = Set(EventRetention.removed(events, limit: limit, now: 1_700_000_400).map(\.name))
      return Set(events.map(\.name)).subtracting(gone)
    }
    let first = kept(noise + [grave, quiet], 10)
    #expect(first.count == 10 && first.isSuperset(of: [grave.name, quiet.name]))
    #expect(kept(wide + [grave], 10).contains(grave.name), "however many things there is noise about")
  }
}
