/// Somebody who has a volume's file or device in use.
public struct VolumeHolder: Hashable, Sendable, CustomStringConvertible {
  public enum Use: Hashable, Sendable {
    /// A process has it open for writing.
    case open(process: Int32, command: String)
    /// A process has mapped it shared and may write.
    case mapping(process: Int32, command: String)
    /// A loop device stands on the file.
    case loopDevice(name: String)
    /// A file system on it, or on a loop device that stands on it, is mounted.
    case mount(point: String, device: String)
    /// Another block device (device mapper, RAID) stands on the device.
    case blockDevice(name: String)
  }

  public var use: Use
  /// Whether the holder can write; read-only loop devices and mounts are holders that cannot.
  public var canWrite: Bool

  public init(_ use: Use, canWrite: Bool = true) {
    self.use = use
    self.canWrite = canWrite
  }

  /// For messages, as in `process 812 (qemu-kvm) has it open for writing`.
  public var description: String {
    switch use {
    case .open(let process, let command): "process \(process) (\(command)) has it open for writing"
    case .mapping(let process, let command): "process \(process) (\(command)) has it mapped for writing"
    case .loopDevice(let name): "loop device \(name) stands on it"
    case .mount(let point, let device): "\(device) is mounted at \(point)"
    case .blockDevice(let name): "block device \(name) stands on it"
    }
  }
}
