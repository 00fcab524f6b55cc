import ReplModel
import Synchronization

/// How the last session of every volume with every peer ended, since this process began. Any thread may call.
final class LastSessions: Sendable {
  struct Key: Hashable, Sendable {
    var volume: String
    var peer: String
  }

  private let reports = Mutex<[Key: VolumeRunReport]>([:])

  func record(_ report: VolumeRunReport, peer: String) {
    reports.withLock { $0[Key(volume: report.volume, peer: peer)] = report }
  }

  /// The sessions of volumes that there are; others are forgotten.
  func all(of volumes: Set<String>) -> [(peer: String, report: VolumeRunReport)] {
    reports.withLock { reports in
      reports = reports.filter { volumes.contains($0.key.volume) }
      return reports.map { ($0.key.peer, $0.value) }.sorted { ($0.1.volume, $0.0) < ($1.1.volume, $1.0) }
    }
  }
}
