/// Which block devices share the blocks of a device.
enum BlockDeviceTree {
  /// The device itself, its whole disk if it is a partition, its partitions if it is a disk.
  static func relatives(of device: DeviceNumber) -> Set<DeviceNumber> {
    let folder = "/sys/dev/block/\(device.name)"
    var found: Set<DeviceNumber> = [device]
    if SystemFile.exists(folder + "/partition"), let disk = DeviceNumber(SystemFile.line(folder + "/../dev") ?? "") {
      found.insert(disk)
    }
    for name in SystemFile.list(folder) where SystemFile.exists("\(folder)/\(name)/partition") {
      if let part = DeviceNumber(SystemFile.line("\(folder)/\(name)/dev") ?? "") { found.insert(part) }
    }
    return found
  }

  /// Device mapper and RAID devices that stand on it.
  static func standing(on device: DeviceNumber) -> [VolumeHolder] {
    SystemFile.list("/sys/dev/block/\(device.name)/holders").map { VolumeHolder(.blockDevice(name: "/dev/\($0)")) }
  }
}
