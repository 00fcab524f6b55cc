/// What a volume's file or device is recognised by, whatever its name is and after a reboot too: what a kernel name leads to
/// today may be another disk tomorrow.
///
/// Marks are facts with names. Which ones there are depends on the kind of file or device; a device may have none.
public struct DurableIdentity: Hashable, Sendable, Codable {
  /// A fact. Texts are stored: they are never given a new meaning.
  public enum Mark: String, Sendable, CaseIterable {
    /// Of a file: UUID of its file system; where that has none, its device number in this boot.
    case fileSystem
    /// Of a file: inode and its generation, on btrfs with the subvolume.
    case inode
    /// Of a device-mapper device, LVM among them.
    case mapperUUID
    case raidUUID
    /// World-wide name of a disk.
    case wwid
    case serial
    /// UUID of a partition.
    case partition
    /// Which partition of its disk: number and first sector.
    case partitionPlace
    /// Of a loop device: the inode of the file it stands on; the same with its generation, and the UUID of that file's file
    /// system, where the file can be opened; where in the file it begins; the file's path, which is for people.
    case loopInode
    case loopFile
    case loopFileSystem
    case loopOffset
    case loopPath
  }

  public var isDevice: Bool
  /// By ``Mark``; names that only a newer version knows are kept and not compared.
  public var marks: [String: String]

  public init(isDevice: Bool, marks: [Mark: String]) {
    self.isDevice = isDevice
    self.marks = Dictionary(uniqueKeysWithValues: marks.map { ($0.key.rawValue, $0.value) })
  }

  public subscript(mark: Mark) -> String? { marks[mark.rawValue] }

  /// Whether anything tells it from another device.
  public var isUnique: Bool { Self.deviceMarks.contains { self[$0] != nil } || !isDevice }

  /// What a look at the same path came to.
  public enum Verdict: Hashable, Sendable {
    case same
    /// A file whose path was given to another file of the same file system: tools replace images by renaming.
    case replaced
    /// Nothing tells: only the contents can.
    case unknown
    /// Another disk, or another file system in the place of the one that is to be mounted.
    case changed
  }

  /// Compares with what lies at the path now.
  public func verdict(_ now: DurableIdentity) -> Verdict {
    guard isDevice == now.isDevice else { return .changed }
    return isDevice ? deviceVerdict(now) : fileVerdict(now)
  }

  private static let deviceMarks: [Mark] = [
    .mapperUUID, .raidUUID, .wwid, .serial, .partition, .loopInode,
  ]
  /// Say more of a device that another mark identifies.
  private static let detailMarks: [Mark] = [.partitionPlace, .loopFile, .loopFileSystem, .loopOffset]

  private func deviceVerdict(_ now: DurableIdentity) -> Verdict {
    let compared = (Self.deviceMarks + Self.detailMarks).filter { self[$0] != nil && now[$0] != nil }
    let differing = compared.filter { self[$0] != now[$0] }
    // A file system without a UUID has another name after each start of the machine.
    let isOnlyRemounted =
      differing == [.loopFileSystem]
      && ![self, now].allSatisfy { $0[.loopFileSystem].map(Self.outlivesMounts) == true }
    guard differing.isEmpty || isOnlyRemounted else { return .changed }
    // A part of a disk is not the whole of it.
    for mark in [Mark.partitionPlace, .loopOffset] where (self[mark] == nil) != (now[mark] == nil) { return .changed }
    if compared.contains(where: Self.deviceMarks.contains) { return .same }
    // What had a name once and has none now, or the other way round, is not the same device.
    return isUnique || now.isUnique ? .changed : .unknown
  }

  private func fileVerdict(_ now: DurableIdentity) -> Verdict {
    let isSameInode = self[.inode] == now[.inode]
    switch (self[.fileSystem], now[.fileSystem]) {
    case (let before?, let after?) where before == after: return isSameInode ? .same : .replaced
    case (let before?, let after?) where Self.outlivesMounts(before) && Self.outlivesMounts(after): return .changed
    default: return isSameInode ? .same : .changed
    }
  }

  static let uuidPrefix = "uuid:"
  private static func outlivesMounts(_ fileSystem: String) -> Bool { fileSystem.hasPrefix(uuidPrefix) }

  /// As in `/dev/loop3 is …`.
  public var summary: String {
    guard isDevice else {
      return "inode \(self[.inode] ?? "?") of the file system \(self[.fileSystem] ?? "without a UUID")"
    }
    if let path = self[.loopPath] { return "backed by \(path)" }
    if let uuid = self[.mapperUUID] { return "the device-mapper device \(uuid)" }
    if let uuid = self[.raidUUID] { return "the array \(uuid)" }
    if let uuid = self[.partition] { return "the partition \(uuid)" }
    if let disk = self[.wwid] ?? self[.serial] {
      return self[.partitionPlace].map { "partition \($0) of the disk \(disk)" } ?? "the disk \(disk)"
    }
    return "a device that nothing identifies"
  }
}
