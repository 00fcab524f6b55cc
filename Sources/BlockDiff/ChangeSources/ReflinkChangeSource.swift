public import ReplModel

/// Plans what changed between two pinned reflink clones on one file system.
public struct ReflinkChangeSource {
  private let base: any StorageFile
  private let baseSize: UInt64
  private let new: any StorageFile
  private let newSize: UInt64

  /// Sizes in bytes as recorded with the snapshots.
  public init(base: any StorageFile, baseSize: UInt64, new: any StorageFile, newSize: UInt64) {
    self.base = base
    self.baseSize = baseSize
    self.new = new
    self.newSize = newSize
  }

  /// Appends the plan's extents; the caller finishes the plan. Errors: `refused` where extent maps are not exact or
  /// addresses of the two cannot be compared; `damaged` when an image is shorter than recorded.
  public func run(into plan: PlanFile) throws(ReplError) -> ComparisonTotals {
    try requireComparable()
    let comparison = ExtentMapComparison(
      base: base.extentMap(from:limit:sync:), baseSize: baseSize, new: new.extentMap(from:limit:sync:),
      newSize: newSize, subject: new.path)
    return try comparison.run { (range) throws(ReplError) in
      try plan.append(range.extent, range.kind == .zero ? .zero : .data)
    }
  }

  private func requireComparable() throws(ReplError) {
    let kind = try new.fileSystem()
    if case .other(let magic) = kind {
      throw ReplError(
        .refused, subject: new.path,
        cause: "extent maps of its file system (magic 0x\(String(magic, radix: 16))) are not exact",
        remedy: "use the digest source, or a pool on XFS or btrfs")
    }
    let (old, now) = (try base.stamp(), try new.stamp())
    guard try base.fileSystem() == kind, old.device == now.device else {
      throw ReplError(
        .refused, subject: new.path, cause: "lies on another file system or subvolume than its base \(base.path)",
        remedy: "keep all snapshots of a volume in one pool")
    }
    try requireLength(base, old.size, baseSize)
    try requireLength(new, now.size, newSize)
  }

  private func requireLength(_ image: any StorageFile, _ size: UInt64, _ recorded: UInt64) throws(ReplError) {
    guard size != recorded else { return }
    throw ReplError(
      .damaged, subject: image.path, cause: "has \(size) bytes, \(recorded) were recorded with the snapshot",
      remedy: "the snapshot is taken anew")
  }
}
