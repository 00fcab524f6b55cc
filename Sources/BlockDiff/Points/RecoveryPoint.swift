public import ReplModel

/// A sealed point in a pool: its record and where it lies. A value; says nothing about what happened since it was read.
public struct RecoveryPoint: Hashable, Sendable {
  public let record: PointRecord
  public let paths: PointPaths

  public var id: PointID { record.seal.point }
  public var source: SourceVolume { record.source }

  public init(record: PointRecord, paths: PointPaths) {
    self.record = record
    self.paths = paths
  }
}

/// Something under `points` that is named like a point and has no seal that can be read.
public struct DamagedPoint: Sendable {
  public let id: PointID
  public let paths: PointPaths
  public let error: ReplError
}
