public import ReplModel

/// Everything that travels on the control connection (9001) after pairing. One case per message type; the type
/// numbers and the bytes of each are in docs/wire-protocol.md.
public enum ControlRequest: Hashable, Sendable {
  case hello(Hello)
  case heartbeat(Heartbeat)
  case inventory(InventoryRequest)
  case beginSession(BeginSession)
  case startSession(StartSession)
  case resumeExtents(ResumeExtentsRequest)
  case segmentSums(SegmentSumsRequest)
  case sealSession(SealSession)
  case commitGroup(CommitGroup)
  case confirmGroup(ConfirmGroup)
  case abortSession(AbortSession)
  case queryPoint(QueryPoint)
  case verifyPoint(VerifyPoint)
  case unpair(Unpair)
  case sendDocument(DocumentPart)
  case fetchAnswer(AnswerRequest)
  case volumeNotice(VolumeNotice)
}

/// The answer to a request of the same name, or a refusal.
public enum ControlReply: Hashable, Sendable {
  case hello(Hello)
  case heartbeat(HeartbeatReply)
  case inventory(InventoryReply)
  case beginSession(BeginReply)
  case startSession(StartReply)
  case resumeExtents(ResumeExtentsReply)
  case segmentSums(SegmentSumsReply)
  case sealSession(SealReply)
  case commitGroup(CommitReply)
  case confirmGroup
  case abortSession
  case queryPoint(QueryPointReply)
  case verifyPoint(VerifyReply)
  case unpair
  case sendDocument(DocumentReply)
  case fetchAnswer(AnswerPart)
  case volumeNotice
  /// Not done yet: ask the same again, which joins what is under way. Only for requests whose type ``FrameType/mayTakeLong``.
  case underWay(UnderWay)
  case refused(ReplError)
}

/// How far the work is that a request joined or began.
public struct UnderWay: Hashable, Sendable {
  /// Bytes read or written for it so far; grows as long as the work moves.
  public var bytesDone: UInt64
  /// Bytes foreseen, for people; 0 when not known.
  public var bytesTotal: UInt64
  public init(bytesDone: UInt64, bytesTotal: UInt64) {
    self.bytesDone = bytesDone
    self.bytesTotal = bytesTotal
  }
}

/// First message of both ends: who speaks and what it can do. Different settings are never an error; the smaller
/// limit and the common features win. A different major version is refused.
public struct Hello: Hashable, Sendable {
  /// Versions of one major understand each other whatever their minor: see docs/wire-protocol.md, section 2.
  public static let protocolMajor: UInt16 = 2
  public static let protocolMinor: UInt16 = 0
  /// Bit of ``features``: documents of control planes are taken (sendDocument, fetchAnswer).
  public static let documents: UInt64 = 1 << 0
  /// Bit of ``features``: notices about volumes are taken (volumeNotice).
  public static let notices: UInt64 = 1 << 1
  public var major: UInt16
  public var minor: UInt16
  /// Bit set of optional features; unknown bits are ignored.
  public var features: UInt64
  public var clusterID: String
  public var node: String
  /// Version of the software, for people.
  public var software: String
  /// Largest chunk this end takes, in bytes of raw data: a power of two, 64 KiB to 1 MiB.
  public var maxChunk: UInt32
  /// Bit set of chunk codecs: bit 0 raw, bit 1 LZ4.
  public var codecs: UInt32
  public init(
    major: UInt16, minor: UInt16, features: UInt64, clusterID: String, node: String, software: String,
    maxChunk: UInt32, codecs: UInt32
  ) {
    self.major = major
    self.minor = minor
    self.features = features
    self.clusterID = clusterID
    self.node = node
    self.software = software
    self.maxChunk = maxChunk
    self.codecs = codecs
  }
}

/// Liveness and clock offset, as NTP measures it.
public struct Heartbeat: Hashable, Sendable {
  /// Sender's clock when sent.
  public var sentAt: Timestamp
  public init(sentAt: Timestamp) { self.sentAt = sentAt }
}

public struct HeartbeatReply: Hashable, Sendable {
  /// Copied from the request.
  public var sentAt: Timestamp
  /// Replier's clock when the request arrived.
  public var receivedAt: Timestamp
  /// Replier's clock when the reply left.
  public var repliedAt: Timestamp
  /// Whether the replier found damage that the sender can repair: ask for the inventory.
  public var repairWanted: Bool
  public init(sentAt: Timestamp, receivedAt: Timestamp, repliedAt: Timestamp, repairWanted: Bool) {
    self.sentAt = sentAt
    self.receivedAt = receivedAt
    self.repliedAt = repliedAt
    self.repairWanted = repairWanted
  }
}

/// Which points does the target hold of one volume of ours.
public struct InventoryRequest: Hashable, Sendable {
  public var volume: VolumeID
  public init(volume: VolumeID) { self.volume = volume }
}

/// State of a point at the target.
public enum PointState: UInt8, Sendable, CaseIterable {
  case sealed = 1
  case suspect = 2
  case quarantined = 3
  case orphaned = 4
  case promoted = 5
  public var name: String { ["", "sealed", "suspect", "quarantined", "orphaned", "promoted"][Int(rawValue)] }
}

public struct PointSummary: Hashable, Sendable {
  public var point: PointID
  public var generation: UInt64
  public var size: UInt64
  public var fingerprint: Fingerprint
  public var takenAt: Timestamp
  public var state: PointState
  /// Segments a scrub found damaged, ascending; at most ``damageLimit``.
  public var damagedSegments: [UInt64]
  public static let damageLimit = 4096
  public init(
    point: PointID, generation: UInt64, size: UInt64, fingerprint: Fingerprint, takenAt: Timestamp,
    state: PointState, damagedSegments: [UInt64]
  ) {
    self.point = point
    self.generation = generation
    self.size = size
    self.fingerprint = fingerprint
    self.takenAt = takenAt
    self.state = state
    self.damagedSegments = damagedSegments
  }
}

/// Newest first, at most ``pointLimit``.
public struct InventoryReply: Hashable, Sendable {
  public static let pointLimit = 1024
  public var points: [PointSummary]
  public init(points: [PointSummary]) { self.points = points }
}
