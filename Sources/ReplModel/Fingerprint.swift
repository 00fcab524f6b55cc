/// A sum of block hashes modulo 2^128: the algebra only, no hashing. Equal contents of equal size have equal sums.
///
/// Design section 6: F = Σ H(i) over the 4 KiB blocks of a volume, where H of a block of zeros is 0.
public struct Fingerprint: Hashable, Sendable, CustomStringConvertible {
  public var low: UInt64
  public var high: UInt64

  public init(low: UInt64 = 0, high: UInt64 = 0) {
    self.low = low
    self.high = high
  }

  /// The sum of a volume that holds nothing but zeros.
  public static let zero = Fingerprint()

  public static func + (left: Self, right: Self) -> Self {
    let (low, carry) = left.low.addingReportingOverflow(right.low)
    return Self(low: low, high: left.high &+ right.high &+ (carry ? 1 : 0))
  }

  public static func - (left: Self, right: Self) -> Self {
    let (low, borrow) = left.low.subtractingReportingOverflow(right.low)
    return Self(low: low, high: left.high &- right.high &- (borrow ? 1 : 0))
  }

  public static func += (left: inout Self, right: Self) { left = left + right }
  public static func -= (left: inout Self, right: Self) { left = left - right }

  /// 32 hexadecimal digits, most significant first.
  public var description: String { Identifier<Never>(high: high, low: low).description }

  /// Parses the 32 digits of ``description``.
  public init?(_ text: some StringProtocol) {
    guard let value = Identifier<Never>(text) else { return nil }
    self.init(low: value.low, high: value.high)
  }
}

/// The 192 random bytes that key a lineage's fingerprints. Never logged, never part of a description.
public struct FingerprintKey: Hashable, Sendable {
  public static let byteCount = 192
  /// Exactly ``byteCount`` bytes.
  public let bytes: [UInt8]

  public init?(bytes: [UInt8]) {
    guard bytes.count == Self.byteCount else { return nil }
    self.bytes = bytes
  }

  public static func random(using generator: inout some RandomNumberGenerator) -> Self {
    var bytes: [UInt8] = []
    while bytes.count < byteCount {
      let word: UInt64 = generator.next()
      withUnsafeBytes(of: word.littleEndian) { bytes.append(contentsOf: $0) }
    }
    return FingerprintKey(unchecked: bytes)
  }

  private init(unchecked bytes: [UInt8]) { self.bytes = bytes }
}
