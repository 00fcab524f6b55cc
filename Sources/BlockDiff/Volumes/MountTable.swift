import Glibc

/// Mounts of all mount namespaces, from /proc.
enum MountTable {
  /// Every mount of a file system that lies on one of `devices`.
  static func mounts(of devices: Set<DeviceNumber>) -> [VolumeHolder] {
    guard !devices.isEmpty else { return [] }
    let names = Set(devices.compactMap(deviceName))
    var seen: Set<String> = []
    var found: Set<VolumeHolder> = []
    for process in SystemFile.list("/proc").compactMap({ Int32($0) }) {
      guard let namespace = SystemFile.link("/proc/\(process)/ns/mnt"), seen.insert(namespace).inserted else {
        continue
      }
      guard let table = try? SystemFile.text("/proc/\(process)/mountinfo") else {
        // The process ended: another of its namespace may stand for it.
        seen.remove(namespace)
        continue
      }
      for line in table.split(separator: "\n") {
        if let holder = holder(line, devices, names) { found.insert(holder) }
      }
    }
    return found.sorted { $0.description < $1.description }
  }

  /// id parent major:minor root point options … - type source options
  private static func holder(
    _ line: Substring, _ devices: Set<DeviceNumber>, _ names: Set<String>
  ) -> VolumeHolder? {
    let fields = line.split(separator: " ")
    guard fields.count >= 10, let dash = fields.firstIndex(of: "-"), dash + 3 < fields.count else { return nil }
    let source = String(fields[dash + 2])
    // btrfs shows a device number of its own; there only the source tells.
    guard DeviceNumber(fields[2]).map(devices.contains) == true || names.contains(source) else { return nil }
    let isReadOnly = fields[dash + 3].split(separator: ",").contains("ro")
    return VolumeHolder(.mount(point: unescaped(fields[4]), device: source), canWrite: !isReadOnly)
  }

  /// What the file system that holds a path is mounted from, in this process's view; nil where that cannot be told.
  static func device(of path: String) -> String? {
    guard let resolved = realpath(path, nil) else { return nil }
    defer { free(resolved) }
    let real = String(cString: resolved)
    guard let table = try? SystemFile.text("/proc/self/mountinfo") else { return nil }
    var found: (point: String, source: String)?
    for line in table.split(separator: "\n") {
      let fields = line.split(separator: " ")
      guard fields.count >= 10, let dash = fields.firstIndex(of: "-"), dash + 2 < fields.count else { continue }
      let point = unescaped(fields[4])
      guard real == point || point == "/" || real.hasPrefix(point + "/") else { continue }
      // Of two mounts at one point the later one is seen.
      if point.utf8.count >= found?.point.utf8.count ?? 0 { found = (point, unescaped(fields[dash + 2])) }
    }
    return found?.source
  }

  private static func deviceName(_ device: DeviceNumber) -> String? {
    guard let text = try? SystemFile.text("/sys/dev/block/\(device.name)/uevent") else { return nil }
    let prefix = "DEVNAME="
    return text.split(separator: "\n").first { $0.hasPrefix(prefix) }.map { "/dev/" + $0.dropFirst(prefix.count) }
  }

  /// Spaces and such are written as octal escapes.
  static func unescaped(_ text: Substring) -> String {
    var bytes: [UInt8] = []
    var rest = text.utf8[...]
    while let first = rest.popFirst() {
      if first == UInt8(ascii: "\\"), rest.count >= 3,
        let value = UInt8(String(decoding: rest.prefix(3), as: UTF8.self), radix: 8)
      {
        bytes.append(value)
        rest = rest.dropFirst(3)
      } else {
        bytes.append(first)
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}
