import APIModel
import GRDB
import Glibc
import ReplModel
import Testing

@testable import KubeModel
@testable import KubeServer
@testable import ReplAgent
@testable import StorkControllers

@Suite struct StoreTests {
  private func claim(_ name: String, namespace: String = "shop") -> KubeObject {
    var object = ResourceKind.migration.object(namespace: namespace, name: name)
    object.json["spec"] = ["clusterPair": "b"]
    return object
  }

  @Test func objectsGetIdentityAndGrowingVersions() async throws {
    let fixture = try StoreFixture()
    try await fixture.namespace("shop")
    let first = try await fixture.store.create(.migration, claim("a"), dryRun: false)
    let second = try await fixture.store.create(.migration, claim("b"), dryRun: false)
    #expect(first.uid.count == 36 && first.uid != second.uid)
    #expect(first.generation == 1)
    #expect(first.metadata["creationTimestamp"] == .string(Timestamp.text(fixture.clock.now)))
    #expect(try #require(Int64(second.resourceVersion)) > (try #require(Int64(first.resourceVersion))))
  }

  @Test func versionsSurviveARestart() async throws {
    let directory = try TemporaryDirectory()
    let path = directory.path + "/objects.db"
    let store = try SQLiteObjectStore(path: path, registry: .standard)
    let created = try await store.create(.namespace, ResourceKind.namespace.object(name: "shop"), dryRun: false)
    store.close()
    let again = try SQLiteObjectStore(path: path, registry: .standard)
    #expect(try await again.get(.namespace, namespace: "", name: "shop") == created)
    let next = try await again.create(.namespace, ResourceKind.namespace.object(name: "other"), dryRun: false)
    #expect(try #require(Int64(next.resourceVersion)) > (try #require(Int64(created.resourceVersion))))
    again.close()
  }

  @Test func aRowThatHoldsNoTextIsAnErrorAndNoEnd() async throws {
    let directory = try TemporaryDirectory()
    let path = directory.path + "/objects.db"
    let store = try SQLiteObjectStore(path: path, registry: .standard)
    defer { store.close() }
    _ = try await store.create(.namespace, ResourceKind.namespace.object(name: "shop"), dryRun: false)
    for rubbish in ["x'FFFE'", "x''"] {
      let other = try DatabaseQueue(path: path)
      try await other.write { try $0.execute(sql: "UPDATE objects SET document = \(rubbish)") }
      try other.close()
      _ = try? await store.texts(ListQuery(.namespace))
      await #expect(throws: StatusError.self) { _ = try await store.list(ListQuery(.namespace)) }
      await #expect(throws: StatusError.self) { _ = try await store.get(.namespace, namespace: "", name: "shop") }
      await #expect(throws: StatusError.self) {
        _ = try await store.delete(.namespace, namespace: "", name: "shop", options: DeleteOptions())
      }
    }
  }

  @Test func theDatabaseIsWALWithFullSynchronousAndPrivate() async throws {
    let fixture = try StoreFixture()
    var status = stat()
    #expect(stat(fixture.directory.path + "/objects.db", &status) == 0)
    #expect(status.st_mode & 0o777 == 0o600)
    #expect(fixture.directory.names.contains("objects.db-wal"))
  }

  @Test func aWriteBasedOnAnOlderVersionIsAConflict() async throws {
    let fixture = try StoreFixture()
    try await fixture.namespace("shop")
    let old = try await fixture.store.create(.migration, claim("a"), dryRun: false)
    let newer = try await fixture.store.update(
      .migration, namespace: "shop", name: "a", part: .main, dryRun: false
    ) { object in
      var object = object
      object.json[at: "spec.x"] = 1
      return object
    }
    #expect(newer.generation == 2)
    let error = await #expect(throws: StatusError.self) {
      _ = try await fixture.store.update(.migration, namespace: "shop", name: "a", part: .main, dryRun: false) { _ in
        old
      }
    }
    #expect(error?.code == 409 && error?.reason == "Conflict")
    #expect(
      error?.message.hasSuffix("please apply your changes to the latest version and try again") == true)
  }

  @Test func aWriteOfNothingKeepsTheVersionAndEmitsNothing() async throws {
    let fixture = try StoreFixture()
    try await fixture.namespace("shop")
    let object = try await fixture.store.create(.migration, claim("a"), dryRun: false)
    let watch = try await fixture.store.watch(after: nil)
    let same = try await fixture.store.update(.migration, namespace: "shop", name: "a", part: .main, dryRun: false) {
      old in
      var new = old
      new[metadata: "labels"] = .object([:])
      new[metadata: "generation"] = 99
      new[metadata: "creationTimestamp"] = "2000-01-01T00:00:00Z"
      return new
    }
    #expect(same == object)
    _ = try await fixture.store.create(.migration, claim("b"), dryRun: false)
    let changes = try #require(try await watch.next())
    #expect(changes.map(\.object.name) == ["b"])
  }

  @Test func aDryRunStoresNothingAndUsesNoVersion() async throws {
    let fixture = try StoreFixture()
    try await fixture.namespace("shop")
    let before = try await fixture.store.list(ListQuery(.migration)).version
    let object = try await fixture.store.create(.migration, claim("a"), dryRun: true)
    #expect(!object.uid.isEmpty && object.resourceVersion.isEmpty)
    let list = try await fixture.store.list(ListQuery(.migration))
    #expect(list.items.isEmpty && list.version == before)
  }

  @Test func finalizersKeepAnObjectUntilTheLastOneGoes() async throws {
    let fixture = try StoreFixture()
    try await fixture.namespace("shop")
    var object = claim("a")
    object[metadata: "finalizers"] = ["x/y"]
    _ = try await fixture.store.create(.migration, object, dryRun: false)
    guard
      case .pending(let marked) = try await fixture.store.delete(
        .migration, namespace: "shop", name: "a", options: DeleteOptions())
    else {
      Issue.record("deleted in spite of its finalizer")
      return
    }
    #expect(marked.isDeleting && marked.generation == 2)
    guard
      case .pending(let again) = try await fixture.store.delete(
        .migration, namespace: "shop", name: "a", options: DeleteOptions())
    else {
      Issue.record("deleted by the second try")
      return
    }
    #expect(again == marked)
    let more = await #expect(throws: StatusError.self) {
      _ = try await fixture.store.update(.migration, namespace: "shop", name: "a", part: .main, dryRun: false) { old in
        var new = old
        new[metadata: "finalizers"] = ["x/y", "q/r"]
        return new
      }
    }
    #expect(more?.code == 422)
    _ = try await fixture.store.update(.migration, namespace: "shop", name: "a", part: .main, dryRun: false) { old in
      var new = old
      new[metadata: "finalizers"] = nil
      return new
    }
    await #expect(throws: ResourceKind.migration.notFound("a")) {
      _ = try await fixture.store.get(.migration, namespace: "shop", name: "a")
    }
  }

  @Test func dependantsGoWithTheirOwnerAndForegroundWaitsForThem() async throws {
    let fixture = try StoreFixture()
    try await fixture.namespace("shop")
    let owner = try await fixture.store.create(.migration, claim("owner"), dryRun: false)
    func dependant(_ name: String, finalizer: Bool) async throws {
      var object = claim(name)
      object[metadata: "ownerReferences"] = [
        [
          "uid": .string(owner.uid), "name": "owner", "kind": "Migration", "apiVersion": .string(owner.apiVersion),
          "blockOwnerDeletion": true,
        ]
      ]
      if finalizer { object[metadata: "finalizers"] = ["x/y"] }
      _ = try await fixture.store.create(.migration, object, dryRun: false)
    }
    try await dependant("free", finalizer: false)
    try await dependant("held", finalizer: true)
    _ = try await fixture.store.delete(
      .migration, namespace: "shop", name: "owner", options: DeleteOptions(propagation: .foreground))
    #expect(try await fixture.store.list(ListQuery(.migration)).items.map(\.name) == ["held", "owner"])
    _ = try await fixture.store.update(.migration, namespace: "shop", name: "held", part: .main, dryRun: false) { old in
      var new = old
      new[metadata: "finalizers"] = nil
      return new
    }
    #expect(try await fixture.store.list(ListQuery(.migration)).items.isEmpty)
  }

  @Test func aNamespaceTakesItsContentsAlongAndWaitsForFinalizers() async throws {
    let fixture = try StoreFixture()
    try await fixture.namespace("shop")
    var held = claim("held")
    held[metadata: "finalizers"] = ["x/y"]
    _ = try await fixture.store.create(.migration, held, dryRun: false)
    _ = try await fixture.store.create(.migration, claim("free"), dryRun: false)
    _ = try await fixture.store.delete(.namespace, namespace: "", name: "shop", options: DeleteOptions())
    #expect(try await fixture.store.list(ListQuery(.migration)).items.map(\.name) == ["held"])
    let refused = await #expect(throws: StatusError.self) {
      _ = try await fixture.store.create(.migration, claim("late"), dryRun: false)
    }
    #expect(refused?.code == 403 && refused?.causes.first?.reason == "NamespaceTerminating")
    _ = try await fixture.store.update(.migration, namespace: "shop", name: "held", part: .main, dryRun: false) { old in
      var new = old
      new[metadata: "finalizers"] = nil
      return new
    }
    await #expect(throws: ResourceKind.namespace.notFound("shop")) {
      _ = try await fixture.store.get(.namespace, namespace: "", name: "shop")
    }
  }

  @Test func aReaderThatIsLeftBehindIsToldSo() async throws {
    let fixture = try StoreFixture(journal: 4)
    let slow = try await fixture.store.watch(after: nil)
    for number in 0..<10 { try await fixture.namespace("n\(number)") }
    let error = await #expect(throws: StatusError.self) { _ = try await slow.next() }
    #expect(error?.code == 410 && error?.reason == "Expired")
  }

  @Test func noChangeIsLostOrRepeatedUnderConcurrentWriters() async throws {
    let fixture = try StoreFixture()
    try await fixture.namespace("shop")
    let watch = try await fixture.store.watch(after: nil)
    try await withThrowingTaskGroup(of: Void.self) { group in
      for writer in 0..<4 {
        group.addTask {
          for number in 0..<25 {
            _ = try await fixture.store.create(.migration, self.claim("m\(writer)-\(number)"), dryRun: false)
          }
        }
      }
      try await group.waitForAll()
    }
    var seen: [Int64] = []
    while seen.count < 100 { seen += try #require(try await watch.next()).map(\.version) }
    #expect(seen == seen.sorted() && Set(seen).count == 100)
  }
}

@Suite struct SchemaTests {
  private func fill(_ path: String) async throws {
    let store = try SQLiteObjectStore(path: path, registry: .standard)
    _ = try await store.create(.namespace, ResourceKind.namespace.object(name: "kept"), dryRun: false)
    store.close()
  }

  private func next() -> StoreSchema {
    StoreSchema(steps: StoreSchema.current.steps + [{ try $0.execute(sql: "CREATE TABLE extra (x INTEGER)") }])
  }

  @Test func aCopyIsKeptBeforeASchemaChange() async throws {
    let directory = try TemporaryDirectory()
    let path = directory.path + "/objects.db"
    try await fill(path)
    let upgraded = try SQLiteObjectStore(
      path: path, registry: .standard, clock: systemSeconds, schema: next(), journal: 16)
    _ = try await upgraded.get(.namespace, namespace: "", name: "kept")
    upgraded.close()
    let copy = try SQLiteObjectStore(path: path + ".v1.bak", registry: .standard)
    _ = try await copy.get(.namespace, namespace: "", name: "kept")
    copy.close()
  }

  @Test func aCopyCutShortByACrashIsMadeAnew() async throws {
    let directory = try TemporaryDirectory()
    let path = directory.path + "/objects.db"
    try await fill(path)
    let part = path + ".v1.bak.part"
    let descriptor = open(part, O_CREAT | O_WRONLY, 0o600)
    #expect(write(descriptor, "half", 4) == 4)
    close(descriptor)
    let upgraded = try SQLiteObjectStore(
      path: path, registry: .standard, clock: systemSeconds, schema: next(), journal: 16)
    upgraded.close()
    #expect(access(part, F_OK) != 0)
    let copy = try SQLiteObjectStore(path: path + ".v1.bak", registry: .standard)
    _ = try await copy.get(.namespace, namespace: "", name: "kept")
    copy.close()
  }

  @Test func aFailedStepLeavesTheOldSchemaAndItsObjects() async throws {
    let directory = try TemporaryDirectory()
    let path = directory.path + "/objects.db"
    try await fill(path)
    let broken = StoreSchema(steps: StoreSchema.current.steps + [{ try $0.execute(sql: "NONSENSE") }])
    #expect(throws: ReplError.self) {
      _ = try SQLiteObjectStore(path: path, registry: .standard, clock: systemSeconds, schema: broken, journal: 16)
    }
    let store = try SQLiteObjectStore(path: path, registry: .standard)
    _ = try await store.get(.namespace, namespace: "", name: "kept")
    store.close()
  }

  @Test func aNewerSchemaIsRefusedByName() async throws {
    let directory = try TemporaryDirectory()
    let path = directory.path + "/objects.db"
    let newer = try SQLiteObjectStore(
      path: path, registry: .standard, clock: systemSeconds, schema: next(), journal: 16)
    newer.close()
    let error = #expect(throws: ReplError.self) { _ = try SQLiteObjectStore(path: path, registry: .standard) }
    #expect(error?.kind == .refused)
    #expect(error?.cause == "its schema version 2 is newer than 1, the newest this program knows")
  }
}
