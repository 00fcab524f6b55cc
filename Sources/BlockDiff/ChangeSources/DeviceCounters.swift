import ReplModel

/// What the kernel has counted of writes to a block device.
struct DeviceCounters: Hashable {
  /// Sectors written, sectors discarded. Not the count of requests: a flush, such as our own, is one of them.
  private let counts: [UInt64]

  init(_ device: DeviceNumber, subject: String) throws(ReplError) {
    let path = "/sys/dev/block/\(device.name)/stat"
    let fields = (SystemFile.line(path) ?? "").split(separator: " ").compactMap { UInt64($0) }
    guard fields.count >= 8 else {
      throw ReplError(.io, subject: subject, cause: "the write counters in \(path) cannot be read")
    }
    counts = [fields[6]] + (fields.count > 13 ? [fields[13]] : [])
  }
}
