import AgentService
import ReplModel
import Threads

/// How the last session of every volume with every peer ended, since this process began. Any thread may call.
final class LastSessions: Sendable {
  struct Key: Hashable, Sendable {
    var volume: String
    var peer: String
  }

  struct Entry: Sendable {
    var report: VolumeRunReport
    /// Sessions that failed since the last one that did not; a cancelled one counts as neither.
    var failures = 0
  }

  private let entries = Locked<[Key: Entry]>([:])

  func record(_ report: VolumeRunReport, peer: String) {
    entries.withLock { entries in
      let key = Key(volume: report.volume, peer: peer)
      let before = entries[key]?.failures ?? 0
      let failures =
        switch report.state {
        case .failed: before + 1
        case .cancelled: before
        case .pending, .running, .succeeded: 0
        }
      entries[key] = Entry(report: report, failures: failures)
    }
  }

  /// By peer, of one volume.
  func entries(of volume: String) -> [String: Entry] {
    entries.withLock { entries in
      let own = entries.filter { $0.key.volume == volume }.map { ($0.key.peer, $0.value) }
      return Dictionary(own, uniquingKeysWith: { first, _ in first })
    }
  }

  /// The sessions of volumes that there are; others are forgotten.
  func all(of volumes: Set<String>) -> [(peer: String, report: VolumeRunReport)] {
    entries.withLock { entries in
      entries = entries.filter { volumes.contains($0.key.volume) }
      return entries.map { ($0.key.peer, $0.value.report) }.sorted { ($0.1.volume, $0.0) < ($1.1.volume, $1.0) }
    }
  }
}
