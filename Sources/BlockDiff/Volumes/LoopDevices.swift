import CStorageShims
import Glibc
import ReplModel

/// The loop devices of this machine, by what they stand on.
enum LoopDevices {
  struct Attached {
    /// As in `/dev/loop3`.
    var path: String
    var number: DeviceNumber
    var isReadOnly: Bool
  }

  /// Every attached loop device whose backing file or device is the one named. By the kernel's own record
  /// (LOOP_GET_STATUS64), because names change and differ between mount namespaces.
  static func standing(on identity: VolumeIdentity) throws(ReplError) -> [Attached] {
    var found: [Attached] = []
    for name in SystemFile.list("/sys/block") where name.hasPrefix("loop") {
      // The kernel makes this folder when a file is attached.
      guard SystemFile.exists("/sys/block/\(name)/loop"),
        let number = DeviceNumber(SystemFile.line("/sys/block/\(name)/dev") ?? "")
      else { continue }
      let path = "/dev/\(name)"
      let descriptor = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
      guard descriptor >= 0 else {
        if [ENOENT, ENXIO, ENODEV].contains(errno) { continue }
        throw SystemCallError.make(errno, .init("look at the loop device", path))
      }
      defer { _ = close(descriptor) }
      var status = css_loop_status()
      guard css_loop_get_status(descriptor, &status) == 0 else { continue }
      guard matches(status, identity, backing: "/sys/block/\(name)/loop/backing_file") else { continue }
      found.append(Attached(path: path, number: number, isReadOnly: status.read_only))
    }
    return found
  }

  private static func matches(_ status: css_loop_status, _ identity: VolumeIdentity, backing: String) -> Bool {
    switch identity {
    case .file(let device, let inode):
      return status.inode == inode && status.device == device
    case .device(let packed):
      guard let path = SystemFile.line(backing) else { return false }
      var info = stat()
      return stat(path, &info) == 0 && VolumeIdentity(info) == .device(number: packed)
    }
  }
}
