import APIModel
import Testing

@testable import KubeModel
@testable import KubeServer
@testable import ReplAgent
@testable import StorkControllers

private let maps = "api/v1/namespaces/default/configmaps"

/// What a watch sends, without a connection.
@Suite("Watches") struct WatchFeedTests {
  private func lines(_ part: WatchFeed.Part) throws -> [JSONValue] {
    switch part {
    case .lines(let pieces), .last(let pieces):
      return try pieces.joined().split(separator: 0x0A).map { try JSONParser.parse(Array($0)) }
    case .end: return []
    }
  }

  private func text(_ line: JSONValue) -> String {
    "\(line["type"]?.string ?? "") \(line[at: "object.metadata.name"]?.string ?? "")"
  }

  private func add(_ api: APICall, _ name: String) async throws {
    _ = try await api.send("POST", maps, body: #"{"metadata":{"name":"\#(name)"}}"#)
  }

  @Test("The journal holds no more changes than its bytes allow, whatever was dropped before")
  func journalLetsGo() {
    let hub = WatchHub(version: 0, maximumBytes: 1_000)
    let object = ObjectText(namespace: "default", name: "m", text: [UInt8](repeating: 0x20, count: 72))
    for version in 1...500 as ClosedRange<Int64> {
      hub.publish([
        StoreChange(
          action: .modified, resource: ResourceKind.configMap.resource, object: object, old: object, version: version)
      ])
    }
    #expect(hub.count == 2)
    guard case .changes(let kept) = hub.changes(after: 498) else {
      Issue.record("the newest changes are not there")
      return
    }
    #expect(kept.map(\.version) == [499, 500])
    guard case .expired = hub.changes(after: 497) else {
      Issue.record("a change that was dropped is not missed")
      return
    }
  }

  @Test("The objects there come page by page; changes made meanwhile are neither lost nor told twice")
  func pages() async throws {
    let api = try await APICall()
    for number in 100..<1_200 { try await add(api, "m\(number)") }
    var feed = WatchFeed(try #require(try await api.watch(maps, query: "")))
    let page = await feed.next()
    var seen = try lines(page).map(text)
    #expect(seen.count > 100 && seen.first == "ADDED m100")
    if case .lines(let pieces) = page { #expect((48 << 10...80 << 10).contains(pieces.joined().count), "of a page") }
    // Before the first page's end, after it, and within pages that are still to come.
    _ = try await api.send("DELETE", "\(maps)/m100")
    _ = try await api.send("DELETE", "\(maps)/m1000")
    try await add(api, "m999a")
    while seen.count < 1_098 { seen += try lines(await feed.next()).map(text) }
    _ = try await api.send("DELETE", "\(maps)/m999a")
    while seen.last != "DELETED m999a" { seen += try lines(await feed.next()).map(text) }
    #expect(seen.filter { $0 == "ADDED m999a" }.count == 1)
    #expect(seen.filter { $0.hasPrefix("ADDED") }.count == Set(seen.filter { $0.hasPrefix("ADDED") }).count)
    #expect(seen.filter { $0 == "DELETED m100" }.count == 1)
    // What was gone before its page was read was never there for this client.
    let goneUnseen = seen.contains("ADDED m1000")
    #expect(seen.contains("DELETED m1000") == goneUnseen)
  }

  @Test("A watch-list ends its first part with the marked bookmark")
  func watchList() async throws {
    let api = try await APICall()
    try await add(api, "a")
    let query = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    var feed = WatchFeed(try #require(try await api.watch(maps, query: query)))
    let first = try lines(await feed.next())
    #expect(first.map(text) == ["ADDED a", "BOOKMARK "])
    #expect(first[1][at: "object.metadata.annotations"]?["k8s.io/initial-events-end"] == "true")
    #expect(first[1][at: "object.kind"] == "ConfigMap")
    try await add(api, "b")
    #expect(try lines(await feed.next()).map(text) == ["ADDED b"])
  }

  @Test("A change goes out as the text that was stored")
  func storedText() async throws {
    let api = try await APICall()
    let stream = try #require(try await api.watch(maps, query: "resourceVersion=2"))
    try await add(api, "a")
    let object = try await api.send("GET", "\(maps)/a").json
    var feed = WatchFeed(stream)
    guard case .lines(let pieces) = await feed.next() else {
      Issue.record("no lines")
      return
    }
    #expect(
      String(decoding: pieces.joined(), as: UTF8.self) == "{\"type\":\"ADDED\",\"object\":\(object.compactText)}\n")
  }

  @Test("Changes come in parts of few bytes, the text of each as the journal has it")
  func parts() async throws {
    let api = try await APICall()
    let stream = try #require(try await api.watch(maps, query: "resourceVersion=2"))
    let text = String(repeating: "x", count: 40 << 10)
    for name in ["a", "b", "c"] {
      _ = try await api.send("POST", maps, body: #"{"metadata":{"name":"\#(name)"},"data":{"t":"\#(text)"}}"#)
    }
    for number in 0..<40 { try await add(api, "m\(number)") }
    var feed = WatchFeed(stream)
    var counts: [Int] = []
    while counts.reduce(0, +) < 43 { counts.append(try lines(await feed.next()).count) }
    #expect(counts.prefix(2) == [1, 1] && counts.count == 3)
  }

  @Test("What is sent at once has few bytes, however large the objects are")
  func slices() {
    let most = WatchWriter.sliceBytes
    for counts in [[], [0], [1], [most], [most - 1, 2], [10, 3 * most, 0, 7], Array(repeating: 1_000, count: 200)] {
      let pieces = counts.enumerated().map { [UInt8](repeating: UInt8($0.offset), count: $0.element) }
      let slices = WatchWriter.slices(of: pieces)
      #expect(slices.joined().joined().elementsEqual(pieces.joined()), "\(counts)")
      #expect(slices.dropLast().allSatisfy { $0.joined().count == most } && slices.allSatisfy { !$0.isEmpty })
      #expect((slices.last?.joined().count ?? 0) <= most)
    }
  }

  @Test("Waking a watch gives it nothing to send; its position stays that of the store")
  func waking() async throws {
    let api = try await APICall()
    let stream = try #require(try await api.watch(maps, query: "resourceVersion=2&allowWatchBookmarks=true"))
    _ = try await api.send("POST", "api/v1/namespaces/default/secrets", body: #"{"metadata":{"name":"s"}}"#)
    var feed = WatchFeed(stream)
    #expect(try lines(await feed.next()).isEmpty, "a change of another kind")
    stream.watch.wake()
    #expect(try lines(await feed.next()).isEmpty)
    let version = try await api.fixture.store.list(ListQuery(.secret)).version
    #expect(feed.version == version)
    stream.watch.stop()
    guard case .end = await feed.next() else {
      Issue.record("the watch goes on")
      return
    }
  }

  @Test(
    "Parameters that do not go together are refused",
    arguments: [
      ("sendInitialEvents=true", 422), ("sendInitialEvents=true&resourceVersionMatch=Exact", 422),
      ("resourceVersionMatch=NotOlderThan", 422), ("resourceVersion=x", 500), ("fieldSelector=spec.x%3D1", 400),
    ])
  func parameters(_ query: String, _ code: Int) async throws {
    let api = try await APICall()
    let answer = try await api.send("GET", maps, query: "watch=true&\(query)")
    #expect(answer.code == code)
  }

  @Test(
    "The same for lists",
    arguments: [
      ("sendInitialEvents=true", 422), ("resourceVersionMatch=Exact", 422),
      ("resourceVersion=0&resourceVersionMatch=Exact", 422), ("resourceVersion=1&resourceVersionMatch=Exact", 410),
      ("resourceVersion=1&resourceVersionMatch=Some", 422), ("resourceVersion=x", 400), ("resourceVersion=999999", 504),
      ("continue=1.61.62&resourceVersion=1", 400), ("continue=zz", 400), ("resourceVersion=0", 200),
      ("continue=1.61.62&resourceVersionMatch=NotOlderThan", 422),
    ])
  func listParameters(_ query: String, _ code: Int) async throws {
    let api = try await APICall()
    #expect(try await api.send("GET", maps, query: query).code == code)
  }

  @Test("All pages of a list carry the version of the first")
  func pageVersions() async throws {
    let api = try await APICall()
    for name in ["a", "b", "c"] { try await add(api, name) }
    let first = try await api.send("GET", maps, query: "limit=2")
    let token = try #require(first.json[at: "metadata.continue"]?.string)
    try await add(api, "d")
    let second = try await api.send("GET", maps, query: "limit=2&continue=\(token)")
    #expect(second.json["items"]?.array?.count == 2)
    #expect(second.json[at: "metadata.resourceVersion"] == first.json[at: "metadata.resourceVersion"])
  }

  @Test("Tables of a watch hold one row an event; metadata only is metadata only")
  func forms() async throws {
    let api = try await APICall()
    try await add(api, "a")
    let table = try await api.send(
      "GET", maps, query: "includeObject=Object", accept: "application/json;as=Table;v=v1;g=meta.k8s.io")
    #expect(table.json["rows"]?.array?.first?[at: "object.kind"] == "ConfigMap")
    let partial = try await api.send(
      "GET", maps, accept: "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io")
    #expect(partial.json["kind"] == "PartialObjectMetadataList")
    #expect(partial.json["items"]?.array?.first?["kind"] == "PartialObjectMetadata")
  }
}
