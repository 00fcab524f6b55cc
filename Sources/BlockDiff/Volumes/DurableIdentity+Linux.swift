import CStorageShims
import Glibc
public import ReplModel

extension DurableIdentity {
  /// Of an open file or block device, from the kernel and, where it runs, udev.
  public init(_ file: LinuxFile) throws(ReplError) {
    let info = try file.status()
    guard info.st_mode & S_IFMT == S_IFBLK else {
      try self.init(isDevice: false, marks: Self.fileMarks(file, inode: .inode, fileSystem: .fileSystem))
      return
    }
    let device = DeviceNumber(UInt64(info.st_rdev))
    self.init(isDevice: true, marks: Self.deviceMarks(device, file))
  }

  /// Whether `path` is the kernel's own name of a device, which is given to whatever disk is found first.
  public static func isKernelName(_ path: String, of file: LinuxFile) throws(ReplError) -> Bool {
    let folder = "/sys/dev/block/\(DeviceNumber(UInt64(try file.status().st_rdev)).name)"
    return value(folder + "/uevent", "DEVNAME").map { ["dev"] + $0.split(separator: "/") }
      == path.split(separator: "/").filter { $0 != "." }
  }

  private static func fileMarks(
    _ file: LinuxFile, inode: Mark, fileSystem: Mark
  ) throws(ReplError) -> [Mark: String] {
    let stamp = try file.stamp()
    var place = "\(stamp.inode).\(stamp.generation)"
    // Inode numbers begin anew in each subvolume.
    if try file.fileSystem() == .btrfs {
      var id: UInt64 = 0
      try checked(.init("ask for the file system's id", file.path)) { css_file_system_id(file.descriptor, &id) }
      place = String(id, radix: 16) + "." + place
    }
    var uuid = [UInt8](repeating: 0, count: 16)
    guard css_file_system_uuid(file.descriptor, &uuid) == 0 else {
      let boot = SystemFile.line("/proc/sys/kernel/random/boot_id") ?? ""
      return [inode: place, fileSystem: "device:\(DeviceNumber(stamp.device).name)@\(boot)"]
    }
    return [inode: place, fileSystem: uuidPrefix + hex(uuid)]
  }

  private static func hex(_ bytes: [UInt8]) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }

  private static func deviceMarks(_ device: DeviceNumber, _ file: LinuxFile) -> [Mark: String] {
    let folder = "/sys/dev/block/\(device.name)"
    var marks: [Mark: String] = [:]
    marks[.mapperUUID] = text(folder + "/dm/uuid")
    marks[.raidUUID] = text(folder + "/md/uuid")
    marks.merge(loopMarks(folder, file)) { first, _ in first }
    marks.merge(diskMarks(folder, device)) { first, _ in first }
    guard let number = text(folder + "/partition") else { return marks }
    marks[.partitionPlace] = number + "@" + (text(folder + "/start") ?? "")
    marks[.partition] = value(folder + "/uevent", "PARTUUID") ?? udev(device, "ID_PART_ENTRY_UUID")
    // A partition is also of its disk.
    if let disk = DeviceNumber(SystemFile.line(folder + "/../dev") ?? "") {
      let folder = "/sys/dev/block/\(disk.name)"
      marks[.mapperUUID] = marks[.mapperUUID] ?? text(folder + "/dm/uuid")
      marks.merge(diskMarks(folder, disk)) { first, _ in first }
      marks.merge(loopMarks(folder, nil)) { first, _ in first }
    }
    return marks
  }

  private static func diskMarks(_ folder: String, _ device: DeviceNumber) -> [Mark: String] {
    var marks: [Mark: String] = [:]
    marks[.wwid] = text(folder + "/wwid") ?? text(folder + "/device/wwid") ?? udev(device, "ID_WWN_WITH_EXTENSION")
    marks[.serial] = text(folder + "/serial") ?? text(folder + "/device/serial") ?? udev(device, "ID_SERIAL")
    return marks
  }

  /// Of an attached loop device. `file` is the device itself, opened; nil if only its folder is at hand.
  private static func loopMarks(_ folder: String, _ file: LinuxFile?) -> [Mark: String] {
    guard let path = text(folder + "/loop/backing_file") else { return [:] }
    var marks: [Mark: String] = [.loopPath: path]
    marks[.loopOffset] = text(folder + "/loop/offset")
    marks[.loopInode] = file.flatMap(loopStatus).map { "\($0.inode)" }
    // The path may be of another mount namespace, or of a file that was deleted.
    if let backing = try? LinuxStorage().openFile(path, .read), isBacking(backing, of: file) {
      let found = try? fileMarks(backing, inode: .loopFile, fileSystem: .loopFileSystem)
      marks.merge(found ?? [:]) { first, _ in first }
      if let stamp = try? backing.stamp() { marks[.loopInode] = "\(stamp.inode)" }
      try? backing.close()
    }
    return marks
  }

  private static func isBacking(_ backing: LinuxFile, of file: LinuxFile?) -> Bool {
    guard let file, let status = loopStatus(file) else { return file == nil }
    guard let stamp = try? backing.stamp() else { return false }
    return stamp.inode == status.inode && stamp.device == status.device
  }

  private static func loopStatus(_ file: LinuxFile) -> css_loop_status? {
    var status = css_loop_status()
    return css_loop_get_status(file.descriptor, &status) == 0 ? status : nil
  }

  /// The first line of a file of /sys, trimmed; nil where it says nothing.
  private static func text(_ path: String) -> String? {
    guard let line = SystemFile.line(path) else { return nil }
    let trimmed = line.drop { $0 == " " }.reversed().drop { $0 == " " || $0 == "\0" }.reversed()
    return trimmed.isEmpty ? nil : String(trimmed)
  }

  /// A value of a file of lines `KEY=value`.
  private static func value(_ path: String, _ key: String) -> String? {
    guard let text = try? SystemFile.text(path) else { return nil }
    let line = text.split(separator: "\n").first { $0.hasPrefix(key + "=") }
    return line.map { String($0.dropFirst(key.count + 1)) }.flatMap { $0.isEmpty ? nil : $0 }
  }

  /// What udev has found out about a device; nil where it does not run.
  private static func udev(_ device: DeviceNumber, _ key: String) -> String? {
    value("/run/udev/data/b\(device.name)", "E:" + key)
  }
}
