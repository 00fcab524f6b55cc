import ReplModel

/// Something that an agent does now and then by itself.
struct Chore: Sendable {
  var name: String
  /// From the end of one round to the beginning of the next; nil for once after the start.
  var seconds: Double?
  /// Whether its end is waited for when the agent stops. Not where a file system that hangs would hold up the stop.
  var isWaitedFor = true
  /// One round. Blocks; looks now and then whether it is to stop.
  var round: @Sendable (_ isStopped: @escaping @Sendable () -> Bool) -> Void
}

extension AgentCore {
  /// Seconds between two looks at the ages of points.
  private static let retentionInterval = 600.0
  /// Seconds between two tries to finish intents.
  private static let intentInterval = 30.0

  /// What an agent looks after, each by itself: one that takes long holds up no other.
  var chores: [Chore] {
    [
      Chore(name: "ledger-tick", seconds: 1) { [self] _ in
        target.tick()
        _ = target.context.clockSteps.secondsSinceStep()
      },
      Chore(name: "heartbeat", seconds: Liveness.heartbeat) { [self] _ in sendHeartbeats() },
      Chore(name: "stamps") { [self] in lookAtStamps(isStopped: $0) },
      Chore(name: "scrub", seconds: 1) { [self] in scrubOnce(isStopped: $0) },
      Chore(name: "doubts", seconds: 1) { [self] in resolveDoubts(isStopped: $0) },
      Chore(name: "faults", seconds: 10) { [self] _ in probes.tellChanges() },
      Chore(name: "retention", seconds: Self.retentionInterval) { [self] _ in
        RetentionRun(context: target.context).pruneAll(elapsed: Self.retentionInterval)
      },
      Chore(name: "intents", seconds: Self.intentInterval) { [self] _ in finishIntents() },
    ]
      + pools.entries.flatMap(chores(of:)) + [
        Chore(name: "probe", seconds: StorageProbes.lookInterval, isWaitedFor: false) { [self] _ in
          let directory = configuration.stateDirectory
          probes.look(at: .stateDirectory, directory, file: directory + "/probe")
        }
      ]
  }

  /// What is looked after in each pool by itself, since its file system may hang.
  private func chores(of entry: PoolSet.Entry) -> [Chore] {
    [
      Chore(name: "probe", seconds: StorageProbes.lookInterval, isWaitedFor: false) { [self] _ in
        probes.look(at: .pool(entry.name), entry.layout.pool, file: entry.layout.probe)
      },
      // What cannot be done now is tried again at the next look.
      Chore(name: "space", seconds: 10, isWaitedFor: false) { [self] _ in
        try? SpaceKeeper(context: source).relieve(entry)
      },
    ]
  }

  private func sendHeartbeats() {
    do throws(ReplError) {
      try heartbeats.send(to: Set(try database.read { try PairRecord.all($0) }.map(\.peer)))
    } catch {
      logger.warning("heartbeats wait", metadata: ["reason": "\(error)"])
    }
  }

  /// A group of which some volumes are live goes on until all of them are.
  private func finishIntents() {
    do throws(ReplError) {
      for intent in try target.finishIntents() { tell(intent) }
    } catch {
      logger.warning("intents are not looked after", metadata: ["reason": "\(error)"])
    }
  }

  /// Says in the log what is not finished; the chore "intents" tries it again.
  func tell(_ intent: UnfinishedIntent) {
    logger.warning(
      "a promotion is not finished: it is tried again",
      metadata: ["volume": "\(intent.source)", "reason": "\(intent.error)"])
  }
}
