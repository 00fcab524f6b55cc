/// The Prometheus text format, version 0.0.4. Pure.
///
/// A page that Prometheus cannot read is lost whole. So what would spoil it (a name that is none, the same figure twice)
/// is left out, and the rest stays.
public struct ExpositionText: Sendable {
  public static let contentType = "text/plain; version=0.0.4; charset=utf-8"

  private var text = ""
  private var seenFamilies: Set<String> = []

  public init() {}

  /// All families as one text; of two with the same name the first counts.
  public static func render(_ families: [MetricFamily]) -> String {
    var text = ExpositionText()
    for family in families { text.write(family) }
    return text.text
  }

  private mutating func write(_ family: MetricFamily) {
    let definition = family.definition
    guard Self.isMetricName(definition.name), seenFamilies.insert(definition.name).inserted else { return }
    text += "# HELP \(definition.name) \(Self.escapedHelp(definition.help))\n"
    text += "# TYPE \(definition.name) \(definition.kind.rawValue)\n"
    var seen: Set<String> = []
    for sample in family.samples {
      guard let series = Self.series(definition.name, sample), seen.insert(series.key).inserted else { continue }
      text += "\(series.text) \(Self.number(sample.value))\n"
    }
  }

  /// A figure's name with its labels, and the same with the labels sorted; nil if a label has no proper name.
  private static func series(_ name: String, _ sample: MetricSample) -> (text: String, key: String)? {
    let metric = name + sample.suffix
    let names = sample.labels.map(\.name)
    guard names.allSatisfy(isLabelName), Set(names).count == names.count else { return nil }
    // An empty value is the same as no label.
    let labels = sample.labels.filter { !$0.value.isEmpty }.map { "\($0.name)=\"\(escapedValue($0.value))\"" }
    guard !labels.isEmpty else { return (metric, metric) }
    return (
      "\(metric){\(labels.joined(separator: ","))}", "\(metric){\(labels.sorted().joined(separator: ","))}"
    )
  }

  /// `[a-zA-Z_:][a-zA-Z0-9_:]*`
  static func isMetricName(_ name: String) -> Bool {
    isName(name) { $0 == UInt8(ascii: ":") }
  }

  /// `[a-zA-Z_][a-zA-Z0-9_]*`, and not beginning with two underscores, which are Prometheus' own.
  static func isLabelName(_ name: String) -> Bool {
    isName(name) { _ in false } && !name.hasPrefix("__")
  }

  private static func isName(_ name: String, _ isAllowed: (UInt8) -> Bool) -> Bool {
    guard let first = name.utf8.first, !(48...57).contains(first) else { return false }
    return name.utf8.allSatisfy { byte in
      (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte) || byte == UInt8(ascii: "_")
        || isAllowed(byte)
    }
  }

  // By unicode scalars: CR LF is one character, and of it the LF must be seen.
  private static func escapedHelp(_ text: String) -> String {
    var escaped = String.UnicodeScalarView()
    for scalar in text.unicodeScalars { append(scalar, quoted: false, to: &escaped) }
    return String(escaped)
  }

  private static func escapedValue(_ text: String) -> String {
    var escaped = String.UnicodeScalarView()
    for scalar in text.unicodeScalars { append(scalar, quoted: true, to: &escaped) }
    return String(escaped)
  }

  private static func append(_ scalar: Unicode.Scalar, quoted: Bool, to text: inout String.UnicodeScalarView) {
    switch scalar {
    case "\\": text.append(contentsOf: "\\\\".unicodeScalars)
    case "\n": text.append(contentsOf: "\\n".unicodeScalars)
    case "\"" where quoted: text.append(contentsOf: "\\\"".unicodeScalars)
    default: text.append(scalar)
    }
  }

  /// As Go reads it: whole numbers without a point, `NaN`, `+Inf`, `-Inf`.
  static func number(_ value: Double) -> String {
    if value.isNaN { return "NaN" }
    if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
    if value.rounded() == value, abs(value) < 9_007_199_254_740_992 { return String(Int64(value)) }
    return String(value)
  }
}
