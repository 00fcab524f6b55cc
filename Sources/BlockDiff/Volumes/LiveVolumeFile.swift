import Glibc
public import ReplModel

/// What the agent knows of a live volume by looking at its file or device; looked at anew for every session.
public struct LiveVolumeFile: Hashable, Sendable {
  public enum Kind: String, Hashable, Sendable {
    case file
    case device
  }

  /// As it was named.
  public var path: String
  /// Without symbolic links.
  public var realPath: String
  public var kind: Kind
  /// Bytes.
  public var size: UInt64
  /// Of the file system that holds the file; for a device, of the one that holds its name.
  public var fileSystem: FileSystemKind
  /// What nobody else is: see ``VolumeIdentity``.
  public var identity: VolumeIdentity
  /// Bytes that the file takes up; 0 for a device.
  public var allocatedBytes: UInt64

  /// Opens, checks and closes. Errors as ``LinuxStorage/openAllowed(_:allowedPaths:exclusive:uncached:)``.
  public static func inspect(
    _ path: String, allowedPaths: [String], storage: LinuxStorage = LinuxStorage()
  ) throws(ReplError) -> LiveVolumeFile {
    let realPath = try storage.resolveAllowed(path, allowedPaths: allowedPaths)
    let file = try storage.openAllowed(path, allowedPaths: allowedPaths)
    let volume = try LiveVolumeFile(file, realPath: realPath)
    try file.close()
    return volume
  }

  /// Describes an open file; `realPath` is `file.path` without symbolic links.
  public init(_ file: LinuxFile, realPath: String) throws(ReplError) {
    let info = try file.status()
    let isDevice = info.st_mode & S_IFMT == S_IFBLK
    path = file.path
    self.realPath = realPath
    kind = isDevice ? .device : .file
    size = try file.size()
    fileSystem = try file.fileSystem()
    identity = VolumeIdentity(info)
    allocatedBytes = isDevice ? 0 : UInt64(info.st_blocks) * 512
  }
}

/// Which file or device it is, whatever its names: holders are found by this.
public enum VolumeIdentity: Hashable, Sendable {
  case file(device: UInt64, inode: UInt64)
  /// By its own device number, not that of the file system its name lies in.
  case device(number: UInt64)

  init(_ info: stat) {
    self =
      info.st_mode & S_IFMT == S_IFBLK
      ? .device(number: UInt64(info.st_rdev)) : .file(device: UInt64(info.st_dev), inode: UInt64(info.st_ino))
  }
}

/// The parts of a device number, as /sys and /proc write them.
struct DeviceNumber: Hashable, Sendable {
  var major: UInt64
  var minor: UInt64

  /// From `st_dev` or `st_rdev`.
  init(_ packed: UInt64) {
    major = (packed >> 32 & 0xffff_f000) | (packed >> 8 & 0xfff)
    minor = (packed >> 12 & 0xffff_ff00) | (packed & 0xff)
  }

  /// From text as in `8:1`, digits of the radix named.
  init?(_ text: some StringProtocol, radix: Int = 10) {
    let parts = text.split(separator: ":")
    guard parts.count == 2, let major = UInt64(parts[0], radix: radix), let minor = UInt64(parts[1], radix: radix)
    else { return nil }
    self.major = major
    self.minor = minor
  }

  /// As `st_rdev` has it.
  var packed: UInt64 {
    (major & 0xffff_f000) << 32 | (major & 0xfff) << 8 | (minor & 0xffff_ff00) << 12 | (minor & 0xff)
  }

  var name: String { "\(major):\(minor)" }
}
