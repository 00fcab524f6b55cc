import APIModel
import Glibc
import Testing

@testable import KubeModel
@testable import KubeServer
@testable import ReplAgent
@testable import StorkControllers

/// However a watch ends, the agent goes on: a stream of a client that is gone may be over before it has begun.
@Suite("Ends of watches") struct WatchEndTests {
  private static let request = "GET /api/v1/configmaps?watch=true&resourceVersion=%RV HTTP/1.1\r\nHost: x\r\n\r\n"
  /// The last chunk of a body.
  private static let end = "0\r\n\r\n"

  @Test("a watch that is over at once, of a version that has gone, takes nothing else down", .timeLimit(.minutes(2)))
  func expired() async throws {
    let directory = try TemporaryDirectory()
    let first = try await PlaneFixture(directory)
    for number in 0..<3 {
      let body: JSONValue = ["metadata": ["name": .string("m\(number)")]]
      _ = try await first.send("POST", "api/v1/namespaces/default/configmaps", body: body)
    }
    try await first.stop()
    // The journal does not outlive the run.
    let plane = try await PlaneFixture(directory)
    for _ in 0..<200 {
      let text = try await blocking { [path = plane.socketPath] in
        try RawConnection(path).exchange(Self.request.replacing("%RV", with: "1"), until: "\"code\":410")
      }
      #expect(text.contains("\"type\":\"ERROR\""), "\(text)")
    }
    try await Self.stillServes(plane)
  }

  @Test("clients that are gone before their watch begins take nothing else down", .timeLimit(.minutes(2)))
  func hungUp() async throws {
    let plane = try await PlaneFixture()
    for _ in 0..<200 {
      try await blocking { [path = plane.socketPath] in
        try RawConnection(path).send(Self.request.replacing("%RV", with: "0"))
      }
    }
    try await Self.stillServes(plane)
  }

  @Test("a watch ends when its client ends its side", .timeLimit(.minutes(2)))
  func halfClosed() async throws {
    let plane = try await PlaneFixture()
    let answer = try await blocking { [path = plane.socketPath] in
      let connection = try RawConnection(path)
      try connection.send(Self.request.replacing("%RV", with: "0"))
      connection.endSending()
      return try connection.read(until: Self.end)
    }
    #expect(answer.hasPrefix("HTTP/1.1 200") && answer.hasSuffix(Self.end))
    try await plane.stop()
  }

  @Test("the connection of a watch that ran its time takes the next request", .timeLimit(.minutes(2)))
  func reuse() async throws {
    let plane = try await PlaneFixture()
    let answer = try await blocking { [path = plane.socketPath] in
      let connection = try RawConnection(path)
      _ = try connection.exchange(
        "GET /api/v1/configmaps?watch=true&timeoutSeconds=1 HTTP/1.1\r\nHost: x\r\n\r\n", until: Self.end)
      return try connection.exchange("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", until: "\r\n\r\nok")
    }
    #expect(answer.hasPrefix("HTTP/1.1 200"))
    try await plane.stop()
  }

  private static func stillServes(_ plane: PlaneFixture) async throws {
    #expect(try await plane.send("GET", "version")["major"] == "1")
    try await plane.stop()
  }
}

/// A client of the local socket that sends what it is told and reads what comes.
private final class RawConnection: Sendable {
  private let descriptor: Int32

  struct Failure: Error { var text: String }

  init(_ path: String) throws {
    descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    let connected = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    guard connected == 0 else { throw Failure(text: String(cString: strerror(errno))) }
  }

  deinit { close(descriptor) }

  func send(_ text: String) throws {
    let bytes = Array(text.utf8)
    guard Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count else {
      throw Failure(text: "not sent: \(String(cString: strerror(errno)))")
    }
  }

  func endSending() { shutdown(descriptor, Int32(SHUT_WR)) }

  /// Sends, and reads until `end` has come or the connection is over.
  func exchange(_ text: String, until end: String) throws -> String {
    try send(text)
    return try read(until: end)
  }

  func read(until end: String) throws -> String {
    var seen: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while true {
      let count = recv(descriptor, &buffer, buffer.count, 0)
      guard count > 0 else { return String(decoding: seen, as: UTF8.self) }
      seen += buffer[..<count]
      let all = String(decoding: seen, as: UTF8.self)
      if all.contains(end) { return all }
    }
  }
}
