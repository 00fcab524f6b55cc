import AgentService
import BlockDiff
import ReplModel
import Threads

/// Somewhere that the agent keeps things.
enum StoragePlace: Hashable, Sendable {
  case pool(String)
  case stateDirectory

  /// For people.
  var label: String {
    switch self {
    case .pool(let name): "pool \(name)"
    case .stateDirectory: "state directory"
    }
  }
}

/// Finds out whether the file systems that the agent works on still take and give data, and how much room they have: a
/// small file is written, synced and read back. Whoever reports asks what was found, and never a file system that may
/// hang.
///
/// Each place has a chore of its own, which blocks with its file system. One that hangs holds up nobody else, and shows as a
/// fault after a while. Any thread may call.
final class StorageProbes: Sendable {
  /// Seconds between two looks at the room of a place.
  static let lookInterval = 5.0
  /// Seconds between two probes of a place.
  static let interval = 30.0
  /// Seconds after which a look that has not ended is a fault.
  static let patience = 20.0

  private struct State {
    /// When the look under way began, on the monotonic clock.
    var startedAt: Double?
    /// When something was written last.
    var probedAt: Double?
    /// Why the last probe failed; nil when it did not.
    var failure: String?
    /// What the last look has found.
    var space: FileSystemSpace?
    /// Whether the fault there is has been told.
    var isTold = false
  }

  private let clock: any EngineClock
  private let storage: any Storage
  private let events: EventHub
  private let node: String
  private let states = Locked<[StoragePlace: State]>([:])

  /// - Parameter node: name of this node, which events about the state directory are of.
  init(clock: any EngineClock, storage: any Storage, events: EventHub, node: String) {
    self.clock = clock
    self.storage = storage
    self.events = events
    self.node = node
  }

  /// Finds out how much room there is, and probes what was not probed for a while. Blocks as long as the file system does.
  ///
  /// - Parameters:
  ///   - directory: where the place is.
  ///   - file: the probe's, in that file system.
  func look(at place: StoragePlace, _ directory: String, file: String) {
    let now = clock.ticks()
    let isDue = states.withLock { states in
      states[place, default: State()].startedAt = now
      return states[place]?.probedAt.map { now - $0 >= Self.interval } ?? true
    }
    let space = try? storage.space(at: directory)
    let failure = isDue ? failure(of: place, file) : nil
    states.withLock {
      $0[place]?.startedAt = nil
      if let space { $0[place]?.space = space }
      guard isDue else { return }
      $0[place]?.probedAt = now
      $0[place]?.failure = failure
    }
    tellChange(of: place)
  }

  /// How much room was found last. For the start, before anybody reports.
  func noteSpace(of place: StoragePlace, _ directory: String) {
    guard let space = try? storage.space(at: directory) else { return }
    states.withLock { $0[place, default: State()].space = space }
  }

  /// How much room was found last; nil when that never was.
  func space(of place: StoragePlace) -> FileSystemSpace? { states.withLock { $0[place]?.space } }

  /// Why a place cannot be worked with; empty when it can, as far as is known.
  func fault(of place: StoragePlace) -> String {
    let now = clock.ticks()
    return states.withLock { Self.fault($0[place], now) }
  }

  /// Tells of places that do not answer. A look that hangs cannot tell of itself.
  func tellChanges() { for place in states.withLock({ Array($0.keys) }) { tellChange(of: place) } }

  private func tellChange(of place: StoragePlace) {
    let now = clock.ticks()
    let change = states.withLock { states -> String? in
      let fault = Self.fault(states[place], now)
      guard let state = states[place], state.isTold == fault.isEmpty else { return nil }
      states[place]?.isTold = !fault.isEmpty
      return fault
    }
    guard let fault = change else { return }
    let (object, reason): (ObjectReference, String) =
      switch place {
      case .pool(let name): (ObjectReference(kind: "Pool", namespace: "", name: name, uid: ""), "Pool")
      case .stateDirectory: (ObjectReference(kind: "Node", namespace: "", name: node, uid: ""), "StateDirectory")
      }
    events.post(
      object, warning: !fault.isEmpty, reason + (fault.isEmpty ? "Answers" : "Fault"),
      fault.isEmpty ? "the file system takes and gives data again" : fault)
  }

  private static func fault(_ state: State?, _ now: Double) -> String {
    guard let state else { return "" }
    if let startedAt = state.startedAt, now - startedAt > patience {
      return "its file system has not answered for \(Int(now - startedAt)) s"
    }
    return state.failure ?? ""
  }

  private func failure(of place: StoragePlace, _ file: String) -> String? {
    let bytes = Array("repl-agent probe".utf8)
    do throws(ReplError) {
      try storage.writeFileDurably(file, bytes)
      let read = try storage.readFileFromMedium(file, limit: bytes.count)
      return read == bytes ? nil : "its file system gives back other bytes than were written"
    } catch {
      // A full pool is told of by its level, and takes data again when there is room. Without room for its state the agent
      // can do nothing.
      return error.kind == .noSpace && place != .stateDirectory ? nil : "its file system fails: \(error)"
    }
  }
}
