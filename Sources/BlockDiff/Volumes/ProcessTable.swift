import Glibc
import ReplModel

/// Open files and mappings of all processes, from /proc.
enum ProcessTable {
  /// Holders, and the processes that the kernel did not let us look into.
  static func holders(of wanted: HeldFile) -> (holders: [VolumeHolder], unseen: [Int32]) {
    var holders: [VolumeHolder] = []
    var unseen: [Int32] = []
    for process in SystemFile.list("/proc").compactMap({ Int32($0) }) {
      do throws(ReplError) {
        if try hasOpen(wanted, process) {
          holders.append(VolumeHolder(.open(process: process, command: command(process))))
        } else if try hasMapped(wanted, process) {
          holders.append(VolumeHolder(.mapping(process: process, command: command(process))))
        }
      } catch {
        // Only refusals get here; a process that ended in between is none of ours.
        unseen.append(process)
      }
    }
    return (holders, unseen)
  }

  private static func command(_ process: Int32) -> String { SystemFile.line("/proc/\(process)/comm") ?? "ended" }

  private static func hasOpen(_ wanted: HeldFile, _ process: Int32) throws(ReplError) -> Bool {
    let folder = "/proc/\(process)/fd"
    for name in try namesUnlessGone(folder) {
      let link = "\(folder)/\(name)"
      // The link's mode tells how the file was opened; looking only at writable ones keeps this from asking remote
      // file systems about files that do not matter.
      guard isWritable(link: link) == true else { continue }
      var info = stat()
      if stat(link, &info) == 0, wanted.matches(info) { return true }
    }
    return false
  }

  private static func hasMapped(_ wanted: HeldFile, _ process: Int32) throws(ReplError) -> Bool {
    for line in try mapsUnlessGone(process).split(separator: "\n") {
      // address permissions offset device inode path
      let fields = line.split(separator: " ", maxSplits: 5, omittingEmptySubsequences: true)
      guard fields.count >= 5, fields[1].hasSuffix("s"), fields[4] != "0" else { continue }
      if case .file(_, let inode) = wanted.identity, wanted.devices.isEmpty, UInt64(fields[4]) != inode { continue }
      // The device in this line is not what stat says on btrfs, so the mapped file itself is asked.
      guard let link = mapLink(process, fields[0]) else { continue }
      guard isWritable(link: link) ?? fields[1].contains("w") else { continue }
      var info = stat()
      if stat(link, &info) == 0, wanted.matches(info) { return true }
    }
    return false
  }

  /// Names in map_files have no leading zeros, those in maps may have.
  private static func mapLink(_ process: Int32, _ range: Substring) -> String? {
    let ends = range.split(separator: "-").compactMap { UInt64($0, radix: 16) }
    guard ends.count == 2 else { return nil }
    return "/proc/\(process)/map_files/\(String(ends[0], radix: 16))-\(String(ends[1], radix: 16))"
  }

  /// Whether the file behind a link of /proc was opened for writing; nil if it cannot be told.
  private static func isWritable(link: String) -> Bool? {
    var info = stat()
    guard lstat(link, &info) == 0 else { return nil }
    return info.st_mode & S_IWUSR != 0
  }

  private static func namesUnlessGone(_ folder: String) throws(ReplError) -> [String] {
    do throws(ReplError) {
      return try LinuxStorage().list(folder)
    } catch {
      return try unlessGone(error, [])
    }
  }

  private static func mapsUnlessGone(_ process: Int32) throws(ReplError) -> String {
    do throws(ReplError) {
      return try SystemFile.text("/proc/\(process)/maps")
    } catch {
      return try unlessGone(error, "")
    }
  }

  /// Refusals are errors, everything else means that the process has ended.
  private static func unlessGone<Value>(_ error: ReplError, _ nothing: Value) throws(ReplError) -> Value {
    if error.kind == .refused { throw error }
    return nothing
  }
}
