import ReplModel

/// Turns image and segment table into an immutable point and writes its seal: the same steps for sealing and repair.
struct PointFinisher {
  let paths: PointPaths
  let storage: any Storage

  /// Makes the files immutable and durable and returns the image's stamp, taken last.
  ///
  /// - Throws: `refused` while any descriptor of the image is open for writing: it would write on into the point.
  func freeze() throws(ReplError) -> ImageStamp {
    try synchronize(paths.segments)
    try storage.setImmutable(paths.segments, true)
    try storage.setImmutable(paths.image, true)
    // The stamp has the time of the change of mode and flags in it: that must be durable before it is written down.
    let image = try storage.open(paths.image, .read)
    do throws(ReplError) {
      try image.requireNoWriter()
      try image.synchronize()
      let stamp = ImageStamp(try image.stamp())
      try image.close()
      return stamp
    } catch {
      try? image.close()
      throw error
    }
  }

  /// Writes the seal file, durably; everything it vouches for is durable before.
  func writeSeal(_ record: PointRecord) throws(ReplError) {
    try storage.writeFileDurably(paths.seal, record.encoded)
    try storage.setImmutable(paths.seal, true)
  }

  private func synchronize(_ path: String) throws(ReplError) {
    let file = try storage.open(path, .read)
    do throws(ReplError) {
      try file.synchronize()
    } catch {
      try? file.close()
      throw error
    }
    try file.close()
  }
}
