import Foundation
import Glibc
import TestSupport
import Testing

extension Integration {
  @Suite("Metrics say what happens and what has happened")
  struct Metrics {
    /// A place for metrics, and the lines of a configuration file that say so.
    private static func place() throws -> (address: String, port: UInt16, lines: String) {
      let address = LoopbackAddress.unused()
      let port = try freePort(address)
      return (address, port, "metrics:\n  listen: \(address):\(port)")
    }

    private static func freePort(_ address: String) throws -> UInt16 {
      while true {
        let port = UInt16.random(in: 10_000...60_000)
        if let descriptor = try? Socket.listen(address, port) {
          close(descriptor)
          return port
        }
      }
    }

    private static func get(_ address: String, _ port: UInt16, _ path: String = "/metrics") throws -> String {
      let descriptor = try Socket.connect(address, port)
      defer { close(descriptor) }
      let request = Array("GET \(path) HTTP/1.1\r\nHost: \(address)\r\nConnection: close\r\n\r\n".utf8)
      guard write(descriptor, request, request.count) == request.count else { throw Failure("write: error \(errno)") }
      var (bytes, buffer) = ([UInt8](), [UInt8](repeating: 0, count: 65_536))
      while case let count = read(descriptor, &buffer, buffer.count), count > 0 { bytes += buffer[..<count] }
      let text = String(decoding: bytes, as: UTF8.self)
      guard text.hasPrefix("HTTP/1.1 200"), let end = text.range(of: "\r\n\r\n") else { throw Failure(text) }
      return String(text[end.upperBound...])
    }

    @Test("both agents are scraped while a migration runs; afterwards the sums are those of its status")
    func whileAMigrationRuns() throws {
      let (from, to) = (try Self.place(), try Self.place())
      var options = TwoSites.Options()
      options.sourceExtra = "limits: {bandwidth: 8MiB}\n\(from.lines)"
      options.targetExtra = to.lines
      try TwoSites.run(.xfs, to: .btrfs, options) { sites in
        let volume = try sites.source.createVolume("data", size: 64 * .mebibyte)
        try volume.fill(seed: 1, count: 32 * .mebibyte)
        let labels = ["namespace": Site.namespace, "volume": "data", "cluster": "beta"]

        let name = try sites.begin()
        // Every page is parsed, whatever the run is doing.
        let (during, pages) = try Self.scrape(
          from.address, from.port,
          until: {
            $0.value("repl_agent_session_done_bytes", labels) ?? 0 > 0
          })
        #expect(pages > 0)
        #expect(during.value("repl_agent_runs", ["state": "running"]) == 1)
        #expect(during.value("repl_agent_session_planned_bytes", labels) == Double(32 << 20))
        #expect(during.value("stork_migration_status", ["name": name]) == 2)
        let receiving = try ExpositionPage(try Self.get(to.address, to.port))
        #expect(receiving.value("repl_agent_target_sessions") == 1)

        let result = try sites.end(of: name)
        #expect(result.isSuccessful, "\(result.reasons)")
        let status = try #require(result.volumes.first)
        let (page, _) = try Self.scrape(
          from.address, from.port,
          until: {
            $0.value("stork_migration_status", ["name": name]) == 5
          })
        try Self.check(page, against: status, labels)
        #expect(page.value("stork_migration_stage", ["name": name, "namespace": Site.namespace]) == 5)
        #expect(page.value("stork_clusterpair_storage_status", ["name": "beta"]) == 2)
        #expect(page.value("repl_agent_peer_connected", ["cluster": "beta"]) == 1)
        #expect(try #require(page.value("repl_agent_bandwidth_wait_seconds_total")) > 0)
        #expect(page.samples("repl_agent_session_done_bytes").isEmpty, "nothing is under way")

        let held = try ExpositionPage(try Self.get(to.address, to.port))
        let points = ["namespace": Site.namespace, "volume": "data", "cluster": "alpha"]
        #expect(held.value("repl_agent_points", points.merging(["state": "sealed"]) { $1 }) == 1)
        #expect(held.value("repl_agent_received_bytes_total", ["cluster": "alpha"]) == Double(32 << 20))
        let age = try #require(held.value("repl_agent_point_age_seconds", points))
        #expect((0..<120).contains(age))
        #expect(try Self.get(to.address, to.port, "/healthz") == "ok\n")
        let documented = try String(
          contentsOf: URL(fileURLWithPath: #filePath).appending(path: "../../../docs/metrics.md").standardized,
          encoding: .utf8)
        for name in [during, receiving, page, held].flatMap(\.types.keys) {
          #expect(documented.contains("`\(name)`"), "\(name) is described")
        }
        for each in [page, held] {
          #expect(each.samples("repl_agent_collector_up").allSatisfy { $0.value == 1 })
          #expect(try #require(each.value("process_resident_memory_bytes")) > 1_000_000)
          #expect(try #require(each.value("process_open_fds")) > 3)
        }
      }
    }

    private static func scrape(
      _ address: String, _ port: UInt16, until isWanted: (ExpositionPage) -> Bool
    ) throws -> (page: ExpositionPage, count: Int) {
      var count = 0
      let page: ExpositionPage = try eventually(
        "the metrics are as expected",
        answer: {
          let page = try ExpositionPage(try get(address, port))
          count += 1
          return isWanted(page) ? page : nil
        })
      return (page, count)
    }

    /// One Migration has run since the start: its figures are the totals.
    private static func check(
      _ page: ExpositionPage, against status: VolumeProgress, _ labels: [String: String]
    ) throws {
      let (changed, wire) = (Double(try #require(status.bytesChanged)), Double(try #require(status.bytesOnWire)))
      #expect(changed == Double(32 << 20))
      #expect(page.value("repl_agent_changed_bytes_total", ["cluster": "beta"]) == changed)
      #expect(page.value("repl_agent_wire_bytes_total", ["cluster": "beta"]) == wire)
      #expect(page.value("repl_agent_last_session_changed_bytes", labels) == changed)
      #expect(page.value("repl_agent_last_session_wire_bytes", labels) == wire)
      #expect(page.value("repl_agent_last_session_success", labels) == 1)
      let info = labels.merging(["change_source": "full", "proof": "full"]) { $1 }
      #expect(page.value("repl_agent_last_session_info", info) == 1)
      #expect(page.value("repl_agent_sessions_total", ["outcome": "succeeded"]) == 1)
      #expect(page.value("repl_agent_full_copies_total", ["reason": "no_base"]) == 1)
      let seconds = try #require(page.value("repl_agent_last_session_seconds", labels))
      #expect(abs(seconds - (status.seconds ?? 0)) < 0.01)
      #expect(seconds >= 3, "32 MiB at 8 MiB a second")
      #expect((0..<120).contains(try #require(page.value("repl_agent_volume_lag_seconds", labels))))
    }

    @Test("a scraper that stays connected does not hold up the end of the agent")
    func stopping() throws {
      let place = try Self.place()
      let directory = try TemporaryDirectory()
      let site = try Site("alpha", in: directory.path, fileSystem: .xfs, extra: place.lines)
      defer { site.release() }
      try site.agent.start()
      let scraper = try Socket.connect(place.address, place.port)
      defer { close(scraper) }
      let request = Array("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n".utf8)
      #expect(write(scraper, request, request.count) == request.count)
      var answer = [UInt8](repeating: 0, count: 4096)
      #expect(read(scraper, &answer, answer.count) > 0)
      #expect(site.agent.stop() == 0)
      #expect(site.agent.logText().contains("agent stopped"), "by itself, not by the time that is set to it")
    }

    @Test("an address in use keeps the agent from starting, and it says which")
    func addressInUse() throws {
      let place = try Self.place()
      let holder = try Socket.listen(place.address, place.port)
      defer { close(holder) }
      let directory = try TemporaryDirectory()
      let site = try Site("alpha", in: directory.path, fileSystem: .xfs, extra: place.lines)
      defer { site.release() }
      try site.agent.launch()
      #expect(site.agent.waitForEnd() == 4)
      #expect(site.agent.logText().contains("metrics.listen \(place.address):\(place.port): the address is in use"))
    }
  }
}
