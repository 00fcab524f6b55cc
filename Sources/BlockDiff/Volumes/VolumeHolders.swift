import Glibc
public import ReplModel

/// Finds who has a volume in use, by device and inode, whatever name it was opened under. Looks into /proc, /sys and
/// the loop devices; takes milliseconds to tenths of a second, so it is asked at the start and end of work, not
/// between chunks.
public enum VolumeHolders {
  /// Everybody who holds the volume, as far as can be seen: see ``survey(_:)``.
  public static func find(_ identity: VolumeIdentity) throws(ReplError) -> [VolumeHolder] {
    try survey(identity).holders
  }

  /// Holders that can write, as far as can be seen.
  public static func writers(_ identity: VolumeIdentity) throws(ReplError) -> [VolumeHolder] {
    try survey(identity).writers
  }

  /// Looks at everything. A process that ends while it is looked at is no holder; one that may not be looked at is
  /// listed, because silence must not be taken for evidence.
  public static func survey(_ identity: VolumeIdentity) throws(ReplError) -> VolumeSurvey {
    var holders: [VolumeHolder] = []
    var devices: Set<DeviceNumber> = []
    switch identity {
    case .file:
      for loop in try LoopDevices.standing(on: identity) {
        holders.append(VolumeHolder(.loopDevice(name: loop.path), canWrite: !loop.isReadOnly))
        devices.insert(loop.number)
      }
    case .device(let packed):
      devices = BlockDeviceTree.relatives(of: DeviceNumber(packed))
      holders += BlockDeviceTree.standing(on: DeviceNumber(packed))
      for number in devices {
        for loop in try LoopDevices.standing(on: .device(number: number.packed)) {
          holders.append(VolumeHolder(.loopDevice(name: loop.path), canWrite: !loop.isReadOnly))
        }
      }
    }
    let wanted = HeldFile(identity: identity, devices: devices)
    let processes = ProcessTable.holders(of: wanted)
    holders += processes.holders
    holders += MountTable.mounts(of: devices)
    return VolumeSurvey(holders: holders, unseenProcesses: processes.unseen)
  }
}

/// What a look at the holders of a volume came to.
public struct VolumeSurvey: Hashable, Sendable {
  public var holders: [VolumeHolder]
  /// Processes whose files or mappings the kernel did not show us.
  public var unseenProcesses: [Int32]

  public init(holders: [VolumeHolder], unseenProcesses: [Int32] = []) {
    self.holders = holders
    self.unseenProcesses = unseenProcesses
  }

  public var writers: [VolumeHolder] { holders.filter(\.canWrite) }
}

/// What an open file must be to count: the volume itself, or a block device that shares its blocks.
struct HeldFile {
  var identity: VolumeIdentity
  /// The loop devices on the file, or the device with its disk and partitions.
  var devices: Set<DeviceNumber>

  func matches(_ info: stat) -> Bool {
    if info.st_mode & S_IFMT == S_IFBLK { return devices.contains(DeviceNumber(UInt64(info.st_rdev))) }
    return VolumeIdentity(info) == identity
  }
}
