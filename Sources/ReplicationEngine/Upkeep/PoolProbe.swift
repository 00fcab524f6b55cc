import AgentService
import BlockDiff
import ReplModel
import Threads

/// Finds out whether the pools' file systems still take and give data: a small file is written, synced and read back.
///
/// Each pool has a thread of its own. One that hangs holds up nobody else, and shows as a fault after a while.
final class PoolProbes: Sendable {
  /// Seconds between two probes of a pool.
  static let interval = 30.0
  /// Seconds after which a probe that has not ended is a fault.
  static let patience = 20.0

  private struct State {
    /// On the monotonic clock; nil while no probe is under way.
    var startedAt: Double?
    /// Why the last probe failed; nil when it did not.
    var failure: String?
    /// Whether the fault there is has been told.
    var isTold = false
  }

  private let clock: any EngineClock
  private let events: EventHub
  private let states = Locked<[String: State]>([:])

  init(clock: any EngineClock, events: EventHub) {
    self.clock = clock
    self.events = events
  }

  /// Probes a pool once. Blocks as long as its file system does.
  func probe(_ entry: PoolSet.Entry, _ storage: any Storage) {
    let start = clock.ticks()
    states.withLock { $0[entry.name, default: State()].startedAt = start }
    let failure = Self.failure(of: entry.layout, storage)
    states.withLock {
      $0[entry.name]?.startedAt = nil
      $0[entry.name]?.failure = failure
    }
    tellChange(of: entry.name)
  }

  /// Why a pool cannot be worked with; empty when it can, as far as is known.
  func fault(of pool: String) -> String {
    let now = clock.ticks()
    return states.withLock { Self.fault($0[pool], now) }
  }

  /// Tells of pools that do not answer. A probe that hangs cannot tell of itself.
  func tellChanges(of pools: [String]) { for pool in pools { tellChange(of: pool) } }

  private func tellChange(of pool: String) {
    let now = clock.ticks()
    let change = states.withLock { states -> String? in
      let fault = Self.fault(states[pool], now)
      guard let state = states[pool], state.isTold == fault.isEmpty else { return nil }
      states[pool]?.isTold = !fault.isEmpty
      return fault
    }
    guard let fault = change else { return }
    events.post(
      ObjectReference(kind: "Pool", namespace: "", name: pool, uid: ""), warning: !fault.isEmpty,
      fault.isEmpty ? "PoolAnswers" : "PoolFault", fault.isEmpty ? "the file system takes and gives data again" : fault)
  }

  private static func fault(_ state: State?, _ now: Double) -> String {
    guard let state else { return "" }
    if let startedAt = state.startedAt, now - startedAt > patience {
      return "its file system has not answered for \(Int(now - startedAt)) s"
    }
    return state.failure ?? ""
  }

  private static func failure(of layout: PoolLayout, _ storage: any Storage) -> String? {
    let bytes = Array("repl-agent probe".utf8)
    do throws(ReplError) {
      try storage.writeFileDurably(layout.probe, bytes)
      let read = try storage.readFileFromMedium(layout.probe, limit: bytes.count)
      return read == bytes ? nil : "its file system gives back other bytes than were written"
    } catch {
      // A full file system is told of by its level, and takes data again when there is room.
      return error.kind == .noSpace ? nil : "its file system fails: \(error)"
    }
  }
}
