/// A random 128-bit identity, made once and never reused.
///
/// The tag keeps ids of different things apart at compile time. Text form: 32 lower-case hexadecimal digits;
/// binary form: 16 bytes in the order of the text.
public struct Identifier<Tag>: Hashable, Sendable, Comparable, CustomStringConvertible {
  /// First eight bytes, big endian.
  public let high: UInt64
  /// Last eight bytes, big endian.
  public let low: UInt64

  public init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }

  /// A fresh random identity from `generator`; pass a seeded one in tests.
  public static func random(using generator: inout some RandomNumberGenerator) -> Self {
    Self(high: generator.next(), low: generator.next())
  }

  /// A fresh random identity from the system's generator.
  public static func random() -> Self {
    var generator = SystemRandomNumberGenerator()
    return random(using: &generator)
  }

  /// Parses the text form; nil for anything but 32 hexadecimal digits.
  public init?(_ text: some StringProtocol) {
    let digits = Array(text.utf8)
    guard digits.count == 32 else { return nil }
    var parts: (UInt64, UInt64) = (0, 0)
    for (position, digit) in digits.enumerated() {
      guard let value = Character(UnicodeScalar(digit)).hexDigitValue else { return nil }
      if position < 16 { parts.0 = parts.0 << 4 | UInt64(value) } else { parts.1 = parts.1 << 4 | UInt64(value) }
    }
    self.init(high: parts.0, low: parts.1)
  }

  /// Parses the binary form; nil unless exactly 16 bytes are given.
  public init?(bytes: some Collection<UInt8>) {
    guard bytes.count == 16 else { return nil }
    var parts: (UInt64, UInt64) = (0, 0)
    for (position, byte) in bytes.enumerated() {
      if position < 8 { parts.0 = parts.0 << 8 | UInt64(byte) } else { parts.1 = parts.1 << 8 | UInt64(byte) }
    }
    self.init(high: parts.0, low: parts.1)
  }

  /// The 16 bytes of the binary form.
  public var bytes: [UInt8] {
    [high, low].flatMap { part in (0..<8).map { UInt8(truncatingIfNeeded: part >> (56 - 8 * $0)) } }
  }

  public var description: String { Self.hex(high) + Self.hex(low) }

  public static func < (left: Self, right: Self) -> Bool {
    (left.high, left.low) < (right.high, right.low)
  }

  private static func hex(_ part: UInt64) -> String {
    let digits = String(part, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }
}

extension Identifier: Codable {
  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    let text = try container.decode(String.self)
    guard let value = Self(text) else {
      throw DecodingError.dataCorruptedError(
        in: container, debugDescription: "'\(text)' is not an id of 32 hexadecimal digits")
    }
    self = value
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(description)
  }
}

public enum VolumeTag {}
public enum PointTag {}
public enum LineageTag {}
public enum BranchTag {}
public enum GroupTag {}
public enum SessionTag {}
public enum PoolTag {}
public enum ExchangeTag {}
public enum FindingTag {}

/// A volume on the node that owns it. A volume re-created under an old name has a new one.
public typealias VolumeID = Identifier<VolumeTag>
/// A snapshot and the recovery point made from it: the twins carry one id.
public typealias PointID = Identifier<PointTag>
/// A line of history and the fingerprint key that belongs to it.
public typealias LineageID = Identifier<LineageTag>
/// Who may replicate onto whom: one unbroken authority.
public typealias BranchID = Identifier<BranchTag>
/// The volumes of one Migration held by one agent, sealed together.
public typealias GroupID = Identifier<GroupTag>
/// One attempt to ship one volume from base to snapshot.
public typealias SessionID = Identifier<SessionTag>
/// A directory in which an agent keeps volumes, points and staging files.
public typealias PoolID = Identifier<PoolTag>
/// One document of a control plane and its answer.
public typealias ExchangeID = Identifier<ExchangeTag>
/// Something found wrong with images of a volume, kept beside them until it is settled.
public typealias FindingID = Identifier<FindingTag>
