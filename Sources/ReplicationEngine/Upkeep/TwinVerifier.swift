import BlockDiff
import ReplModel
import WireProtocol

/// Reads the twin of a point because somebody asks whether it is what was sealed.
struct TwinVerifier: Sendable {
  let context: SourceContext

  /// What came of it.
  enum Finding: Sendable {
    /// There is no image to read, and why.
    case notRead(reason: String, isLost: Bool)
    /// `damaged` are the segments that differ, at most ``PointSummary/damageLimit``.
    case read(Fingerprint, bytes: UInt64, damaged: [UInt64])
  }

  /// Does with a twin that differs what a scrub does: see ``TwinScrub``.
  func verify(_ twin: SnapshotRecord, _ seal: Seal) throws(ReplError) -> Finding {
    guard twin.hasImage else {
      return .notRead(reason: "the volume has no snapshots: only its seal is kept", isLost: false)
    }
    guard let volume = try context.database.read({ try VolumeRecord.find($0, twin.volume) }),
      let key = try context.database.read({ try LineageKeys.find($0, volume.lineage) })
    else { return .notRead(reason: "nothing was read", isLost: false) }
    let losses = try TwinCheck(context: context).run([twin], of: volume).losses
    guard losses.isEmpty else { return .notRead(reason: losses.joined(separator: "; "), isLost: true) }
    let image = try context.storage.open(twin.imagePath, .read)
    defer { try? image.close() }
    var bytesRead: UInt64 = 0
    let sum = try FingerprintScan.sum(
      of: image, size: twin.size, key: key, pace: { (bytes) throws(ReplError) in bytesRead += bytes })
    guard sum.fingerprint != seal.fingerprint else {
      return .read(sum.fingerprint, bytes: bytesRead, damaged: [])
    }
    let scrub = TwinScrub(context: context)
    let differing = try scrub.compare(twin, key, { (_) in })
    try scrub.distrust(volume, twin, differing, foundBy: "a verification")
    return .read(sum.fingerprint, bytes: bytesRead, damaged: Array(differing.prefix(PointSummary.damageLimit)))
  }
}
