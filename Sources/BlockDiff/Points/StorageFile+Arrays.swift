import ReplModel

extension StorageFile {
  /// Reads up to `count` bytes into a fresh array; fewer only at the end of the file. For small things, not for data.
  func readArray(_ count: Int, at offset: UInt64) throws(ReplError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    let done = try bytes.withUnsafeMutableBufferPointer { (buffer) throws(ReplError) in
      try read(into: UnsafeMutableRawBufferPointer(buffer), at: offset)
    }
    if done < count { bytes.removeLast(count - done) }
    return bytes
  }

  /// Writes all of an array. For small things, not for data.
  func writeArray(_ bytes: [UInt8], at offset: UInt64) throws(ReplError) {
    try bytes.withUnsafeBufferPointer { (buffer) throws(ReplError) in
      try write(UnsafeRawBufferPointer(buffer), at: offset)
    }
  }
}
