/// How the changed extents of a volume are found in one cycle.
public enum ChangeSource: String, Hashable, Sendable, CaseIterable {
  /// Extent maps of two reflink clones are compared.
  case reflink
  /// The volume is read and its segment sums are compared.
  case digest
  /// Everything allocated is read and shipped.
  case full
}

/// What is known of a volume when its change source is chosen.
public struct ChangeSourceFacts: Hashable, Sendable {
  public var kind: LiveVolumeFile.Kind
  public var fileSystem: FileSystemKind
  /// Whether a pool lies on the same file system, so that the volume can be cloned into it.
  public var poolOnSameFileSystem: Bool
  /// Whether the newest point both sides hold has its twin here.
  public var baseTwinPresent: Bool
  /// Whether the segment sums of the newest point both sides hold are known here.
  public var baseSumsPresent: Bool
  /// Why the extent maps of this volume are not believed for now (a missed change was found), else nil.
  public var distrustReason: String?
  /// Why everything is to be read and shipped (each seventh migration, asked for), else nil.
  public var fullReason: String?
  /// Why there is no base both sides hold, for the status; nil on the first cycle.
  public var lostBaseReason: String?

  public init(
    kind: LiveVolumeFile.Kind, fileSystem: FileSystemKind, poolOnSameFileSystem: Bool, baseTwinPresent: Bool,
    baseSumsPresent: Bool, distrustReason: String? = nil, fullReason: String? = nil, lostBaseReason: String? = nil
  ) {
    self.kind = kind
    self.fileSystem = fileSystem
    self.poolOnSameFileSystem = poolOnSameFileSystem
    self.baseTwinPresent = baseTwinPresent
    self.baseSumsPresent = baseSumsPresent
    self.distrustReason = distrustReason
    self.fullReason = fullReason
    self.lostBaseReason = lostBaseReason
  }
}

/// Which change source a cycle uses, and why. Pure.
public struct ChangeSourceChoice: Hashable, Sendable {
  public var source: ChangeSource
  /// Whether a reflink snapshot is taken; else the live volume is read and must be watched.
  public var takesSnapshot: Bool
  /// One clause for the status.
  public var reason: String

  public init(_ facts: ChangeSourceFacts) {
    let obstacle = Self.snapshotObstacle(facts)
    takesSnapshot = obstacle == nil
    let place = obstacle.map { "\($0); the live volume is read and must hold still" }
    if let full = facts.fullReason {
      (source, reason) = (.full, Self.joined("full copy: \(full)", place))
    } else if !facts.baseTwinPresent, !facts.baseSumsPresent {
      let why = facts.lostBaseReason ?? "first copy, there is no point both sides hold"
      (source, reason) = (.full, Self.joined("full copy: \(why)", place))
    } else if obstacle == nil, facts.baseTwinPresent, facts.distrustReason == nil {
      (source, reason) = (.reflink, "extent maps of two reflink snapshots are compared")
    } else if facts.baseSumsPresent {
      let why = place ?? facts.distrustReason ?? "the base's snapshot is gone, its sums are kept"
      (source, reason) = (.digest, "segment sums are compared: \(why)")
    } else {
      let why = place ?? facts.distrustReason ?? "the base's sums are missing"
      (source, reason) = (.full, "full copy: \(why), and the base's sums are missing")
    }
  }

  private static func joined(_ text: String, _ more: String?) -> String { more.map { "\(text); \($0)" } ?? text }

  /// Why the volume cannot be cloned, or nil.
  private static func snapshotObstacle(_ facts: ChangeSourceFacts) -> String? {
    guard facts.kind == .file else { return "a block device cannot be cloned" }
    if case .other(let magic) = facts.fileSystem {
      return "its file system (magic 0x\(String(magic, radix: 16))) is neither XFS nor btrfs"
    }
    return facts.poolOnSameFileSystem ? nil : "no pool lies on its file system"
  }
}
