public import ReplModel

/// What the catalogue knows of a pool: all else is left over from a crash.
public struct PoolContents: Sendable {
  /// Snapshots of this node's own volumes, by volume.
  public var snapshots: [VolumeID: Set<PointID>]
  /// Whether those are all: else one that is not among them is left alone.
  public var namesAllSnapshots = true
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
  /// What could not be looked at or deleted, and is left alone.
  public internal(set) var skipped: [SkippedEntry] = []
}

extension Pool {
  /// Deletes what a crash left over and no record names: the trash, half-made snapshots, staging areas, ready clones and
  /// points without an image. For start-up, after prepared groups were rolled forward or removed.
  ///
  /// Only what has a name that the agent gives is deleted. One entry that cannot be looked at keeps no other from its turn.
  ///
  /// - Throws: when a directory of the layout itself cannot be listed.
  public func sweep(keeping known: PoolContents) throws(ReplError) -> SweepReport {
    var report = SweepReport()
    report.skipped = try points.finishRepairs()
    for name in try storage.listIfPresent(layout.trash) { remove(layout.trash + "/" + name, &report) }
    for name in try storage.list(layout.root) {
      let path = layout.root + "/" + name
      guard name.hasSuffix(".new") || path == layout.probe else { continue }
      report.skipped.attempt(path) { () throws(ReplError) in try storage.removeFile(path) }
    }
    try sweepStaging(known, &report)
    try sweepReady(known, &report)
    try sweepSnapshots(known, &report)
    try sweepPoints(known, &report)
    return report
  }

  private func sweepStaging(_ known: PoolContents, _ report: inout SweepReport) throws(ReplError) {
    for name in try storage.listIfPresent(layout.staging) {
      guard let source = SourceVolume(directoryName: name), !known.staging.contains(source) else { continue }
      do throws(ReplError) {
        if try points.preparedPoint(of: source) != nil {
          report.unrecorded.append(layout.staging(source))
        } else {
          remove(layout.staging + "/" + name, &report)
        }
      } catch {
        report.skipped.append(SkippedEntry(layout.staging + "/" + name, error.cause))
      }
    }
  }

  private func sweepReady(_ known: PoolContents, _ report: inout SweepReport) throws(ReplError) {
    for name in try storage.listIfPresent(layout.ready) {
      guard let source = SourceVolume(directoryName: name) else { continue }
      if let ready = try? points.readyClone(for: source), known.points[source]?.contains(ready.point) == true {
        continue
      }
      remove(layout.ready + "/" + name, &report)
    }
  }

  private func sweepSnapshots(_ known: PoolContents, _ report: inout SweepReport) throws(ReplError) {
    for volumeName in try storage.listIfPresent(layout.snapshots) {
      guard let volume = VolumeID(volumeName) else { continue }
      for name in storage.names(in: layout.snapshots + "/" + volumeName, &report.skipped) {
        guard let point = PointID(name), known.snapshots[volume]?.contains(point) != true else { continue }
        let directory = layout.snapshot(volume, point).directory
        if known.namesAllSnapshots {
          remove(directory, &report)
        } else {
          report.skipped.append(.ofUnreadableRecord(directory))
        }
      }
    }
  }

  private func sweepPoints(_ known: PoolContents, _ report: inout SweepReport) throws(ReplError) {
    var found: Set<PointPaths> = []
    for source in try points.sources(&report.skipped) {
      for name in storage.names(in: layout.points(of: source), &report.skipped) {
        guard let id = PointID(name) else { continue }
        let paths = layout.point(source, id)
        found.insert(paths)
        if known.points[source]?.contains(id) == true { continue }
        do throws(ReplError) {
          if try storage.exists(paths.image) {
            report.unrecorded.append(paths)
          } else if isHalfMade(paths) {
            remove(paths.directory, &report)
          }
        } catch {
          report.skipped.append(SkippedEntry(paths.directory, error.cause))
        }
      }
    }
    for (source, ids) in known.points.sorted(by: { $0.key < $1.key }) {
      for id in ids.sorted() where !found.contains(layout.point(source, id)) {
        report.missing.append(layout.point(source, id))
      }
    }
  }

  /// Whether it is a directory in which nothing lies but files of a point.
  private func isHalfMade(_ paths: PointPaths) -> Bool {
    guard let names = try? storage.list(paths.directory) else { return false }
    return names.allSatisfy { PointPaths.names.contains($0) || $0.hasSuffix(".new") }
  }

  private func remove(_ directory: String, _ report: inout SweepReport) {
    do throws(ReplError) {
      try storage.removeTree(directory)
      report.removed.append(directory)
    } catch {
      report.skipped.append(SkippedEntry(directory, "cannot be removed: \(error.cause)"))
    }
  }
}
