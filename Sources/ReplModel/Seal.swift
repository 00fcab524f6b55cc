/// How consistent a point is with itself and with its group. Design section 5.
public enum Consistency: UInt8, Sendable, Codable, CaseIterable {
  /// No evidence of stillness; only on a volume that asks for it.
  case fuzzy = 0
  /// A point in time of this volume by itself.
  case volume = 1
  /// One instant for the whole group.
  case group = 2
  /// File system frozen and thawed by us around the group's snapshots.
  case frozen = 3

  public var name: String { ["fuzzy", "volume", "group", "frozen"][Int(rawValue)] }
}

/// What a seal proves. Design section 6.
public enum Proof: UInt8, Sendable, Codable, CaseIterable {
  /// Both sides held the sums of a proven base and read every block of the changed extents.
  case delta = 1
  /// Both sides read every allocated block of this very snapshot and point.
  case full = 2

  public var name: String { self == .full ? "full" : "delta" }
}

/// Nanoseconds since 1970-01-01T00:00:00Z by the clock named where it is used.
public struct Timestamp: Hashable, Sendable, Comparable {
  public var nanoseconds: Int64
  public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }
  public static func < (left: Self, right: Self) -> Bool { left.nanoseconds < right.nanoseconds }
  /// Seconds from `earlier` to this instant; negative when it lies before.
  public func seconds(since earlier: Timestamp) -> Double {
    let (difference, overflow) = nanoseconds.subtractingReportingOverflow(earlier.nanoseconds)
    return (overflow ? Double(nanoseconds) - Double(earlier.nanoseconds) : Double(difference)) / 1e9
  }
}

/// Who may replicate onto whom, as carried by every session. Design section 9.
public struct Branch: Hashable, Sendable {
  /// Counts promotions along the line; for people and order, never for identity.
  public var epoch: UInt64
  public var id: BranchID
  public init(epoch: UInt64, id: BranchID) {
    self.epoch = epoch
    self.id = id
  }
}

/// One volume of a group as the seal names it.
public struct GroupMember: Hashable, Sendable {
  public var volume: VolumeID
  /// Bytes.
  public var size: UInt64
  /// Why the volume is missing from the group; nil for a present member.
  public var missingReason: String?
  public init(volume: VolumeID, size: UInt64, missingReason: String? = nil) {
    self.volume = volume
    self.size = size
    self.missingReason = missingReason
  }
}

/// The proof of a point, equal on both sides. Its binary form is part of the wire protocol and of the disk format.
public struct Seal: Hashable, Sendable {
  public var point: PointID
  public var volume: VolumeID
  public var lineage: LineageID
  public var branch: Branch
  /// The point whose sums this seal builds on; nil for `proof: full`.
  public var base: PointID?
  /// Orders the points of a lineage.
  public var generation: UInt64
  /// Size of the volume in bytes.
  public var size: UInt64
  public var fingerprint: Fingerprint
  /// 4 KiB blocks that hold anything but zeros.
  public var nonZeroBlocks: UInt64
  /// The instant of the snapshot by the source's clock.
  public var takenAt: Timestamp
  public var consistency: Consistency
  public var proof: Proof
  public var group: GroupID
  /// Ascending by volume id, at most ``memberLimit``.
  public var members: [GroupMember]

  /// Most volumes a group may have.
  public static let memberLimit = 1024

  public init(
    point: PointID, volume: VolumeID, lineage: LineageID, branch: Branch, base: PointID?, generation: UInt64,
    size: UInt64, fingerprint: Fingerprint, nonZeroBlocks: UInt64, takenAt: Timestamp, consistency: Consistency,
    proof: Proof, group: GroupID, members: [GroupMember]
  ) {
    self.point = point
    self.volume = volume
    self.lineage = lineage
    self.branch = branch
    self.base = base
    self.generation = generation
    self.size = size
    self.fingerprint = fingerprint
    self.nonZeroBlocks = nonZeroBlocks
    self.takenAt = takenAt
    self.consistency = consistency
    self.proof = proof
    self.group = group
    self.members = members
  }
}
