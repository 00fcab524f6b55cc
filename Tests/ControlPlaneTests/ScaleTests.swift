import APIModel
import Glibc
import Testing

@testable import KubeModel
@testable import KubeServer
@testable import ReplAgent
@testable import StorkControllers

private let migrations = "apis/stork.libopenstorage.org/v1alpha1/namespaces/default/migrations"

/// Ten thousand objects and a hundred watches. Bounds are generous: they are for builds without optimisation on busy
/// machines, and catch what grows with the square.
@Suite("Scale", .serialized) struct ScaleTests {
  private static let objects = 10_000

  private static func body(_ number: Int) -> JSONValue {
    [
      "apiVersion": "stork.libopenstorage.org/v1alpha1", "kind": "Migration",
      "metadata": ["name": .string("m\(number)"), "namespace": "default", "labels": ["n": .string("\(number % 10)")]],
      "spec": ["clusterPair": "pair", "namespaces": ["default"], "includeResources": true],
      "status": [
        "stage": "Final", "status": "Successful", "volumes": .array((0..<4).map { ["volume": .string("v\($0)")] }),
      ],
    ]
  }

  private static func fill(_ store: SQLiteObjectStore) async throws {
    for number in 0..<objects {
      _ = try await store.create(.migration, KubeObject(body(number)), dryRun: false)
    }
  }

  /// Resident memory of this process, in bytes.
  private static func memory() -> Int {
    guard let file = fopen("/proc/self/statm", "r") else { return 0 }
    defer { fclose(file) }
    var line = [CChar](repeating: 0, count: 256)
    guard fgets(&line, 256, file) != nil else { return 0 }
    let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    return (Int(text.split(separator: " ").dropFirst().first ?? "0") ?? 0) * 4_096
  }

  @Test("Lists of ten thousand objects and changes told to a hundred watches stay fast, in bounded memory")
  func tenThousand() async throws {
    let api = try await APICall(inMemory: true)
    let clock = ContinuousClock()
    try await Self.fill(api.fixture.store)
    var begin = clock.now
    guard
      case .bytes(200, _, let bytes, _)? = try await api.fixture.api.answer(
        APIRequest(method: "GET", path: "/" + migrations))
    else {
      Issue.record("no list")
      return
    }
    let list = clock.now - begin
    #expect(bytes.count > 2_000_000 && list < .seconds(2), "list of everything: \(list)")
    begin = clock.now
    let page = try await api.send("GET", migrations, query: "limit=500")
    #expect(page.json["items"]?.array?.count == 500 && clock.now - begin < .seconds(2), "a page of 500")

    let before = Self.memory()
    let watches = 100
    let changes = 200
    var streams: [WatchStream] = []
    for _ in 0..<watches {
      let version = try await api.fixture.store.list(ListQuery(.namespace)).version
      streams.append(try #require(try await api.watch(migrations, query: "resourceVersion=\(version)")))
    }
    begin = clock.now
    let told = try await Self.tell(streams, changes, api.fixture.store)
    let fanOut = clock.now - begin
    #expect(told == watches * changes)
    #expect(fanOut < .seconds(30), "\(changes) changes to \(watches) watches: \(fanOut)")
    #expect(Self.memory() - before < 256 << 20, "memory of the watches")
  }

  /// Changes objects while every stream is read to its end; the lines read in all.
  private static func tell(_ streams: [WatchStream], _ changes: Int, _ store: SQLiteObjectStore) async throws -> Int {
    try await withThrowingTaskGroup(of: Int.self) { tasks in
      for stream in streams {
        tasks.addTask {
          var feed = WatchFeed(stream)
          var lines = 0
          while lines < changes, case .lines(let pieces) = await feed.next() {
            lines += pieces.joined().count { $0 == 0x0A }
          }
          return lines
        }
      }
      for number in 0..<changes {
        _ = try await store.update(
          .migration, namespace: "default", name: "m\(number)", part: .main, dryRun: false
        ) { old in
          var new = old
          new.json[at: "spec.changed"] = true
          return new
        }
      }
      return try await tasks.reduce(0, +)
    }
  }

  @Test("Watches that nobody reads hold nothing, and are told when they have fallen behind")
  func unread() async throws {
    let fixture = try StoreFixture(journal: 100, inMemory: true)
    try await fixture.namespace("default")
    var watches: [ObjectWatch] = []
    for _ in 0..<1_000 { watches.append(try await fixture.store.watch(after: nil)) }
    let before = Self.memory()
    for number in 0..<300 {
      _ = try await fixture.store.create(.migration, KubeObject(Self.body(number)), dryRun: false)
    }
    #expect(Self.memory() - before < 64 << 20)
    let error = await #expect(throws: StatusError.self) { _ = try await watches[0].next() }
    #expect(error?.reason == "Expired")
  }
}
