import BlockDiff
import ReplModel

extension AgentCore {
  /// Scrubs what is due, as long as something is: every allocated segment of the volumes held for peers and of the
  /// pinned twins of our own, once in `scrub.period`.
  func scrubOnce(isStopped: @escaping @Sendable () -> Bool) {
    let limiter = RateLimiter(bytesPerSecond: configuration.scrubRate)
    let pace: Pace = { (bytes) throws(ReplError) in
      if isStopped() { throw ReplError(.cancelled, subject: "scrub", cause: "the agent is stopping") }
      limiter.spend(bytes)
    }
    var isDue = true
    while isDue, !isStopped() {
      // One slice of each side in turn.
      isDue = slice { () throws(ReplError) in try SourceScrub(context: source).slice(pace: pace) }
      isDue = slice { () throws(ReplError) in try TargetScrub(context: target.context).slice(pace: pace) } || isDue
      isDue = slice { () throws(ReplError) in try TargetScrub(context: target.context).suspect(pace: pace) } || isDue
    }
  }

  /// Tells which points are not the files that were sealed, so that they are read again from now on.
  func lookAtStamps(isStopped: @escaping @Sendable () -> Bool) {
    do throws(ReplError) {
      let count = try StampLook(context: target.context).run(isStopped: isStopped)
      guard count > 0 else { return }
      logger.warning(
        "points are other files than those that were sealed, as after a pool was moved: they are read again",
        metadata: ["points": "\(count)"])
    } catch {
      logger.error("the files of points are not looked at", metadata: ["reason": "\(error)"])
    }
  }

  /// Reads what is doubtful, so that it is soon known what is damaged and what is not.
  func resolveDoubts(isStopped: @escaping @Sendable () -> Bool) {
    let limiter = RateLimiter(bytesPerSecond: configuration.scrubRate)
    let pace: Pace = { (bytes) throws(ReplError) in
      if isStopped() { throw ReplError(.cancelled, subject: "doubts", cause: "the agent is stopping") }
      limiter.spend(bytes)
    }
    do throws(ReplError) {
      try DoubtReader(context: target.context).run(pace: pace)
    } catch {
      guard error.kind != .cancelled else { return }
      logger.error("doubtful segments are not read", metadata: ["reason": "\(error)"])
    }
  }

  /// A failure is told and ends the round: the volume it is about rests, the next round goes on with others.
  private func slice(_ body: () throws(ReplError) -> Bool) -> Bool {
    do throws(ReplError) {
      return try body()
    } catch {
      guard error.kind != .cancelled else { return false }
      source.metrics.scrubFailed(error)
      logger.error("scrub failed", metadata: ["reason": "\(error)"])
      return false
    }
  }
}
