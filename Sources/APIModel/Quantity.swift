/// Sizes as Kubernetes writes them: `4Gi`, `500M`, `1024`.
public enum Quantity {
  private static let units: [(suffix: String, factor: UInt64)] = [
    ("Ki", 1 << 10), ("Mi", 1 << 20), ("Gi", 1 << 30), ("Ti", 1 << 40), ("Pi", 1 << 50), ("Ei", 1 << 60),
    ("k", 1_000), ("K", 1_000), ("M", 1_000_000), ("G", 1_000_000_000), ("T", 1_000_000_000_000),
    ("P", 1_000_000_000_000_000), ("E", 1_000_000_000_000_000_000),
  ]

  /// Whether typed clients of Kubernetes can read a text as a quantity, of whatever: `4Gi`, `500m`, `1e3`.
  public static func isWellFormed(_ text: String) -> Bool {
    var rest = Array(text.utf8)[...]
    func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }
    func isSign(_ byte: UInt8?) -> Bool { byte == 0x2B || byte == 0x2D }
    if isSign(rest.first) { rest.removeFirst() }
    let number = rest.prefix { isDigit($0) || $0 == 0x2E }
    guard number.contains(where: isDigit), number.count(where: { $0 == 0x2E }) <= 1 else { return false }
    rest = rest.dropFirst(number.count)
    let suffix = String(decoding: rest, as: UTF8.self)
    if suffixes.contains(suffix) { return true }
    guard let first = rest.popFirst(), first == 0x65 || first == 0x45 else { return false }
    if isSign(rest.first) { rest.removeFirst() }
    return !rest.isEmpty && rest.count <= 9 && rest.allSatisfy(isDigit)
  }

  private static let suffixes: Set<String> = [
    "", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei",
  ]

  /// Bytes of a quantity; nil for anything that is not a whole number of bytes within 64 bits.
  public static func bytes(_ text: String) -> UInt64? {
    let unit = units.first { text.hasSuffix($0.suffix) }
    let digits = text.dropLast(unit?.suffix.count ?? 0)
    let factor = unit?.factor ?? 1
    guard !digits.isEmpty, digits.allSatisfy({ $0.isASCII && ($0.isNumber || $0 == ".") }) else { return nil }
    if let whole = UInt64(digits) {
      let (product, overflow) = whole.multipliedReportingOverflow(by: factor)
      return overflow ? nil : product
    }
    let parts = digits.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count == 2, unit != nil, let whole = UInt64(parts[0]), let part = UInt64(parts[1]) else { return nil }
    guard parts[1].count <= 6, whole < UInt64.max / factor else { return nil }
    let scale = (0..<parts[1].count).reduce(UInt64(1)) { power, _ in power * 10 }
    // Divided before multiplied for the whole units of the fraction, so that 64 bits are enough.
    let fraction = factor / scale * part + factor % scale * part / scale
    return (whole * factor).addingReportingOverflow(fraction).overflow ? nil : whole * factor + fraction
  }

  /// The shortest exact text: `4Gi`, `1500Mi`, or plain bytes.
  public static func text(_ bytes: UInt64) -> String {
    guard bytes > 0 else { return "0" }
    for unit in units.prefix(6).reversed() where bytes % unit.factor == 0 {
      return "\(bytes / unit.factor)\(unit.suffix)"
    }
    return String(bytes)
  }

  /// A rounded size for people: `1.5 GiB`.
  public static func rounded(_ bytes: UInt64) -> String {
    guard bytes >= 1024 else { return "\(bytes) B" }
    let names = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
    var value = Double(bytes) / 1024
    var index = 0
    while value >= 1024, index < names.count - 1 {
      value /= 1024
      index += 1
    }
    let tenths = (value * 10).rounded() / 10
    return tenths >= 100 ? "\(Int(tenths.rounded())) \(names[index])" : "\(tenths) \(names[index])"
  }
}
