import APIModel
import Synchronization
import Testing

@testable import KubeModel
@testable import KubeServer
@testable import StorkControllers

/// The embedded store as controllers see it: what it does here, a real API server does too.
@Suite("The store of controllers") struct KubeStoreTests {
  private func fixture() async throws -> (fixture: StoreFixture, store: any KubeStore) {
    let fixture = try StoreFixture()
    try await fixture.namespace("shop")
    return (fixture, fixture.store)
  }

  private func volume(_ store: any KubeStore) async throws -> KubeObject {
    var object = ResourceKind.persistentVolume.object(name: "v")
    object.json["spec"] = ["capacity": ["storage": "1Gi"], "local": ["path": "/pool/v"], "accessModes": []]
    return try await store.create(.persistentVolume, object)
  }

  @Test("A status that is a subresource is written by updateStatus only, and the rest by update only")
  func subresource() async throws {
    let (_, store) = try await fixture()
    var wanted = try await volume(store)
    wanted[metadata: "annotations"] = ["a": "b"]
    wanted.json["status"] = ["phase": "Bound"]
    let updated = try await store.update(.persistentVolume, wanted)
    #expect(updated.annotations == ["a": "b"] && updated.status["phase"] == "Pending")
    var next = updated
    next.json["status"] = ["phase": "Bound"]
    next.json[at: "spec.capacity.storage"] = "2Gi"
    let told = try await store.updateStatus(.persistentVolume, next)
    #expect(told.status["phase"] == "Bound" && told.json[at: "spec.capacity.storage"] == "1Gi")
    let both = try await store.change(.persistentVolume, namespace: "", name: "v") { old in
      var new = old
      new.json[at: "spec.claimRef"] = ["namespace": "shop", "name": "c"]
      new.json["status"] = ["phase": "Available"]
      return new
    }
    #expect(both.json[at: "spec.claimRef.name"] == "c" && both.status["phase"] == "Available")
  }

  @Test(
    "A write based on an older version is a conflict; a change begins anew with what others wrote, but for its own refusal"
  )
  func conflicts() async throws {
    let (fixture, store) = try await fixture()
    let old = try await volume(store)
    _ = try await store.patch(
      .persistentVolume, namespace: "", name: "v", merge: ["metadata": ["labels": ["x": "1"]]])
    let error = await #expect(throws: StatusError.self) {
      var late = old
      late[metadata: "labels"] = ["x": "2"]
      _ = try await store.update(.persistentVolume, late)
    }
    #expect(error?.code == 409)
    let door = BusyStore(fixture.store)
    let calls = Mutex(0)
    let changed = try await door.change(.persistentVolume, namespace: "", name: "v") { old in
      calls.withLock { $0 += 1 }
      var new = old
      new[metadata: "annotations"] = ["seen": .string(old.labels["x"] ?? "")]
      return new
    }
    #expect(calls.withLock { $0 } == 2 && changed.annotations["seen"] == "busy")
    let refusal = await #expect(throws: StatusError.self) {
      _ = try await store.change(.persistentVolume, namespace: "", name: "v") { old throws(StatusError) in
        throw ResourceKind.persistentVolume.conflict(old.name)
      }
    }
    #expect(refusal?.code == 409)
  }

  @Test("A watch is of one kind, and goes on where its list ended")
  func watch() async throws {
    let (_, store) = try await fixture()
    _ = try await volume(store)
    let page = try await store.list(.persistentVolume)
    #expect(page.items.map(\.name) == ["v"])
    _ = try await store.create(.configMap, ResourceKind.configMap.object(namespace: "shop", name: "other"))
    _ = try await store.patch(.persistentVolume, namespace: "", name: "v", merge: ["metadata": ["labels": ["x": "1"]]])
    _ = try await store.delete(.persistentVolume, namespace: "", name: "v", options: DeleteOptions())
    let watch = try await store.watch(.persistentVolume, after: page.version)
    var seen: [KubeEvent] = []
    while seen.count < 2, let events = try await watch.next() { seen += events }
    #expect(seen.map(\.action) == [.modified, .deleted] && seen.allSatisfy { $0.object.name == "v" })
    let error = await #expect(throws: StatusError.self) {
      _ = try await store.watch(.persistentVolume, after: ResourceVersion("of another server"))
    }
    #expect(error?.code == 410)
  }
}

/// A store in which somebody else writes right after the first reading.
private final class BusyStore: KubeStore {
  private let store: any KubeStore
  private let isFirst = Mutex(true)

  init(_ store: any KubeStore) { self.store = store }

  func get(_ kind: ResourceKind, namespace: String, name: String) async throws(StatusError) -> KubeObject {
    let object = try await store.get(kind, namespace: namespace, name: name)
    let first = isFirst.withLock { first in
      defer { first = false }
      return first
    }
    if first {
      _ = try await patch(kind, namespace: namespace, name: name, merge: ["metadata": ["labels": ["x": "busy"]]])
    }
    return object
  }

  func page(_ kind: ResourceKind, namespace: String, after token: String?) async throws(StatusError) -> KubePage {
    try await store.page(kind, namespace: namespace, after: token)
  }

  func list(_ kind: ResourceKind, namespace: String?, labels: LabelSelector) async throws(StatusError) -> KubeList {
    try await store.list(kind, namespace: namespace, labels: labels)
  }
  func create(_ kind: ResourceKind, _ object: KubeObject) async throws(StatusError) -> KubeObject {
    try await store.create(kind, object)
  }
  func update(_ kind: ResourceKind, _ object: KubeObject) async throws(StatusError) -> KubeObject {
    try await store.update(kind, object)
  }
  func updateStatus(_ kind: ResourceKind, _ object: KubeObject) async throws(StatusError) -> KubeObject {
    try await store.updateStatus(kind, object)
  }
  func patch(_ kind: ResourceKind, namespace: String, name: String, merge: JSONValue) async throws(StatusError)
    -> KubeObject
  { try await store.patch(kind, namespace: namespace, name: name, merge: merge) }
  func delete(_ kind: ResourceKind, namespace: String, name: String, options: DeleteOptions)
    async throws(StatusError) -> DeleteOutcome
  { try await store.delete(kind, namespace: namespace, name: name, options: options) }
  func watch(_ kind: ResourceKind, after version: ResourceVersion) async throws(StatusError) -> any KubeWatch {
    try await store.watch(kind, after: version)
  }
}
