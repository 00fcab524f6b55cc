import Dispatch
import Glibc
import Synchronization
import TestSupport
import Testing

extension Integration {
  @Suite("Strangers, and a second machine of one name, change nothing for those who are paired")
  struct Strangers {
    @Test("127 connections that trickle bytes hold nothing: a paired agent goes on, and a new pairing gets through")
    func trickling() throws {
      try TwoSites.run { sites in
        let volume = try sites.source.createVolume("data", size: 32 * .mebibyte)
        try volume.fill(seed: 1, count: 16 * .mebibyte)
        let flood = Flood(of: 127, at: sites.target.address)
        defer { flood.stop() }
        try eventually("the flood is there") { flood.made >= 127 }
        // The connection that is there goes on, and one that is made anew is let in.
        try sites.replicate()
        sites.source.agent.kill()
        try sites.source.agent.start()
        try volume.fill(seed: 2, count: 16 * .mebibyte)
        try sites.replicate()
        try sites.pair("again", mode: "DisasterRecovery")
        try sites.checkNewestPointIsLive(volume)
        #expect(flood.endedByPeer > 0, "strangers are let in and sent away, not left outside")
        let lines = try Files.read("\(sites.directory.path)/\(sites.target.name).log").split(separator: 10)
        let told = lines.count { String(decoding: $0, as: UTF8.self).contains("connection refused") }
        #expect(told > 0 && told <= 30, "\(told) lines about \(flood.endedByPeer) strangers")
      }
    }

    @Test("a second machine with the first one's clusterID is refused at both ends, and the first goes on")
    func secondMachine() throws {
      try TwoSites.run { sites in
        let volume = try sites.source.createVolume("data", size: 8 * .mebibyte)
        try volume.fill(seed: 1, count: 4 * .mebibyte)
        try sites.replicate()
        let second = try Site("gamma", in: sites.directory.path, fileSystem: .xfs, size: 512 * .mebibyte)
        defer { second.release() }
        try second.writeConfiguration(clusterID: sites.source.name)
        try second.agent.start()
        let token = try sites.target.control.check("pair", "token").trimmed
        let file = "\(sites.directory.path)/token"
        try OpenFile(file, O_WRONLY | O_CREAT).write(Array("\(token)\n".utf8), at: 0)
        let refused = try second.control.run([
          "pair", "create", "beta", "-n", Site.namespace, "--ip", sites.target.address, "--port", "9001",
          "--token-file", file,
        ])
        #expect(refused.status == 4, "\(refused.summary)")
        #expect(refused.summary.contains("another authority"))
        try eventually("an event at the target names both") {
          let events = try sites.target.control.check("get", "events", "-A", "-o", "json")
          return events.contains("PairingRefused") && events.contains("gamma-1") && events.contains("alpha-1")
        }
        try volume.fill(seed: 2, count: 4 * .mebibyte)
        try sites.replicate()
        try sites.checkNewestPointIsLive(volume)
        #expect(try sites.target.control.check("pair", "token", "list").contains("USED-BY"))
        // The token is worth nothing to a revoked cluster, and the second machine may have the name then.
        try sites.target.control.check("pair", "revoke", sites.source.name)
        try eventually("the first says that it is not let in") {
          try sites.source.control.check("status").contains("false")
        }
      }
    }
  }

  /// Connections that send a byte now and then, and are made anew when they are ended.
  private final class Flood: Sendable {
    private let running = Atomic(true)
    private let connections = Atomic(0)
    private let endings = Atomic(0)
    private let ended = DispatchSemaphore(value: 0)

    init(of count: Int, at address: String) {
      detachThread { [self] in
        var sockets: [Int32] = []
        while running.load(ordering: .relaxed) {
          while sockets.count < count, let socket = try? Socket.connect(address, 9001) {
            sockets.append(socket)
            connections.add(1, ordering: .relaxed)
          }
          var byte: UInt8 = 22
          sockets = sockets.filter { socket in
            if send(socket, &byte, 1, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT)) == 1 { return true }
            close(socket)
            endings.add(1, ordering: .relaxed)
            return false
          }
          // The pace of the flood, slow as its bytes.
          usleep(50_000)
        }
        for socket in sockets { close(socket) }
        ended.signal()
      }
    }

    /// Connections that were accepted so far.
    var made: Int { connections.load(ordering: .relaxed) }
    /// Of them, those that the agent has ended.
    var endedByPeer: Int { endings.load(ordering: .relaxed) }

    func stop() {
      running.store(false, ordering: .relaxed)
      ended.wait()
    }
  }
}
