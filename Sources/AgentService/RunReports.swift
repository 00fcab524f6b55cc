public enum RunState: String, Sendable, Codable {
  case pending, running, succeeded, failed, cancelled
  public var isFinal: Bool { self == .succeeded || self == .failed || self == .cancelled }
}

/// Where a volume of a run is; later stages are greater.
public enum RunStage: String, Sendable, Codable, CaseIterable, Comparable {
  case snapshot, begin, plan, ship, seal, commit, done

  private var order: Int { Self.allCases.firstIndex(of: self) ?? 0 }

  public static func < (first: RunStage, second: RunStage) -> Bool { first.order < second.order }
}

/// One volume of a run. The Migration's status carries these fields.
public struct VolumeRunReport: Hashable, Sendable, Codable {
  public var volume: String
  public var namespace: String
  public var name: String
  public var state: RunState
  public var stage: RunStage
  /// `reflink`, `digest`, `compare`, `full`.
  public var changeSource: String
  /// Why this session copies everything; empty when it does not.
  public var fullReason: String
  /// Bytes the plan covers.
  public var bytesTotal: UInt64
  /// Bytes of the plan worked off so far.
  public var bytesDone: UInt64
  /// Bytes that differ and were shipped, before compression.
  public var bytesChanged: UInt64
  /// Bytes sent on data streams.
  public var bytesOnWire: UInt64
  /// Seconds since the run of this volume began, or its duration.
  public var seconds: Double
  /// How long the snapshot stalled the volume's I/O, in milliseconds.
  public var stallMilliseconds: Double
  /// `full` or `delta` once sealed.
  public var proof: String
  /// The point made, once sealed.
  public var point: String
  /// Bytes of the plan worked off per second, lately; nil when not known.
  public var bytesPerSecond: Double?
  /// Seconds to go at the present rate; nil when not known, and while nothing moves.
  public var etaSeconds: Double?
  /// Why it failed, or what it waits for; once it succeeded, why it compared more than it had to.
  public var reason: String
  /// Whether the live volume itself is read until it is sealed, there being no snapshot; nil before that is known.
  public var readsLive: Bool?
  /// Since when nothing has been worked off, sent or proven, RFC 3339 in UTC; nil while something is.
  public var stalledSince: String?
  /// How long after the first snapshot of its group this one was taken, in milliseconds; nil before all are taken.
  public var takenAfterMilliseconds: Double?

  public init(volume: String, namespace: String, name: String) {
    self.volume = volume
    self.namespace = namespace
    self.name = name
    state = .pending
    stage = .snapshot
    changeSource = ""
    fullReason = ""
    bytesTotal = 0
    bytesDone = 0
    bytesChanged = 0
    bytesOnWire = 0
    seconds = 0
    stallMilliseconds = 0
    proof = ""
    point = ""
    bytesPerSecond = nil
    etaSeconds = nil
    reason = ""
  }
}

public struct MigrationReport: Hashable, Sendable, Codable {
  public var uid: String
  public var state: RunState
  /// Why it failed, or what it waits for.
  public var reason: String
  public var volumes: [VolumeRunReport]
  public init(uid: String, state: RunState, reason: String, volumes: [VolumeRunReport]) {
    self.uid = uid
    self.state = state
    self.reason = reason
    self.volumes = volumes
  }
}
