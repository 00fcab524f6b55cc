public import ReplModel

/// The frame around everything small that the agent writes for itself: magic, version, length, payload, checksum.
/// docs/on-disk-format.md draws it.
public struct Envelope: Sendable {
  /// Eight ASCII characters that name the kind of file.
  public let magic: String
  /// The version this program writes and reads.
  public let version: UInt32
  /// What a message calls such a file, such as `seal`.
  public let what: String

  /// Bytes around the payload.
  public static let overhead = 24

  public init(magic: String, version: UInt32, what: String) {
    precondition(magic.utf8.count == 8)
    self.magic = magic
    self.version = version
    self.what = what
  }

  public func encode(_ payload: [UInt8]) -> [UInt8] {
    var writer = ByteWriter()
    writer.writeRaw(magic.utf8)
    writer.write(version)
    writer.write(UInt32(payload.count))
    writer.writeRaw(payload)
    writer.write(checksum(of: writer.bytes))
    return writer.bytes
  }

  /// Decodes the frame at the start of `bytes`, which may be longer, and all of its payload with `body`.
  ///
  /// Another version is refused by name; anything else that is not as written is `damaged`.
  public func decode<Value>(
    _ bytes: [UInt8], path: String, _ body: (inout ByteReader) throws(DecodingFailure) -> Value
  ) throws(ReplError) -> Value {
    let found: UInt32
    do throws(DecodingFailure) {
      var reader = ByteReader(bytes)
      guard try reader.readRaw(8).elementsEqual(magic.utf8) else { throw reader.failure("'\(magic)'") }
      found = try reader.read()
    } catch {
      throw damaged(path, error)
    }
    // Before the checksum: another version may check in another way.
    guard found == version else { throw refused(version: found, path) }
    do throws(DecodingFailure) {
      var payload = ByteReader(try checkedPayload(bytes))
      let value = try body(&payload)
      try payload.finish()
      return value
    } catch {
      throw damaged(path, error)
    }
  }

  private func checkedPayload(_ bytes: [UInt8]) throws(DecodingFailure) -> ArraySlice<UInt8> {
    var reader = ByteReader(bytes[12...])
    let count: UInt32 = try reader.read()
    let payload = try reader.readRaw(Int(count), "payload")
    let stored: UInt64 = try reader.read()
    guard stored == checksum(of: Array(bytes.prefix(16 + Int(count)))) else { throw reader.failure("its checksum") }
    return payload
  }

  private func damaged(_ path: String, _ failure: DecodingFailure) -> ReplError {
    ReplError(.damaged, subject: path, cause: "is not a whole \(what): \(failure)")
  }

  private func refused(version found: UInt32, _ path: String) -> ReplError {
    let newer = found > version
    return ReplError(
      .refused, subject: path,
      cause: "is a \(what) of format version \(found), this program knows version \(version)",
      remedy: newer ? "install the version of repl-agent that wrote it, or a newer one" : nil)
  }
}
