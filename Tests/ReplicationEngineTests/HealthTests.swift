import AgentService
import ReplModel
import Testing

@testable import ReplicationEngine

@Suite("What is wrong is said first")
struct HealthTests {
  private func volume(_ name: String, targets: [VolumeTarget] = [], suspect: Int = 0) -> VolumeReport {
    VolumeReport(
      id: "", namespace: "shop", name: name, path: "", sizeBytes: 0, role: .source, changeSource: "reflink",
      changeSourceReason: "", pool: "main", sourceCluster: "", lagSeconds: nil, targets: targets,
      suspectPoints: suspect)
  }

  private func pool(_ space: String, fault: String = "") -> PoolReport {
    PoolReport(
      name: "main", path: "/pool", fileSystem: "xfs", target: true, totalBytes: 100, availableBytes: 3, space: space,
      fault: fault)
  }

  private func pair(ready: Bool = true, reason: String = "", offset: Double? = 0) -> PairReport {
    PairReport(
      reference: ObjectReference(kind: "ClusterPair", namespace: "shop", name: "site-b", uid: ""),
      peerClusterID: "site-b", host: "b", port: 9001, mode: .default, ready: ready, reason: reason,
      clockOffsetSeconds: offset)
  }

  private func texts(
    _ pools: [PoolReport] = [], _ pairs: [PairReport] = [], _ volumes: [VolumeReport] = []
  ) -> [String] {
    HealthCheck.findings(pools: pools, pairs: pairs, volumes: volumes).map { "\($0.subject): \($0.text)" }
  }

  @Test("Where nothing is wrong, nothing is said")
  func healthy() {
    let fine = VolumeTarget(cluster: "site-b", lagSeconds: 3)
    #expect(texts([pool("ok")], [pair(offset: -4.9)], [volume("db", targets: [fine])]).isEmpty)
  }

  @Test("Pools come first, then volumes, then pairs")
  func order() {
    let failing = VolumeTarget(cluster: "site-c", lagSeconds: 900, failedRuns: 3, lastFailure: "no room")
    let found = texts(
      [pool("low"), pool("ok", fault: "its file system fails")],
      [pair(ready: false, reason: "connection refused"), pair(offset: 61.04)],
      [volume("db", targets: [failing]), volume("logs", suspect: 2)])
    #expect(
      found == [
        "pool main: 3 of 100 bytes are free: no snapshots are taken, old ones go",
        "pool main: its file system fails",
        "volume shop/db: the last 3 migrations to site-c failed: no room",
        "volume shop/logs: 2 recovery points are suspect: replctl verify logs reads one again",
        "pair shop/site-b: not ready: connection refused",
        "pair shop/site-b: the clock of site-b is 61.0 s ahead of this one",
      ])
  }

  @Test("A volume on its way that stands still is named with its migration; one that moves or waits its turn is not")
  func standstill() {
    func session(_ since: String?, _ reason: String) -> OutboundSession {
      var progress = VolumeRunReport(volume: "v", namespace: "shop", name: "db")
      (progress.stalledSince, progress.reason) = (since, reason)
      return OutboundSession(migration: "shop/m1", cluster: "site-b", progress: progress)
    }
    let found = HealthCheck.findings(outbound: [
      session(nil, ""), session(nil, "waiting for a place"), session("2026-01-01T00:00:00Z", "waiting for the peer"),
    ])
    #expect(found.map(\.subject) == ["migration shop/m1"])
    #expect(found.map(\.text) == ["volume shop/db to site-b: waiting for the peer"])
  }

  @Test("A point dated ahead of now has no age, and that is said")
  func datedAhead() {
    let now = Timestamp(nanoseconds: 1_700_000_000_000_000_000)
    func lag(_ seconds: Int64, offset: Int64 = 0) -> Lag {
      Lag(since: Timestamp(nanoseconds: now.nanoseconds - seconds * 1_000_000_000), now: now, offset: offset)
    }
    #expect(lag(30).seconds == 30)
    #expect(lag(-3).seconds == 0)
    #expect(lag(10, offset: 60_000_000_000).seconds == 70, "the source's clock is a minute ahead")
    let ahead = lag(-31_536_000)
    #expect(ahead.seconds == nil && ahead.reason.contains("31536000 s ahead"))
    var report = volume("db")
    report.lagReason = ahead.reason
    #expect(texts([], [], [report]) == ["volume shop/db: \(ahead.reason)"])
  }

  @Test("A point of a source whose clock nobody knows has no age, but is as old as its seal at the least")
  func unknownClock() {
    let now = Timestamp(nanoseconds: 1_700_000_000_000_000_000)
    func ago(_ seconds: Int64) -> Timestamp { Timestamp(nanoseconds: now.nanoseconds - seconds * 1_000_000_000) }
    let point = HeldPoint(takenAt: ago(3_600), sealedAt: ago(40))
    let unknown = Lag(of: point, now: now, offset: nil)
    #expect(unknown.seconds == nil && unknown.atLeast == 40)
    #expect(unknown.reason.contains("sealed here 40 s ago"))
    let known = Lag(of: point, now: now, offset: -3_500_000_000_000)
    #expect(known.seconds == 100 && known.atLeast == nil && known.reason.isEmpty)
    let ahead = Lag(of: HeldPoint(takenAt: ago(-3_600), sealedAt: ago(40)), now: now, offset: 0)
    #expect(ahead.seconds == nil && ahead.atLeast == 40, "its clock was set, ours was not")
    #expect(Lag(of: HeldPoint(takenAt: now, sealedAt: ago(-40)), now: now, offset: nil).atLeast == nil)
  }

  @Test("Until a peer is heard its clock is as far off as was recorded before the start")
  func recordedClock() {
    let (clocks, clock) = (HeardClocks(), TestClock())
    clocks.recall(60_000_000_000, of: "site-a")
    #expect(clocks.lastOffset(of: "site-a") == 60_000_000_000)
    #expect(clocks.offset(of: "site-a") == nil, "what was recorded is not a measurement")
    clocks.heard(clock.now(), from: "site-a", clock: clock)
    #expect(clocks.lastOffset(of: "site-a") == 0)
    #expect(clocks.lastOffset(of: "site-b") == nil)
  }

  @Test("Failures in a row are counted by volume and peer; a success ends the row, a cancelled run is neither")
  func failuresInARow() {
    let sessions = LastSessions()
    func end(_ state: RunState, peer: String = "site-b") {
      var report = VolumeRunReport(volume: "v", namespace: "shop", name: "db")
      report.state = state
      sessions.record(report, peer: peer)
    }
    end(.failed)
    end(.failed)
    end(.cancelled)
    end(.failed, peer: "site-c")
    #expect(sessions.entries(of: "v").mapValues(\.failures) == ["site-b": 2, "site-c": 1])
    end(.succeeded)
    #expect(sessions.entries(of: "v")["site-b"]?.failures == 0)
    #expect(sessions.entries(of: "another").isEmpty)
  }

  @Test("The clock of a peer that only sends heartbeats is known from them, nearest by the quickest")
  func heardClocks() {
    let clocks = HeardClocks()
    let clock = TestClock()
    #expect(clocks.offset(of: "site-a") == nil)
    let arrived = clock.now()
    for delay: Int64 in [900, 20, 400] {
      let sent = Timestamp(nanoseconds: arrived.nanoseconds + 50_000_000_000 - delay * 1_000_000)
      clocks.heard(sent, from: "site-a", clock: clock)
    }
    #expect(clocks.offset(of: "site-a") == 49_980_000_000)
    clocks.heard(Timestamp(nanoseconds: .min), from: "site-a", clock: clock)
    #expect(clocks.offset(of: "site-a") == 49_980_000_000)
    // After a step of a clock the new offset is believed once the old ones have gone.
    for _ in 0..<8 { clocks.heard(arrived, from: "site-a", clock: clock) }
    #expect(clocks.offset(of: "site-a") == 0)
  }

  @Test("When a peer was heard last is counted by the clock that nobody sets")
  func heardLast() {
    let clocks = HeardClocks()
    let clock = TestClock()
    #expect(clocks.secondsSinceHeard("site-a", clock: clock) == nil)
    clocks.heard(clock.now(), from: "site-a", clock: clock)
    clock.advance(seconds: 90)
    clock.step(seconds: -3600)
    #expect(clocks.secondsSinceHeard("site-a", clock: clock) == 90)
  }

  @Test("A source that has fallen silent is told of; one that a pair is with is told of by the pair")
  func silentSource() {
    func peer(_ seconds: Double?, invited: Bool = true, pairs: [String] = []) -> PeerReport {
      var report = PeerReport(cluster: "site-a", node: "n", invited: invited, pairs: pairs, trustEndsAt: "")
      report.secondsSinceHeard = seconds
      return report
    }
    func texts(_ peer: PeerReport) -> [String] {
      HealthCheck.findings(peers: [peer]).map { "\($0.subject): \($0.text)" }
    }
    #expect(texts(peer(1020)) == ["cluster site-a: nothing was heard of it for 1020 s"])
    for quiet in [peer(30), peer(nil), peer(1020, invited: false), peer(1020, pairs: ["shop/a"])] {
      #expect(texts(quiet).isEmpty)
    }
  }
}
