import Glibc
public import Testing

/// A real file system on a loop device, for tests that need the kernel's own behaviour. Unmounted, detached and
/// removed by ``close()`` or when the object goes.
public final class LoopFileSystem: @unchecked Sendable {
  // Unchecked: nothing but `isOpen` changes, and close is called by the one test that owns the object.

  public enum Kind: String, Sendable, CaseIterable {
    case xfs
    case btrfs
    case ext4
  }

  public struct Failure: Error, CustomStringConvertible {
    public var description: String
  }

  public let kind: Kind
  /// Where it is mounted.
  public let path: String
  /// As in `/dev/loop3`.
  public var device: String { loop.path }
  private let loop: LoopDevice
  private let folder: String
  private var isOpen = true

  /// Makes a file system of `megabytes` (sparse: it costs what is written) and mounts it.
  public init(_ kind: Kind, megabytes: Int = 512, options: String = "") throws {
    self.kind = kind
    var template = Array("/tmp/loop-file-system.XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw Failure(description: "cannot make a directory") }
    folder = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    path = folder + "/mount"
    let image = folder + "/image"
    do {
      try Self.run(["truncate", "-s", "\(megabytes)M", image])
      switch kind {
      case .xfs: try Self.run(["mkfs.xfs", "-q", "-m", "reflink=1", image])
      case .btrfs: try Self.run(["mkfs.btrfs", "-q", image])
      case .ext4: try Self.run(["mkfs.ext4", "-q", "-E", "nodiscard", image])
      }
      try Self.run(["mkdir", path])
      loop = try LoopDevice(image)
    } catch {
      _ = try? Self.run(["rm", "-rf", folder])
      throw error
    }
    do {
      try Self.run(["mount"] + (options.isEmpty ? [] : ["-o", options]) + [loop.path, path])
    } catch {
      loop.detach()
      _ = try? Self.run(["rm", "-rf", folder])
      throw error
    }
  }

  deinit { close() }

  /// SEEK_DATA, which the C library shows only to those who ask for GNU extensions.
  private static let seekData: Int32 = 3

  /// Flips a bit of the medium in every block that holds exactly these 4096 bytes, below the file system: under all files
  /// that share the block. Returns how many there were.
  public func rot(_ block: [UInt8]) throws -> Int {
    try Self.run(["sync", "-f", path])
    let disk = open(folder + "/image", O_RDWR | O_CLOEXEC)
    guard disk >= 0 else { throw Failure(description: "cannot open the image") }
    defer { _ = Glibc.close(disk) }
    var page = [UInt8](repeating: 0, count: 1 << 20)
    var (position, found): (off_t, Int) = (0, 0)
    while case let data = lseek(disk, position, Self.seekData), data >= 0 {
      position = data / off_t(page.count) * off_t(page.count)
      let count = pread(disk, &page, page.count, position)
      guard count > 0 else { break }
      for start in stride(from: 0, through: count - block.count, by: block.count)
      where page[start] == block[0] && page[start..<start + block.count].elementsEqual(block) {
        var byte = block[100] ^ 1
        guard pwrite(disk, &byte, 1, position + off_t(start + 100)) == 1 else {
          throw Failure(description: "cannot write to the image")
        }
        found += 1
      }
      position += off_t(page.count)
    }
    guard fsync(disk) == 0 else { throw Failure(description: "cannot synchronize the image") }
    return found
  }

  /// Unmounts, detaches and removes everything.
  public func close() {
    guard isOpen else { return }
    isOpen = false
    if (try? Self.run(["umount", path])) == nil { _ = try? Self.run(["umount", "--lazy", path]) }
    loop.detach()
    _ = try? Self.run(["rm", "-rf", "--one-file-system", folder])
  }

  /// Runs a program and returns what it printed, without the last line end. A failure is an error with its messages.
  @discardableResult
  public static func run(_ arguments: [String]) throws -> String {
    // Into a file and not a pipe: a pipe's end could be inherited by another test's child.
    var template = Array("/tmp/command-output.XXXXXX".utf8CString)
    let output = mkstemp(&template)
    guard output >= 0 else { throw Failure(description: "cannot make a file for the output") }
    defer {
      _ = Glibc.close(output)
      _ = unlink(template)
    }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_addopen(&actions, 1, template, O_WRONLY | O_APPEND, 0)
    posix_spawn_file_actions_adddup2(&actions, 1, 2)
    // Sockets and files of tests that run beside this one are not for a child to keep open. One that is not open is no error.
    for descriptor in 3..<4096 as Range<Int32> { posix_spawn_file_actions_addclose(&actions, descriptor) }
    var words: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
    defer { words.forEach { free($0) } }
    var process: pid_t = 0
    guard posix_spawnp(&process, arguments.first ?? "", &actions, nil, &words, environ) == 0 else {
      throw Failure(description: "cannot run \(arguments.joined(separator: " "))")
    }
    var status: Int32 = 0
    while waitpid(process, &status, 0) < 0, errno == EINTR {}
    let text = contents(output)
    guard status == 0 else { throw Failure(description: "\(arguments.joined(separator: " ")) failed: \(text)") }
    return text
  }

  private static func contents(_ descriptor: Int32) -> String {
    var bytes: [UInt8] = []
    var page = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = pread(descriptor, &page, page.count, off_t(bytes.count))
      guard count > 0 else { break }
      bytes += page.prefix(count)
    }
    return String(decoding: bytes.last == UInt8(ascii: "\n") ? bytes.dropLast() : bytes[...], as: UTF8.self)
  }

  /// Whether this machine lets a test make loop devices and mount them.
  public static let isAvailable: Bool = {
    guard geteuid() == 0, access("/dev/loop-control", F_OK) == 0 else { return false }
    return ["mkfs.xfs", "mkfs.btrfs", "mkfs.ext4", "losetup", "xfs_io"].allSatisfy { tool in
      (try? run(["sh", "-c", "command -v \(tool)"])) != nil
    }
  }()
}

extension Trait where Self == ConditionTrait {
  /// Needs root, loop devices, xfsprogs and btrfs-progs. Skipped where they are missing; in continuous integration
  /// (CI is set) it runs nevertheless, and fails.
  public static var requiresLoopDevices: Self {
    .enabled("needs root, loop devices, xfsprogs and btrfs-progs") {
      LoopFileSystem.isAvailable || getenv("CI") != nil
    }
  }
}
