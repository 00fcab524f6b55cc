import APIModel
import Testing

@testable import KubeModel
@testable import KubeServer
@testable import ReplAgent
@testable import StorkControllers
@testable import ReplCtl

@Suite("get -w") struct WatchedListingTests {
  private struct Enough: Error {}

  private static let configMaps = "api/v1/namespaces/shop/configmaps"

  /// A plane with some ConfigMaps, made anew so that it remembers no change to them.
  private func restarted(_ names: String...) async throws -> PlaneFixture {
    let first = try await PlaneFixture()
    _ = try await first.send(
      "POST", "api/v1/namespaces", body: ["apiVersion": "v1", "kind": "Namespace", "metadata": ["name": "shop"]])
    for name in names {
      _ = try await first.send(
        "POST", Self.configMaps, body: ["apiVersion": "v1", "kind": "ConfigMap", "metadata": ["name": .string(name)]])
    }
    try await first.stop()
    return try await PlaneFixture(first.directory)
  }

  private func listing(_ plane: PlaneFixture, _ names: [String]) throws -> Listing {
    let options = try GlobalOptions.parse(["--socket", plane.socketPath, "-n", "shop"])
    var listing = Listing(options: options, kind: "configmaps", names: names, allNamespaces: false)
    listing.watch = true
    return listing
  }

  @Test("of one named object goes on from the version of a list, and only that object is asked for")
  func version() async throws {
    let plane = try await restarted("old", "young")
    let listing = try listing(plane, ["old"])
    let found = try await blocking {
      try listing.list(try KindCatalog(listing.options.client).kind("configmaps"), listing.options.client, nil)
    }
    #expect(found.items.map { Field.text($0, "metadata.name") } == ["old"])
    let list = try await plane.send("GET", Self.configMaps, query: [("fieldSelector", "metadata.name=old")])
    #expect(found.version == Field.text(list, "metadata.resourceVersion"))
    #expect(listing.query.map(\.1) == ["metadata.name=old"])
    #expect(try await plane.run("get", "configmaps", "none", "-n", "shop", "-w") == 3)
    try await plane.stop()
  }

  @Test("shows everything anew when changes were missed, and pauses before it asks again")
  func missedChanges() async throws {
    let plane = try await restarted("old", "young")
    let listing = try listing(plane, ["old"])
    let pauses = try await blocking {
      let client = listing.options.client
      let entry = try KindCatalog(client).kind("configmaps")
      var versions = ["1"]
      var watched = WatchedListing(listing: listing, entry: entry, client: client, view: nil)
      watched.timeout = 1
      watched.pause = { version in
        versions.append(version)
        if versions.count == 3 { throw Enough() }
      }
      #expect(throws: Enough.self) { try watched.follow(Listing.Found(items: [], version: "1"), layout: []) }
      return versions
    }
    let list = try await plane.send("GET", Self.configMaps)
    #expect(pauses == ["1", "0", Field.text(list, "metadata.resourceVersion")])
    try await plane.stop()
  }
}
