import ReplModel
import Threads

/// Chooses whose scrub goes on. The passes are in the database: a restart goes on where the last slice ended.
struct ScrubBook: Sendable {
  /// A volume that can be scrubbed: its newest point or twin.
  struct Candidate: Sendable {
    var key: ScrubPass.Key
    var point: PointID
    var generation: UInt64
    /// When it was read whole; for a volume that was never scrubbed the period begins here.
    var provenAt: Timestamp
  }

  let database: AgentDatabase
  let clock: any EngineClock
  /// Seconds in which every segment is read once.
  let period: Double
  let pauses: ScrubPauses

  /// The pass to read a slice of: of those under way or due the one that began first. Nil when there is none.
  func next(_ candidates: [Candidate]) throws(ReplError) -> ScrubPass? {
    let now = clock.now()
    let dueBefore = Timestamp(nanoseconds: now.nanoseconds - Int64(clamping: Int128(period * 1e9)))
    let ready = candidates.filter { !pauses.holds($0.key, at: clock.ticks()) }
    return try database.write { database in
      var chosen: (pass: ScrubPass, candidate: Candidate)?
      for candidate in ready {
        guard let pass = try ScrubPass.find(database, candidate.key) else {
          try ScrubPass(
            key: candidate.key, startedAt: candidate.provenAt, next: nil, firstPoint: candidate.point,
            firstGeneration: candidate.generation, cleanAt: nil
          ).save(database)
          continue
        }
        // A pass dated in the future is from before the clock was set back.
        guard pass.next != nil || pass.startedAt < dueBefore || pass.startedAt > now else { continue }
        if let chosen, chosen.pass.startedAt <= pass.startedAt { continue }
        chosen = (pass, candidate)
      }
      guard let (found, candidate) = chosen else { return nil }
      var pass = found
      if pass.next == nil {
        pass.begin(at: now, with: candidate.point, generation: candidate.generation)
        try pass.save(database)
      }
      return pass
    }
  }

  func save(_ pass: ScrubPass) throws(ReplError) { try database.write { try pass.update($0) } }
}

/// Volumes whose scrub failed, left alone for a while so that the others get their turn.
final class ScrubPauses: Sendable {
  /// Seconds.
  static let length = 60.0
  private let until = Locked<[ScrubPass.Key: Double]>([:])

  func add(_ key: ScrubPass.Key, at ticks: Double) { until.withLock { $0[key] = ticks + Self.length } }

  func holds(_ key: ScrubPass.Key, at ticks: Double) -> Bool {
    until.withLock { until in
      guard let end = until[key] else { return false }
      if ticks < end { return true }
      until[key] = nil
      return false
    }
  }
}
