import ReplModel

/// The fixed 16 bytes in front of every frame of a control or pairing connection; all integers little endian.
///
/// | bytes | field |
/// |---|---|
/// | 0..1 | magic, 0x5246 (`46 52`) |
/// | 2..3 | type |
/// | 4..5 | flags |
/// | 6..7 | reserved, 0 |
/// | 8..11 | length of the body in bytes |
/// | 12..15 | request id: a reply carries the id of its request, 0 is for frames that want no answer |
public struct ControlFrameHeader: Hashable, Sendable {
  /// Bytes of the header on the wire.
  public static let byteCount = 16
  /// The first two bytes of every frame.
  public static let magic: UInt16 = 0x5246
  /// Largest body of any control frame, in bytes.
  public static let bodyLimit: UInt32 = 4 << 20

  /// Bits of the flags field; all others are zero.
  public struct Flags: OptionSet, Hashable, Sendable {
    public let rawValue: UInt16
    public init(rawValue: UInt16) { self.rawValue = rawValue }
    /// The frame answers a request.
    public static let reply = Flags(rawValue: 1 << 0)
    /// The reply is a refusal and its body an encoded error. Only together with ``reply``.
    public static let error = Flags(rawValue: 1 << 1)
    /// Whoever does not know the type skips the frame instead of closing the connection.
    public static let optional = Flags(rawValue: 1 << 2)
    /// The reply says how far the work is, not what came of it. Only together with ``reply``, never with ``error``.
    public static let underWay = Flags(rawValue: 1 << 3)
    /// Every bit that has a meaning.
    public static let known: Flags = [.reply, .error, .optional, .underWay]

    /// Whether the bits may stand together.
    var isConsistent: Bool {
      subtracting(.known).isEmpty && (contains(.reply) || isDisjoint(with: [.error, .underWay]))
        && !isSuperset(of: [.error, .underWay])
    }
  }

  /// The number of a ``FrameType``, or one that only a newer peer knows.
  public var type: UInt16
  public var flags: Flags
  /// Bytes of body that follow.
  public var length: UInt32
  /// Chosen by the requester, unique among its requests in flight, never 0; repeated in the reply.
  public var requestID: UInt32

  public init(type: UInt16, flags: Flags, length: UInt32, requestID: UInt32) {
    self.type = type
    self.flags = flags
    self.length = length
    self.requestID = requestID
  }

  /// The header's 16 bytes.
  public func encode() -> [UInt8] {
    var writer = ByteWriter()
    writer.write(Self.magic)
    writer.write(type)
    writer.write(flags.rawValue)
    writer.write(UInt16(0))
    writer.write(length)
    writer.write(requestID)
    return writer.bytes
  }

  /// Reads the 16 bytes and checks magic, flags and the limit of the type, so that memory for the body may be taken.
  ///
  /// - Throws: `malformedHeader`, `unknownType` (not known and not optional) or `tooLong`.
  public init(bytes: [UInt8]) throws(WireError) {
    guard bytes.count == Self.byteCount else {
      throw WireError(.malformedHeader, "a header has 16 bytes, found \(bytes.count)")
    }
    do throws(DecodingFailure) {
      var reader = ByteReader(bytes)
      let magic: UInt16 = try reader.read()
      guard magic == Self.magic else { throw reader.failure("magic 0x5246, found \(magic)") }
      type = try reader.read()
      flags = Flags(rawValue: try reader.read())
      let reserved: UInt16 = try reader.read()
      guard reserved == 0 else { throw reader.failure("reserved 0, found \(reserved)") }
      length = try reader.read()
      requestID = try reader.read()
    } catch {
      throw WireError(.malformedHeader, error.description)
    }
    guard flags.isConsistent else {
      throw WireError(.malformedHeader, "flags \(flags.rawValue) have no meaning")
    }
    guard requestID != 0 || type == FrameType.close.rawValue || !flags.isDisjoint(with: [.reply, .optional]) else {
      throw WireError(.malformedHeader, "request id 0")
    }
    guard isKnown || flags.contains(.optional) else {
      throw WireError(.unknownType, "frame type \(type) is not known and not optional")
    }
    let limit = FrameType.bodyLimit(type: type, flags: flags)
    guard length <= limit else {
      throw WireError(.tooLong, "a body of \(length) bytes, frame type \(type) has at most \(limit)")
    }
  }

  /// Whether this version knows the type. A frame that is not known is read to its end and dropped.
  public var isKnown: Bool { FrameType(rawValue: type) != nil }
}
