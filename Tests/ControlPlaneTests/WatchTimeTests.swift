import APIModel
import Glibc
import Testing

@testable import KubeModel
@testable import KubeServer
@testable import ReplAgent
@testable import StorkControllers
@testable import ReplCtl

/// What happens to a watch when nothing happens: bookmarks for those who read, an end for those who do not.
@Suite("Times of watches") struct WatchTimeTests {
  @Test("Bookmarks come from time to time though nothing changes, and only to those who asked")
  func bookmarks() async throws {
    let plane = try await PlaneFixture(watchLimits: WatchLimits(bookmarkInterval: .milliseconds(50)))
    // The last that is written after the start.
    _ = try await plane.wait("api/v1/nodes") { $0["items"]?.array?.first?[at: "status.conditions"] != nil }
    let client = plane.client
    let version = KubeObject(try await plane.send("GET", "apis/storage.k8s.io/v1/storageclasses")).resourceVersion
    let seen = try await blocking {
      var seen: [String] = []
      try client.watch(
        ["apis", "storage.k8s.io", "v1", "storageclasses"],
        query: [("allowWatchBookmarks", "true"), ("timeoutSeconds", "60"), ("resourceVersion", version)]
      ) { type, object in
        seen.append("\(type) \(object[at: "metadata.resourceVersion"]?.string ?? "")")
        return seen.count < 3
      }
      return seen
    }
    #expect(seen == Array(repeating: "BOOKMARK \(version)", count: 3))
    let unasked = try await blocking {
      var lines = 0
      try client.watch(["apis", "storage.k8s.io", "v1", "storageclasses"], query: [("timeoutSeconds", "1")]) { _, _ in
        lines += 1
        return true
      }
      return lines
    }
    #expect(unasked == 0)
    try await plane.stop()
  }

  @Test("A watcher that never reads is cut off, and the others go on")
  func cut() async throws {
    let plane = try await PlaneFixture(watchLimits: WatchLimits(stall: .milliseconds(400)))
    let path = plane.socketPath
    let blob = String(repeating: "x", count: 200_000)
    for number in 0..<20 {
      _ = try await plane.send(
        "POST", "api/v1/namespaces/default/configmaps",
        body: ["metadata": ["name": .string("m\(number)")], "data": ["blob": .string(blob)]])
    }
    let closed = try await blocking { try Self.stall(path) }
    #expect(closed, "the server closed the connection")
    #expect(try await plane.send("GET", "version")["major"] == "1")
    try await plane.stop()
  }

  /// Asks for a watch, reads nothing until the server has given up, and tells whether the stream ends.
  private static func stall(_ path: String) throws -> Bool {
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(descriptor) }
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    let connected = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    guard connected == 0 else { return false }
    let request = Array("GET /api/v1/configmaps?watch=true HTTP/1.1\r\nHost: x\r\n\r\n".utf8)
    _ = write(descriptor, request, request.count)
    // POLLRDHUP: a peer that hung up is seen without reading.
    var poller = pollfd(fd: descriptor, events: 0x2000, revents: 0)
    return poll(&poller, 1, 20_000) == 1
  }
}
