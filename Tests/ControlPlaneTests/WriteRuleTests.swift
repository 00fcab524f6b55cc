import APIModel
import Synchronization
import Testing

@testable import KubeModel
@testable import KubeServer
@testable import ReplAgent
@testable import StorkControllers

private let core = "api/v1/namespaces/default"
private let migrations = "apis/stork.libopenstorage.org/v1alpha1/namespaces/default/migrations"
private let merge = "application/merge-patch+json"

private func migration(_ metadata: String) -> String {
  #"{"apiVersion":"stork.libopenstorage.org/v1alpha1","kind":"Migration","metadata":\#(metadata)}"#
}

@Suite("Rules of writing") struct WriteRuleTests {
  @Test("Unknown and repeated fields: refused, warned about or dropped, as asked")
  func fieldValidation() async throws {
    let api = try await APICall()
    let body = #"{"metadata":{"name":"c","bogus":1},"dat":{},"data":{"a":"1","a":"2"}}"#
    let strict = try await api.send("POST", "\(core)/configmaps", query: "fieldValidation=Strict", body: body)
    #expect(
      strict.code == 400
        && strict.message == "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: strict decoding error: "
          + #"duplicate field "data.a", unknown field "dat", unknown field "metadata.bogus""#
    )
    let warned = try await api.send("POST", "\(core)/configmaps", query: "fieldValidation=Warn", body: body)
    #expect(warned.code == 201 && warned.warnings.count == 3)
    #expect(warned.json[at: "metadata.bogus"] == nil)
    #expect(try await api.send("POST", "\(core)/configmaps", query: "fieldValidation=x", body: body).code == 422)
    let own = migration(#"{"name":"m","bogus":1}"#)
    #expect(try await api.send("POST", migrations, query: "fieldValidation=Strict", body: own).code == 400)
    let patched = try await api.send(
      "PATCH", "\(core)/configmaps/c", query: "fieldValidation=Strict", body: #"{"dat":{"a":"1"}}"#, type: merge)
    #expect(patched.code == 400)
  }

  @Test("Fields of built-in kinds hold what they should")
  func types() async throws {
    let api = try await APICall()
    let refused = try await api.send("POST", "\(core)/configmaps", body: #"{"metadata":{"name":"c"},"data":{"a":1}}"#)
    #expect(
      refused.code == 400 && refused.message.contains("cannot unmarshal number into Go struct field ConfigMap.data"))
    #expect(
      try await api.send("POST", "\(core)/configmaps", body: #"{"metadata":{"name":"c"},"data":null}"#).code == 201)
  }

  @Test("A name that the server chooses is one that nobody has; a create is refused when eight in a row are taken")
  func generatedNames() async throws {
    let tries = Mutex(0)
    let fixture = try StoreFixture(
      inMemory: true,
      suffix: {
        // The first create has "a" at once, the second at its last try "b", the third has no luck.
        tries.withLock { count in
          count += 1
          return count == 9 ? "b" : "a"
        }
      })
    try await fixture.namespace("shop")
    var object = ResourceKind.configMap.object(namespace: "shop", name: "")
    object[metadata: "generateName"] = "c-"
    for name in ["c-a", "c-b"] {
      #expect(try await fixture.store.create(.configMap, object, dryRun: false).name == name)
    }
    let error = await #expect(throws: StatusError.self) {
      _ = try await fixture.store.create(.configMap, object, dryRun: false)
    }
    #expect(error?.reason == "AlreadyExists" && tries.withLock { $0 } == 1 + 8 + 8)
  }

  @Test(
    "Metadata that no server would take is refused",
    arguments: [
      #"{"name":"m","labels":{"a b":"x"}}"#, #"{"name":"m","labels":{"a":"x y"}}"#,
      #"{"name":"m","labels":{"/a":"x"}}"#,
      #"{"name":"m","labels":{"a":"-"}}"#, #"{"name":"m","annotations":{"a b":"x"}}"#,
      #"{"name":"m","finalizers":["no good"]}"#,
      #"{"name":"m","ownerReferences":[{"apiVersion":"v1","kind":"Secret","name":"s"}]}"#,
    ])
  func badMetadata(_ metadata: String) async throws {
    let api = try await APICall()
    let refused = try await api.send("POST", migrations, body: migration(metadata))
    #expect(refused.code == 422 && refused.json[at: "details.causes"]?.array?.isEmpty == false)
  }

  @Test("What the client says about server-side fields is ignored; what it may not change is refused")
  func serverFields() async throws {
    let api = try await APICall()
    let wanted =
      #"{"name":"m","uid":"x","creationTimestamp":null,"generation":9,"deletionTimestamp":"2020-01-01T00:00:00Z","managedFields":[{}],"selfLink":"y","labels":{},"finalizers":[]}"#
    let made = try await api.send("POST", migrations, query: "fieldValidation=Strict", body: migration(wanted))
    #expect(made.code == 201 && made.object.generation == 1 && made.object.uid != "x" && !made.object.isDeleting)
    #expect(
      Set(made.object.metadata.object.map { Array($0.keys) } ?? []) == [
        "name", "namespace", "uid", "creationTimestamp", "generation", "resourceVersion",
      ])
    for patch in [#"{"metadata":{"uid":"y"}}"#, #"{"kind":"Rule"}"#, #"{"apiVersion":"v1"}"#] {
      #expect(try await api.send("PATCH", "\(migrations)/m", body: patch, type: merge).code == 422, "\(patch)")
    }
    let ignored =
      #"{"metadata":{"creationTimestamp":"2001-01-01T00:00:00Z","generation":7,"deletionTimestamp":"2001-01-01T00:00:00Z"}}"#
    let same = try await api.send("PATCH", "\(migrations)/m", body: ignored, type: merge)
    #expect(same.code == 200 && same.json == made.json)
  }

  @Test("A dry run checks everything and stores nothing")
  func dryRun() async throws {
    let api = try await APICall()
    let made = try await api.send("POST", migrations, query: "dryRun=All", body: migration(#"{"name":"m"}"#))
    #expect(made.code == 201 && made.object.resourceVersion.isEmpty && !made.object.uid.isEmpty)
    #expect(try await api.send("GET", "\(migrations)/m").code == 404)
    let real = try await api.send("POST", migrations, body: migration(#"{"name":"m"}"#))
    let patched = try await api.send(
      "PATCH", "\(migrations)/m", query: "dryRun=All", body: #"{"spec":{"a":1}}"#, type: merge)
    #expect(patched.json[at: "spec.a"] == 1 && patched.object.resourceVersion == real.object.resourceVersion)
    #expect(try await api.send("GET", "\(migrations)/m").json == real.json)
    #expect(try await api.send("DELETE", "\(migrations)/m", query: "dryRun=Some").code == 422)
    #expect(try await api.send("DELETE", "\(migrations)/m", body: #"{"dryRun":["All"]}"#).code == 200)
    #expect(try await api.send("GET", "\(migrations)/m").code == 200)
  }

  @Test("Protobuf bodies make objects of built-in kinds; others are told what to do")
  func protobuf() async throws {
    let api = try await APICall()
    let body = ProtobufBytes.body("v1", "ConfigMap") { map in
      map.message(1) { $0.text(1, "c") }
      map.message(2) { entry in
        entry.text(1, "k")
        entry.text(2, "v")
      }
    }
    let type = "application/vnd.kubernetes.protobuf"
    let made = try await api.send(
      "POST", "\(core)/configmaps", query: "fieldValidation=Strict", bytes: body, type: type)
    #expect(made.code == 201 && made.json["data"] == ["k": "v"])
    let unread = ProtobufBytes.body("v1", "Node") { $0.message(1) { $0.text(1, "n") } }
    let refused = try await api.send("POST", "api/v1/nodes", bytes: unread, type: type)
    #expect(refused.code == 415 && refused.message.contains("--dry-run=client -o yaml | kubectl apply -f -"))
    #expect(try await api.send("POST", migrations, bytes: body, type: type).code == 415)
    #expect(try await api.send("POST", "\(core)/secrets", bytes: body, type: type).code == 422, "another kind")
    let options = ProtobufBytes.body("v1", "DeleteOptions") { $0.message(2) { $0.text(1, "other") } }
    #expect(try await api.send("DELETE", "\(core)/configmaps/c", bytes: options, type: type).code == 409)
  }

  @Test("Nothing acceptable is 406, and nothing is done")
  func notAcceptable() async throws {
    let api = try await APICall()
    let refused = try await api.send("POST", migrations, body: migration(#"{"name":"m"}"#), accept: "application/cbor")
    #expect(refused.code == 406 && refused.json["reason"] == "NotAcceptable")
    #expect(try await api.send("GET", "\(migrations)/m").code == 404)
  }

  @Test("Delete options that contradict each other, or are something else, are refused")
  func deleteOptions() async throws {
    let api = try await APICall()
    _ = try await api.send("POST", migrations, body: migration(#"{"name":"m"}"#))
    let both = #"{"orphanDependents":true,"propagationPolicy":"Orphan"}"#
    #expect(try await api.send("DELETE", "\(migrations)/m", body: both).code == 422)
    #expect(try await api.send("DELETE", "\(migrations)/m", body: #"{"kind":"Migration"}"#).code == 400)
    #expect(try await api.send("DELETE", "\(migrations)/m", body: "{}", type: "text/plain").code == 415)
    let stork =
      #"{"kind":"DeleteOptions","apiVersion":"stork.libopenstorage.org/v1alpha1","propagationPolicy":"Foreground"}"#
    #expect(try await api.send("DELETE", "\(migrations)/m", body: stork).code == 200)
  }

  @Test("A namespace whose contents will not go says what is left, and goes with the last of it")
  func namespaceConditions() async throws {
    let api = try await APICall()
    try await api.fixture.namespace("n")
    let path = "apis/stork.libopenstorage.org/v1alpha1/namespaces/n/migrations"
    for name in ["a", "b"] {
      _ = try await api.send("POST", path, body: migration(#"{"name":"\#(name)","finalizers":["x.y/z"]}"#))
    }
    let deleted = try await api.send("DELETE", "api/v1/namespaces/n")
    #expect(deleted.json[at: "status.phase"] == "Terminating")
    func remaining() async throws -> String? {
      let namespace = try await api.send("GET", "api/v1/namespaces/n").json
      return namespace[at: "status.conditions"]?.array?
        .first { $0["type"] == "NamespaceContentRemaining" }?["message"]?.string
    }
    #expect(
      try await remaining()
        == "Some resources are remaining: migrations.stork.libopenstorage.org has 2 resource instances")
    let refused = try await api.send("POST", path, body: migration(#"{"name":"c"}"#))
    #expect(
      refused.code == 403 && refused.json[at: "details.causes"]?.array?.first?["reason"] == "NamespaceTerminating")
    let free = #"{"metadata":{"finalizers":null}}"#
    _ = try await api.send("PATCH", "\(path)/a", body: free, type: merge)
    #expect(try await remaining()?.contains("has 1 resource instances") == true)
    _ = try await api.send("PATCH", "\(path)/b", body: free, type: merge)
    #expect(try await api.send("GET", "api/v1/namespaces/n").code == 404)
  }

  @Test("The namespace of a namespaced kind must be named to write; a wrong one is no path")
  func collections() async throws {
    let api = try await APICall()
    let body = #"{"metadata":{"name":"c"}}"#
    #expect(try await api.send("POST", "api/v1/configmaps", body: body).code == 405)
    let stork = "apis/stork.libopenstorage.org/v1alpha1"
    #expect(try await api.send("POST", "\(stork)/migrations", body: migration(#"{"name":"m"}"#)).code == 404)
    #expect(try await api.send("DELETE", "\(stork)/migrations").code == 404)
    #expect(try await api.send("POST", "\(core)/nodes", body: body).code == 0, "no such path")
  }
}
