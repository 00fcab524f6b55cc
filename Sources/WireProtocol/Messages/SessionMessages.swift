public import ReplModel

/// How a session's changed extents were found.
public enum SessionKind: UInt8, Sendable, CaseIterable {
  /// Against a base both sides hold.
  case delta = 1
  /// Every allocated block; nothing taken from a base.
  case full = 2
  /// Against segment sums the target read from its point, because the source lost its twin.
  case compare = 3
  /// Damaged segments of one sealed point, re-shipped; seals to the same seal.
  case repair = 4
}

/// A point the source still holds the twin (or the sums) of, offered as a base.
public struct BaseCandidate: Hashable, Sendable {
  public var point: PointID
  public var fingerprint: Fingerprint
  /// Whether the source has only the sums and no twin any more.
  public var sumsOnly: Bool
  public init(point: PointID, fingerprint: Fingerprint, sumsOnly: Bool) {
    self.point = point
    self.fingerprint = fingerprint
    self.sumsOnly = sumsOnly
  }
}

/// Opens, or opens again, the session of one volume. The same session id and snapshot resume.
public struct BeginSession: Hashable, Sendable {
  public static let candidateLimit = 64
  public var session: SessionID
  public var volume: VolumeID
  public var namespace: String
  public var name: String
  public var lineage: LineageID
  /// The lineage's key, sent until the target has confirmed that it holds it.
  public var key: FingerprintKey?
  public var branch: Branch
  public var snapshot: PointID
  public var generation: UInt64
  /// Bytes.
  public var size: UInt64
  public var takenAt: Timestamp
  public var consistency: Consistency
  /// `full` wants no base; `repair` names the damaged point in `snapshot`; the target never answers `compare` or
  /// `delta` with a base that is not among the candidates.
  public var kind: SessionKind
  /// Newest first.
  public var candidates: [BaseCandidate]
  public var group: GroupID
  public var members: [GroupMember]
  /// Whether a volume that became smaller is accepted.
  public var acceptShrink: Bool
  /// Data connections the source would like.
  public var streams: UInt16
  public init(
    session: SessionID, volume: VolumeID, namespace: String, name: String, lineage: LineageID, key: FingerprintKey?,
    branch: Branch, snapshot: PointID, generation: UInt64, size: UInt64, takenAt: Timestamp,
    consistency: Consistency, kind: SessionKind, candidates: [BaseCandidate], group: GroupID,
    members: [GroupMember], acceptShrink: Bool, streams: UInt16
  ) {
    self.session = session
    self.volume = volume
    self.namespace = namespace
    self.name = name
    self.lineage = lineage
    self.key = key
    self.branch = branch
    self.snapshot = snapshot
    self.generation = generation
    self.size = size
    self.takenAt = takenAt
    self.consistency = consistency
    self.kind = kind
    self.candidates = candidates
    self.group = group
    self.members = members
    self.acceptShrink = acceptShrink
    self.streams = streams
  }
}

/// What the target makes of a begin.
public enum BeginOutcome: Hashable, Sendable {
  /// Ship the changes against this candidate.
  case base(PointID)
  /// No common base, but the target holds this intact point of the volume: compare with its sums.
  case compareWith(PointID)
  /// Nothing to build on, and why.
  case full(reason: String)
  /// The point exists already, sealed so.
  case alreadySealed(Seal)
  /// The session is complete and prepared; commit the group.
  case prepared(Seal)
  /// The proof against this seal goes on, or has ended and its answer was not asked for: send the seal again.
  case proving(Seal)
}

/// A single-use right to open one data stream; valid for the identity, session and branch it was issued to.
public struct StreamTicket: Hashable, Sendable {
  public static let byteCount = 32
  /// Exactly ``byteCount`` random bytes.
  public var bytes: [UInt8]
  public init?(bytes: [UInt8]) {
    guard bytes.count == Self.byteCount else { return nil }
    self.bytes = bytes
  }
}

public struct BeginReply: Hashable, Sendable {
  public var outcome: BeginOutcome
  /// Where the data streams go; an empty address means the address of the control connection.
  public var dataAddress: String
  public var dataPort: UInt16
  /// Negotiated largest chunk in bytes.
  public var maxChunk: UInt32
  /// One per data stream granted, at most 64.
  public var tickets: [StreamTicket]
  public static let ticketLimit = 64
  public init(
    outcome: BeginOutcome, dataAddress: String, dataPort: UInt16, maxChunk: UInt32, tickets: [StreamTicket]
  ) {
    self.outcome = outcome
    self.dataAddress = dataAddress
    self.dataPort = dataPort
    self.maxChunk = maxChunk
    self.tickets = tickets
  }
}

/// The plan is made: the target opens or resumes staging for exactly this plan.
public struct StartSession: Hashable, Sendable {
  public var session: SessionID
  /// The base the plan was made against; nil for a full copy.
  public var base: PointID?
  public var kind: SessionKind
  /// XXH3-128 of the plan's records.
  public var planDigest: Fingerprint
  /// Bytes the plan covers.
  public var plannedBytes: UInt64
  /// Those of them that are data and take room; the others are runs of zeros.
  public var dataBytes: UInt64

  /// - Parameter dataBytes: nil for all that is planned.
  public init(
    session: SessionID, base: PointID?, kind: SessionKind, planDigest: Fingerprint, plannedBytes: UInt64,
    dataBytes: UInt64? = nil
  ) {
    self.session = session
    self.base = base
    self.kind = kind
    self.planDigest = planDigest
    self.plannedBytes = plannedBytes
    self.dataBytes = dataBytes ?? plannedBytes
  }
}

public struct StartReply: Hashable, Sendable {
  /// Bytes that are durable from an earlier attempt; ask for the extents when not 0.
  public var durableBytes: UInt64
  public init(durableBytes: UInt64) { self.durableBytes = durableBytes }
}

/// One page of what is durable, from `offset` on.
public struct ResumeExtentsRequest: Hashable, Sendable {
  public static let pageLimit = 4096
  public var session: SessionID
  public var offset: UInt64
  public init(session: SessionID, offset: UInt64) {
    self.session = session
    self.offset = offset
  }
}

/// Ascending; empty means there is nothing at or after the offset asked for.
public struct ResumeExtentsReply: Hashable, Sendable {
  public var extents: [Extent]
  public init(extents: [Extent]) { self.extents = extents }
}

/// One segment's sum.
public struct SegmentSum: Hashable, Sendable {
  public var segment: UInt64
  public var sum: Fingerprint
  public init(segment: UInt64, sum: Fingerprint) {
    self.segment = segment
    self.sum = sum
  }
}

/// Sums of a point's segments, computed by reading the point.
public struct SegmentSumsRequest: Hashable, Sendable {
  public static let pageLimit = 4096
  public var volume: VolumeID
  public var point: PointID
  public var firstSegment: UInt64
  public var count: UInt32
  public init(volume: VolumeID, point: PointID, firstSegment: UInt64, count: UInt32) {
    self.volume = volume
    self.point = point
    self.firstSegment = firstSegment
    self.count = count
  }
}

/// Only segments whose sum is not zero, ascending.
public struct SegmentSumsReply: Hashable, Sendable {
  public var sums: [SegmentSum]
  public init(sums: [SegmentSum]) { self.sums = sums }
}

/// All chunks are acknowledged: prove and prepare.
public struct SealSession: Hashable, Sendable {
  public var session: SessionID
  public var seal: Seal
  public init(session: SessionID, seal: Seal) {
    self.session = session
    self.seal = seal
  }
}

public enum SealReply: Hashable, Sendable {
  /// Proven equal; durable and waiting for the group.
  case prepared
  /// Not equal. The target's sums of touched segments, ascending, at most ``mismatchLimit``; ship those that differ
  /// from the source's once more. `final` when it was the second mismatch and staging is gone.
  case mismatch(sums: [SegmentSum], final: Bool)
  public static let mismatchLimit = 65536
}

/// Every member is prepared: publish them in one step.
public struct CommitGroup: Hashable, Sendable {
  public var group: GroupID
  public init(group: GroupID) { self.group = group }
}

/// The points the group consists of now, each with the instant of the seal by the target's clock.
public struct CommitReply: Hashable, Sendable {
  public var sealedAt: Timestamp
  public var points: [PointID]
  public init(sealedAt: Timestamp, points: [PointID]) {
    self.sealedAt = sealedAt
    self.points = points
  }
}

/// The source has recorded the commit: the target may let go of the point before.
public struct ConfirmGroup: Hashable, Sendable {
  public var group: GroupID
  public init(group: GroupID) { self.group = group }
}

public struct AbortSession: Hashable, Sendable {
  public var session: SessionID
  /// Whether what was shipped so far is thrown away too.
  public var discard: Bool
  public init(session: SessionID, discard: Bool) {
    self.session = session
    self.discard = discard
  }
}

/// Asks for the outcome of a seal that was sent and never answered.
public struct QueryPoint: Hashable, Sendable {
  public var volume: VolumeID
  public var point: PointID
  public init(volume: VolumeID, point: PointID) {
    self.volume = volume
    self.point = point
  }
}

public enum QueryPointReply: Hashable, Sendable {
  case unknown
  case prepared(Seal)
  case sealed(Seal, state: PointState)
}

public struct VerifyPoint: Hashable, Sendable {
  public var volume: VolumeID
  public var point: PointID
  /// Compare stored seals only; nothing is read.
  public var quick: Bool
  public init(volume: VolumeID, point: PointID, quick: Bool) {
    self.volume = volume
    self.point = point
    self.quick = quick
  }
}

public struct VerifyReply: Hashable, Sendable {
  /// The seal as stored.
  public var seal: Seal
  /// What reading the point gave; nil for a quick verify.
  public var computed: Fingerprint?
  public var bytesRead: UInt64
  /// Ascending, at most 4096.
  public var damagedSegments: [UInt64]
  public var state: PointState
  public init(
    seal: Seal, computed: Fingerprint?, bytesRead: UInt64, damagedSegments: [UInt64], state: PointState
  ) {
    self.seal = seal
    self.computed = computed
    self.bytesRead = bytesRead
    self.damagedSegments = damagedSegments
    self.state = state
  }
}

/// The last pair with this peer is gone on the sender's side.
public struct Unpair: Hashable, Sendable {
  public init() {}
}
