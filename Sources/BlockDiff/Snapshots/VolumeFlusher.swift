import CStorageShims
import Glibc
public import ReplModel

/// Brings to disk what is on its way into a volume, before its snapshot is taken.
public protocol VolumeFlusher: Sendable {
  /// Synchronizes the volume's file system and the loop devices that stand on its file.
  func flush(_ live: any StorageFile) throws(ReplError)
}

/// The kernel's: syncfs, and fsync of loop devices.
public struct LinuxVolumeFlusher: VolumeFlusher {
  public init() {}

  public func flush(_ live: any StorageFile) throws(ReplError) {
    guard let live = live as? LinuxFile else { return }
    let identity = VolumeIdentity(try live.status())
    // The loop device first: what it flushes lands in the file system below.
    for loop in try LoopDevices.standing(on: identity) where !loop.isReadOnly {
      let descriptor = try checkedErrno(.init("open", loop.path)) { open(loop.path, O_RDONLY | O_NONBLOCK | O_CLOEXEC) }
      defer { _ = close(descriptor) }
      try checkedErrno(.init("synchronize", loop.path)) { fsync(descriptor) }
    }
    try checked(.init("synchronize the file system of", live.path)) { css_sync_file_system(live.descriptor) }
  }
}
