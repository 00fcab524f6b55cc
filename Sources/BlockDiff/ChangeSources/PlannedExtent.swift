public import ReplModel

/// What a plan says of a range.
public enum PlanKind: UInt8, Hashable, Sendable {
  /// Zeros in the new image: need not be read.
  case zero = 0
  /// To be read, and compared with the base where that is at hand.
  case data = 1
}

/// A record of a plan: a range to be brought to the target.
public struct PlannedExtent: Hashable, Sendable {
  public var extent: Extent
  public var kind: PlanKind
  public init(extent: Extent, kind: PlanKind) {
    self.extent = extent
    self.kind = kind
  }
}

/// What a finished plan comes to.
public struct PlanSummary: Hashable, Sendable {
  /// Names the plan: equal plans for equal sizes have equal digests. XXH3-128 over size and records.
  public var digest: Fingerprint
  /// Size of the volume in bytes.
  public var volumeSize: UInt64
  public var records: UInt64
  public var dataBytes: UInt64
  public var zeroBytes: UInt64

  public init(digest: Fingerprint, volumeSize: UInt64, records: UInt64, dataBytes: UInt64, zeroBytes: UInt64) {
    self.digest = digest
    self.volumeSize = volumeSize
    self.records = records
    self.dataBytes = dataBytes
    self.zeroBytes = zeroBytes
  }

  /// Bytes that the plan covers.
  public var plannedBytes: UInt64 { dataBytes + zeroBytes }
}
