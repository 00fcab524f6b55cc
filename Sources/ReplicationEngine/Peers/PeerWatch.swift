import Logging
import ReplModel
import Threads

/// Finds out whether a peer lives and tells when that changes. With the answer notices go out and repairs begin. Blocks.
final class PeerWatch: Sendable {
  private let source: SourceContext
  private let threads: any AgentThreads
  private let links: PeerLinks
  private let logger: Logger
  /// Peers whose clock was told to differ.
  private let differing = Locked<Set<String>>([])
  /// Peers that notices are being sent to.
  private let noticing = Locked<Set<String>>([])

  init(source: SourceContext, threads: any AgentThreads, links: PeerLinks, logger: Logger) {
    self.source = source
    self.threads = threads
    self.links = links
    self.logger = logger
  }

  func ask(_ cluster: String) {
    guard let link = try? links.link(to: cluster) else { return }
    let wasReady = link.lastError == nil && link.clockOffset != nil
    do throws(ReplError) {
      let repairWanted = try link.heartbeat()
      if !wasReady { logger.info("peer answers", metadata: ["peer": "\(cluster)"]) }
      tellClock(of: link)
      sendNotices(link)
      if repairWanted { startRepairs(link) }
    } catch {
      if wasReady { logger.warning("peer does not answer", metadata: ["peer": "\(cluster)", "reason": "\(error)"]) }
    }
  }

  /// Once when the clocks begin to differ, once when they do no more.
  private func tellClock(of link: PeerAgent) {
    let differs = link.clockDiffers
    let isNews = differing.withLock { differing in
      differs ? differing.insert(link.cluster).inserted : differing.remove(link.cluster) != nil
    }
    guard isNews else { return }
    let seconds = Double(link.clockOffset ?? 0) / 1e9
    logger.log(
      level: differs ? .warning : .info, differs ? "clocks differ" : "clocks agree again",
      metadata: ["peer": "\(link.cluster)", "seconds": "\(seconds)"])
  }

  /// On a thread of their own: a peer that answers heartbeats and no notice lives. What is not answered now is said again
  /// with the next heartbeat.
  private func sendNotices(_ link: PeerAgent) {
    guard noticing.withLock({ $0.insert(link.cluster).inserted }) else { return }
    start("notices", of: link) { [self] in
      do throws(ReplError) {
        try NoticeSender(context: source).send(over: link)
      } catch {
        logger.debug("notices wait", metadata: ["peer": "\(link.cluster)", "reason": "\(error)"])
      }
      noticing.withLock { _ = $0.remove(link.cluster) }
    } failed: { [self] in
      noticing.withLock { _ = $0.remove(link.cluster) }
    }
  }

  /// Repairs on a thread of their own, so that heartbeats go on; a run that is under way is not joined by another.
  private func startRepairs(_ link: PeerAgent) {
    let run = RepairRun(context: source, link: link)
    start("repair", of: link) { run.run() }
  }

  private func start(
    _ name: String, of link: PeerAgent, _ work: @escaping @Sendable () -> Void, failed: () -> Void = {}
  ) {
    do throws(ReplError) {
      try threads.start(name, work)
    } catch {
      failed()
      logger.warning("no thread for \(name)", metadata: ["peer": "\(link.cluster)", "reason": "\(error)"])
    }
  }
}
