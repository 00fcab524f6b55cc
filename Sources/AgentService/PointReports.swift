/// One point; the field names are a contract (design section 12).
public struct RecoveryPointReport: Hashable, Sendable, Codable {
  public var id: String
  /// The volume it is a point of: one name may have stood for several, one after the other or of several sources.
  public var volumeID: String
  /// Cluster id of that volume's source; empty for a volume of this agent.
  public var sourceCluster: String
  public var generation: UInt64
  /// RFC 3339 in UTC, by the source's clock.
  public var takenAt: String
  /// RFC 3339 in UTC, by the target's clock.
  public var sealedAt: String
  public var sizeBytes: UInt64
  public var fingerprint: String
  public var group: String
  public var consistency: String
  public var proof: String
  /// When the point was last read whole and found equal to its seal.
  public var provenAt: String
  public var state: String
  public var path: String
  /// The file that a clone of it was written to; nil where none was made.
  public var clonePath: String?
  public init(
    id: String, volumeID: String, sourceCluster: String, generation: UInt64, takenAt: String, sealedAt: String,
    sizeBytes: UInt64, fingerprint: String, group: String, consistency: String, proof: String, provenAt: String,
    state: String, path: String
  ) {
    self.id = id
    self.volumeID = volumeID
    self.sourceCluster = sourceCluster
    self.generation = generation
    self.takenAt = takenAt
    self.sealedAt = sealedAt
    self.sizeBytes = sizeBytes
    self.fingerprint = fingerprint
    self.group = group
    self.consistency = consistency
    self.proof = proof
    self.provenAt = provenAt
    self.state = state
    self.path = path
  }
}

/// One side of a verification.
public struct VerifySide: Hashable, Sendable, Codable {
  /// `source` or `target`.
  public var side: String
  public var cluster: String
  /// Whether anything was read; false for a quick verify.
  public var read: Bool
  public var bytesRead: UInt64
  /// Fingerprint computed from what was read, or the stored one.
  public var fingerprint: String
  /// Whether it is what was sealed; false, too, when it was not checked.
  public var equal: Bool
  /// Whether it was compared with the seal.
  public var checked: Bool
  public var damagedSegments: [UInt64]
  /// Why this side was not looked at; empty when it was.
  public var reason: String
  /// False when it was to be looked at and did not answer.
  public var reachable: Bool
  public init(
    side: String, cluster: String, read: Bool, bytesRead: UInt64, fingerprint: String, equal: Bool,
    checked: Bool = true, damagedSegments: [UInt64], reason: String, reachable: Bool = true
  ) {
    self.side = side
    self.cluster = cluster
    self.read = read
    self.bytesRead = bytesRead
    self.fingerprint = fingerprint
    self.equal = equal
    self.checked = checked
    self.damagedSegments = damagedSegments
    self.reason = reason
    self.reachable = reachable
  }
}

public struct VerifyReport: Hashable, Sendable, Codable {
  public var point: String
  public var sealFingerprint: String
  /// Whether every side that was looked at equals the seal, and at least one was.
  public var equal: Bool
  public var sides: [VerifySide]
  public init(point: String, sealFingerprint: String, equal: Bool, sides: [VerifySide]) {
    self.point = point
    self.sealFingerprint = sealFingerprint
    self.equal = equal
    self.sides = sides
  }
}
