public import ReplModel
import Synchronization

/// One call of a ``Storage`` or one of its files, as logs and faults see it.
public struct StorageOperation: Hashable, Sendable, CustomStringConvertible {
  public enum Kind: String, Sendable, CaseIterable {
    case open, create, clone, rename, replace, removeFile, removeTree, makeDirectory, list, exists
    case synchronizeDirectory, setImmutable, space
    case read, write, punchHole, truncate, synchronize, synchronizeData, stamp, size, fileSystem, extentMap, nextData
    case close

    /// Whether the call changes anything or makes changes durable: only these are points where a crash matters.
    public var isChange: Bool {
      switch self {
      case .create, .clone, .rename, .replace, .removeFile, .removeTree, .makeDirectory, .synchronizeDirectory,
        .setImmutable, .write, .punchHole, .truncate, .synchronize, .synchronizeData:
        true
      case .open, .list, .exists, .space, .read, .stamp, .size, .fileSystem, .extentMap, .nextData, .close: false
      }
    }
  }

  public let kind: Kind
  /// The file or directory; for clones and renames what is made.
  public let path: String
  /// For clones and renames what it is made from.
  public let from: String?
  /// For data.
  public let extent: Extent?

  public init(_ kind: Kind, _ path: String, from: String? = nil, extent: Extent? = nil) {
    self.kind = kind
    self.path = path
    self.from = from
    self.extent = extent
  }

  public var description: String {
    "\(kind.rawValue) " + (from.map { "\($0) -> " } ?? "") + path + (extent.map { " \($0)" } ?? "")
  }
}

/// Stands before every operation of a disk: counts, logs, fails and cuts the power as a test asks. Any thread may call.
public final class OperationGate: Sendable {
  private struct Fault: Sendable {
    var matches: @Sendable (StorageOperation) -> Bool
    var error: ReplError
    var isOnce: Bool
  }

  private struct State {
    var changes = 0
    var stopAfter: Int?
    var isStopped = false
    var faults: [Fault] = []
    var failAt: [Int: ReplError] = [:]
    var isLogging = false
    var log: [StorageOperation] = []
  }

  private let state = Mutex(State())

  public init() {}

  /// Operations that change something so far; what ``stopAfter(_:)`` counts in.
  public var changeCount: Int { state.withLock { $0.changes } }

  /// Whether the power was cut.
  public var isStopped: Bool { state.withLock { $0.isStopped } }

  /// Everything since ``startLog()``.
  public var log: [StorageOperation] { state.withLock { $0.log } }

  /// Begins an empty log.
  public func startLog() {
    state.withLock {
      $0.isLogging = true
      $0.log = []
    }
  }

  /// Cuts the power after `count` more changing operations: from then on every call fails, reads and closes too.
  public func stopAfter(_ count: Int) { state.withLock { $0.stopAfter = $0.changes + count } }

  /// Makes operations fail without being done; `once` means only the first that matches.
  public func fail(
    with error: ReplError, once: Bool = true, where matches: @escaping @Sendable (StorageOperation) -> Bool
  ) {
    state.withLock { $0.faults.append(Fault(matches: matches, error: error, isOnce: once)) }
  }

  /// Makes the changing operation numbered `number` from now, beginning at 0, fail once.
  public func failChange(number: Int, with error: ReplError) {
    state.withLock { $0.failAt[$0.changes + number] = error }
  }

  /// No faults, no power cut.
  public func reset() {
    state.withLock {
      $0.faults = []
      $0.failAt = [:]
      $0.stopAfter = nil
      $0.isStopped = false
    }
  }

  /// What is thrown when the power is cut.
  public static let powerCut = ReplError(.bug, subject: "simulated disk", cause: "the power was cut")

  /// Lets an operation through or throws.
  public func pass(_ make: @autoclosure () -> StorageOperation) throws(ReplError) {
    let operation = make()
    let error: ReplError? = state.withLock { state in
      if state.isStopped { return Self.powerCut }
      var numbered: ReplError?
      if operation.kind.isChange {
        if let limit = state.stopAfter, state.changes >= limit {
          state.isStopped = true
          return Self.powerCut
        }
        numbered = state.failAt.removeValue(forKey: state.changes)
        state.changes += 1
      }
      if state.isLogging { state.log.append(operation) }
      if let numbered { return numbered }
      guard let index = state.faults.firstIndex(where: { $0.matches(operation) }) else { return nil }
      let fault = state.faults[index]
      if fault.isOnce { state.faults.remove(at: index) }
      return fault.error
    }
    if let error { throw error }
  }
}
