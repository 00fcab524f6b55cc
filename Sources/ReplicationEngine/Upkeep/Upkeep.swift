import ReplModel
import Synchronization
import Threads

/// The engine's timers, each on a thread of its own: ledger ticks, heartbeats, scrub, room in the pools, retention,
/// intents that a failure interrupted.
final class Upkeep: Sendable {
  /// Seconds between two looks at the ages of points.
  private static let retentionInterval = 600.0
  /// Seconds between two tries to finish intents.
  private static let intentInterval = 30.0
  /// Seconds between two looks at whose trust is over.
  private static let trustInterval = 30.0
  private let stopSignal = Atomic<Bool>(false)
  private let threads: Mutex<[WorkerThread]>

  init(engine: ReplicationEngine) throws(ReplError) {
    threads = Mutex([])
    let ticks = try WorkerThread(name: "ledger-tick") { [self, weak engine] in
      every(1) {
        engine?.target.tick()
        _ = engine?.target.context.clockSteps.secondsSinceStep()
      }
    }
    let heartbeats = try WorkerThread(name: "heartbeat") { [self, weak engine] in
      every(Liveness.heartbeat) { engine?.sendHeartbeats() }
    }
    let scrubs = try WorkerThread(name: "scrub") { [self, weak engine] in
      engine?.lookAtStamps { self.isStopped }
      every(1) { engine?.scrubOnce { self.isStopped } }
    }
    let doubts = try WorkerThread(name: "doubts") { [self, weak engine] in
      every(1) { engine?.resolveDoubts { self.isStopped } }
    }
    let space = try WorkerThread(name: "space") { [self, weak engine] in
      every(10) {
        guard let engine else { return }
        engine.probes.tellChanges(of: engine.pools.entries.map(\.name))
        SpaceKeeper(context: engine.source).run()
      }
    }
    let retention = try WorkerThread(name: "retention") { [self, weak engine] in
      every(Self.retentionInterval) {
        if let engine { RetentionRun(context: engine.target.context).pruneAll(elapsed: Self.retentionInterval) }
      }
    }
    let intents = try WorkerThread(name: "intents") { [self, weak engine] in
      every(Self.intentInterval) { engine?.finishIntents() }
    }
    let trust = try WorkerThread(name: "trust") { [self, weak engine] in
      every(Self.trustInterval) { engine?.tendTrust() }
    }
    threads.withLock { $0 = [ticks, heartbeats, scrubs, doubts, space, retention, intents, trust] }
    for entry in engine.pools.entries {
      // Not waited for at the end: a file system that hangs would hold up the stop.
      _ = try WorkerThread(name: "probe") { [self, weak engine] in
        every(PoolProbes.interval) { if let engine { engine.probes.probe(entry, engine.pools.storage) } }
      }
    }
  }

  var isStopped: Bool { stopSignal.load(ordering: .relaxed) }

  func stop() {
    stopSignal.store(true, ordering: .relaxed)
    for thread in threads.withLock({ $0 }) { thread.join() }
  }

  private func every(_ seconds: Double, _ body: () -> Void) {
    let clock = SystemClock()
    var due = clock.ticks()
    while !isStopped {
      if clock.ticks() >= due {
        body()
        due = clock.ticks() + seconds
      }
      clock.sleep(seconds: 0.1)
    }
  }
}

extension ReplicationEngine {
  func sendHeartbeats() {
    do throws(ReplError) {
      try heartbeats.send(to: Set(try database.read { try PairRecord.all($0) }.map(\.peer)))
    } catch {
      logger.warning("heartbeats wait", metadata: ["reason": "\(error)"])
    }
  }

  /// A group of which some volumes are live goes on until all of them are.
  func finishIntents() {
    do throws(ReplError) {
      for intent in try target.finishIntents() {
        logger.warning(
          "a promotion is not finished: it is tried again",
          metadata: ["volume": "\(intent.source)", "reason": "\(intent.error)"])
      }
    } catch {
      logger.warning("intents are not looked after", metadata: ["reason": "\(error)"])
    }
  }
}
