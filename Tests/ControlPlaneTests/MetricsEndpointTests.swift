import AgentService
import APIModel
import Foundation
import Glibc
import MetricsExposition
import ReplModel
import ReplicationEngine
import TestSupport
import Testing

@testable import KubeModel
@testable import KubeServer
@testable import ReplAgent
@testable import StorkControllers

/// `/metrics` on the API and on an address of its own.
@Suite struct MetricsEndpointTests {
  private static func registry() -> MetricsRegistry { MetricsRegistry(ControlPlaneConfiguration.recorded) }

  @Test("the API serves the page in the text format, with its own requests counted by verb and code")
  func onTheSocket() async throws {
    let plane = try await PlaneFixture { $0.metrics = Self.registry() }
    _ = try await plane.send("GET", "api/v1/namespaces")
    await #expect(throws: (any Error).self) { try await plane.send("GET", "api/v1/namespaces/absent") }
    await #expect(throws: (any Error).self) { try await plane.send("DELETE", "api/v1/namespaces/absent") }
    let answer = try await Wire.get(.unix(plane.socketPath), "/metrics")
    #expect(answer.status == 200)
    #expect(answer.header("content-type") == "text/plain; version=0.0.4; charset=utf-8")
    let page = try ExpositionPage(answer.body)
    #expect(page.value("repl_agent_api_requests_total", ["verb": "get", "code": "200"]) == 1)
    #expect(page.value("repl_agent_api_requests_total", ["verb": "get", "code": "404"]) == 1)
    #expect(page.value("repl_agent_api_requests_total", ["verb": "delete", "code": "404"]) == 1)
    #expect(try #require(page.value("repl_agent_api_watchers")) > 0)
    #expect(page.value("repl_agent_collector_up", ["collector": "stork"]) == 1)
    try await plane.stop()
  }

  @Test("an agent that records nothing has no such path")
  func without() async throws {
    let plane = try await PlaneFixture()
    #expect(try await Wire.get(.unix(plane.socketPath), "/metrics").status == 404)
    try await plane.stop()
  }

  @Test("Stork's gauges follow objects as they come, change and go")
  func storkGauges() async throws {
    let plane = try await PlaneFixture { $0.metrics = Self.registry() }
    let pair: JSONValue = [
      "apiVersion": "stork.libopenstorage.org/v1alpha1", "kind": "ClusterPair", "metadata": ["name": "beta"],
      "spec": ["options": [:]],
    ]
    let pairs = "apis/stork.libopenstorage.org/v1alpha1/namespaces/default/clusterpairs"
    _ = try await plane.send("POST", pairs, body: pair)
    let storage = try await Self.wait(plane, "stork_clusterpair_storage_status", ["name": "beta"]) { $0 == [6] }
    #expect(storage.samples("stork_clusterpair_storage_status").first?.labels["namespace"] == "default")
    _ = try await plane.send("DELETE", "\(pairs)/beta")
    _ = try await Self.wait(plane, "stork_clusterpair_storage_status", ["name": "beta"]) { $0.isEmpty }
    try await plane.stop()
  }

  private static func wait(
    _ plane: PlaneFixture, _ name: String, _ labels: [String: String], until: ([Double]) -> Bool
  ) async throws -> ExpositionPage {
    let end = ContinuousClock.now + .seconds(20)
    while true {
      let page = try ExpositionPage(try await Wire.get(.unix(plane.socketPath), "/metrics").body)
      if until(page.samples(name, labels).map(\.value)) { return page }
      guard ContinuousClock.now < end else { throw ReplError(.bug, subject: name, cause: "not as wanted in time") }
      try await Task.sleep(for: .milliseconds(20))
    }
  }

  @Test(
    "codes are Stork's",
    arguments: [
      (["status": "Successful", "stage": "Final", "finishTimestamp": "2026-03-01T12:01:30Z"], 5, 5, 90),
      (["status": "InProgress", "stage": "Volumes"], 2, 3, nil), (["status": "", "stage": ""], 0, 0, nil),
      (["status": "Failed", "stage": "Final", "finishTimestamp": .null], 3, 5, nil), ([:], 0, 0, nil),
    ] as [(JSONValue, Int, Int, Int64?)])
  func codes(status: JSONValue, word: Int, stage: Int, duration: Int64?) {
    var object = ResourceKind.migration.object(namespace: "shop", name: "m")
    object.json["status"] = status
    object[metadata: "creationTimestamp"] = "2026-03-01T12:00:00Z"
    object[metadata: "ownerReferences"] = [["name": "nightly"]]
    let expected = ObjectFigures.Figures.migration(
      schedule: "nightly", status: word, stage: stage, duration: duration)
    #expect(ObjectFigures.figures(ResourceKind.migration.resource, object) == expected)
    object[metadata: "deletionTimestamp"] = "2026-03-01T12:00:00Z"
    #expect(ObjectFigures.figures(ResourceKind.migration.resource, object) == nil)
  }

  // MARK: An address of its own

  @Test("the listener serves the page and a health check for reading, and nothing else")
  func listener() async throws {
    let port = try Wire.freePort()
    let plane = try await PlaneFixture {
      $0.metrics = Self.registry()
      $0.metricsListen = MetricsAddress(host: "127.0.0.1", port: port)
    }
    let page = try await Wire.get(.tcp(port), "/metrics")
    #expect(page.status == 200 && page.header("content-type") == "text/plain; version=0.0.4; charset=utf-8")
    #expect(try ExpositionPage(page.body).types["repl_agent_api_watchers"] == "gauge")
    let health = try await Wire.get(.tcp(port), "/healthz")
    #expect(health.status == 200 && health.body == "ok\n")
    await plane.service.fail(with: [HealthFinding(subject: "pool main", text: "fails")])
    let faulty = try await Wire.get(.tcp(port), "/healthz")
    #expect(faulty.status == 503 && faulty.body == "the agent cannot do its work: see replctl status\n")
    let told = try await Wire.get(.unix(plane.socketPath), "/healthz")
    #expect(told.status == 503 && told.body == "pool main: fails\n")
    await plane.service.fail(with: [])
    let head = try await Wire.get(.tcp(port), "/metrics", method: "HEAD")
    #expect(head.status == 200 && head.body.isEmpty)
    #expect(try await Wire.get(.tcp(port), "/metrics", method: "POST").status == 405)
    #expect(try await Wire.get(.tcp(port), "/").status == 404)
    #expect(try await Wire.get(.tcp(port), "/api/v1/namespaces").status == 404)
    try await plane.stop()
    #expect(throws: (any Error).self) { try Wire.connect(.tcp(port)) }
  }

  @Test("an address in use ends the start with an error that names it, and the socket is not served")
  func inUse() async throws {
    let (port, holder) = try Wire.listening()
    defer { close(holder) }
    let directory = try TemporaryDirectory()
    let error = await #expect(throws: ReplError.self) {
      _ = try await PlaneFixture(directory) {
        $0.metrics = Self.registry()
        $0.metricsListen = MetricsAddress(host: "127.0.0.1", port: port)
      }
    }
    #expect(error?.kind == .refused)
    #expect(error?.subject == "metrics.listen 127.0.0.1:\(port)" && error?.cause == "the address is in use")
    #expect(error?.remedy?.contains("metrics.listen") == true)
    #expect(!directory.names.contains("agent.sock"))
  }
}

/// HTTP by hand, so that what is on the wire is seen as it is.
private enum Wire {
  enum Place {
    case unix(String)
    /// On 127.0.0.1.
    case tcp(UInt16)
  }

  struct Answer {
    var status: Int
    var head: String
    var body: String

    func header(_ name: String) -> String? {
      head.split(separator: "\r\n").first { $0.lowercased().hasPrefix(name + ":") }
        .map { String($0.drop { $0 != ":" }.dropFirst().drop { $0 == " " }) }
    }
  }

  /// One request on a connection of its own.
  static func get(_ place: Place, _ path: String, method: String = "GET") async throws -> Answer {
    try await blocking {
      let descriptor = try connect(place)
      defer { close(descriptor) }
      let request = "\(method) \(path) HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
      guard request.utf8.withContiguousStorageIfAvailable({ write(descriptor, $0.baseAddress, $0.count) }) ?? 0 > 0
      else { throw failure("write") }
      var bytes: [UInt8] = []
      var buffer = [UInt8](repeating: 0, count: 65_536)
      while case let count = read(descriptor, &buffer, buffer.count), count > 0 { bytes += buffer[..<count] }
      let text = String(decoding: bytes, as: UTF8.self)
      guard let end = text.range(of: "\r\n\r\n"), let status = Int(text.dropFirst(9).prefix(3)) else {
        throw ReplError(.bug, subject: path, cause: "no answer: \(text)")
      }
      return Answer(status: status, head: String(text[..<end.lowerBound]), body: String(text[end.upperBound...]))
    }
  }

  static func connect(_ place: Place) throws -> Int32 {
    switch place {
    case .unix(let path):
      var address = sockaddr_un()
      address.sun_family = sa_family_t(AF_UNIX)
      withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
      return try connect(AF_UNIX, &address, MemoryLayout<sockaddr_un>.size)
    case .tcp(let port):
      var address = loopback(port)
      return try connect(AF_INET, &address, MemoryLayout<sockaddr_in>.size)
    }
  }

  private static func connect<Address>(_ family: Int32, _ address: inout Address, _ size: Int) throws -> Int32 {
    let descriptor = socket(family, Int32(SOCK_STREAM.rawValue), 0)
    let result = withUnsafeBytes(of: &address) { bytes in
      Glibc.connect(descriptor, bytes.assumingMemoryBound(to: sockaddr.self).baseAddress, socklen_t(size))
    }
    guard result == 0 else {
      defer { close(descriptor) }
      throw failure("connect")
    }
    return descriptor
  }

  private static func loopback(_ port: UInt16) -> sockaddr_in {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    return address
  }

  /// A port that somebody listens on, until the descriptor is closed.
  static func listening() throws -> (port: UInt16, descriptor: Int32) {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = loopback(0)
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let result = withUnsafeMutableBytes(of: &address) { bytes in
      let pointer = bytes.assumingMemoryBound(to: sockaddr.self).baseAddress
      return bind(descriptor, pointer, size) | listen(descriptor, 8) | getsockname(descriptor, pointer, &size)
    }
    guard result == 0 else { throw failure("listen") }
    return (UInt16(bigEndian: address.sin_port), descriptor)
  }

  static func freePort() throws -> UInt16 {
    let (port, descriptor) = try listening()
    close(descriptor)
    return port
  }

  private static func failure(_ call: String) -> ReplError {
    ReplError(.io, subject: call, cause: String(cString: strerror(errno)))
  }
}
