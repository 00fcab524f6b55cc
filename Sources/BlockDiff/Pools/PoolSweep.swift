public import ReplModel

/// What the catalogue knows of a pool: all else is left over from a crash.
public struct PoolContents: Sendable {
  /// Snapshots of this node's own volumes, by volume.
  public var snapshots: [VolumeID: Set<PointID>]
  /// Recovery points, by the volume they are of.
  public var points: [SourceVolume: Set<PointID>]
  /// Volumes with a session that may be resumed.
  public var staging: Set<SourceVolume>

  public init(
    snapshots: [VolumeID: Set<PointID>] = [:], points: [SourceVolume: Set<PointID>] = [:],
    staging: Set<SourceVolume> = []
  ) {
    self.snapshots = snapshots
    self.points = points
    self.staging = staging
  }
}

/// What a sweep found.
public struct SweepReport: Hashable, Sendable {
  /// Directories that were deleted.
  public internal(set) var removed: [String] = []
  /// Directories of points that no record names: never deleted by a sweep, because data outlives records. The caller
  /// rolls them forward, deletes them by name or shows them as `orphaned`.
  public internal(set) var unrecorded: [PointPaths] = []
  /// Points that records name and that are not there.
  public internal(set) var missing: [PointPaths] = []
}

extension Pool {
  /// Deletes what a crash left over and no record names: the trash, half-made snapshots, staging areas, ready clones and
  /// points without an image. For start-up, after prepared groups were rolled forward or removed.
  public func sweep(keeping known: PoolContents) throws(ReplError) -> SweepReport {
    var report = SweepReport()
    try points.finishRepairs()
    for name in try storage.listIfPresent(layout.trash) { try remove(layout.trash + "/" + name, &report) }
    for name in try storage.list(layout.root) where name.hasSuffix(".new") || name == "probe" {
      try storage.removeFile(layout.root + "/" + name)
    }
    try sweepStaging(known, &report)
    try sweepReady(known, &report)
    try sweepSnapshots(known, &report)
    try sweepPoints(known, &report)
    return report
  }

  private func sweepStaging(_ known: PoolContents, _ report: inout SweepReport) throws(ReplError) {
    for name in try storage.listIfPresent(layout.staging) {
      if let source = SourceVolume(directoryName: name) {
        if known.staging.contains(source) { continue }
        if try points.preparedPoint(of: source) != nil {
          report.unrecorded.append(layout.staging(source))
          continue
        }
      }
      try remove(layout.staging + "/" + name, &report)
    }
  }

  private func sweepReady(_ known: PoolContents, _ report: inout SweepReport) throws(ReplError) {
    for name in try storage.listIfPresent(layout.ready) {
      if let source = SourceVolume(directoryName: name), let ready = try points.readyClone(for: source),
        known.points[source]?.contains(ready.point) == true
      {
        continue
      }
      try remove(layout.ready + "/" + name, &report)
    }
  }

  private func sweepSnapshots(_ known: PoolContents, _ report: inout SweepReport) throws(ReplError) {
    for volumeName in try storage.listIfPresent(layout.snapshots) {
      guard let volume = VolumeID(volumeName) else { continue }
      for name in try storage.listIfPresent(layout.snapshots + "/" + volumeName) {
        guard let point = PointID(name), known.snapshots[volume]?.contains(point) != true else { continue }
        try remove(layout.snapshot(volume, point).directory, &report)
      }
    }
  }

  private func sweepPoints(_ known: PoolContents, _ report: inout SweepReport) throws(ReplError) {
    var found: Set<PointPaths> = []
    for source in try points.sources() {
      for name in try storage.listIfPresent(layout.points(of: source)) {
        guard let id = PointID(name) else { continue }
        let paths = layout.point(source, id)
        found.insert(paths)
        if known.points[source]?.contains(id) == true { continue }
        if try storage.exists(paths.image) {
          report.unrecorded.append(paths)
        } else {
          try remove(paths.directory, &report)
        }
      }
    }
    for (source, ids) in known.points.sorted(by: { $0.key < $1.key }) {
      for id in ids.sorted() where !found.contains(layout.point(source, id)) {
        report.missing.append(layout.point(source, id))
      }
    }
  }

  private func remove(_ directory: String, _ report: inout SweepReport) throws(ReplError) {
    try storage.removeTree(directory)
    report.removed.append(directory)
  }
}
