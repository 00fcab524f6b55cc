import Foundation

/// Reads the Prometheus text format strictly: a line that is not exactly of the format is an error, and so is a family
/// that is torn apart, a figure without a type, or the same figure twice. Written from the format's description, apart
/// from the writer it judges.
public struct ExpositionPage: Sendable {
  public struct Sample: Hashable, Sendable {
    public var name: String
    public var labels: [String: String]
    public var value: Double
  }

  public struct Problem: Error, CustomStringConvertible {
    public var line: Int
    public var text: String
    public var description: String { "line \(line): \(text)" }
  }

  public private(set) var samples: [Sample] = []
  /// Type by family.
  public private(set) var types: [String: String] = [:]
  public private(set) var helps: [String: String] = [:]

  public init(_ text: String) throws {
    guard text.isEmpty || text.hasSuffix("\n") else { throw Problem(line: 0, text: "the last line has no end") }
    var current = ""
    var seen: Set<Sample> = []
    for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).dropLast().enumerated() {
      do {
        if line.hasPrefix("#") {
          current = try readComment(String(line), current)
        } else {
          var reader = LineReader(line)
          var sample = try reader.sample()
          guard ["", "_sum", "_count"].contains(where: { sample.name == current + $0 }) else {
            throw Problem(line: 0, text: "\(sample.name) stands below \(current)")
          }
          try check(sample, current)
          samples.append(sample)
          sample.value = 0
          guard seen.insert(sample).inserted else { throw Problem(line: 0, text: "\(sample.name) is there twice") }
        }
      } catch let problem as Problem {
        throw Problem(line: index + 1, text: "\(problem.text): \(line)")
      }
    }
  }

  private mutating func readComment(_ line: String, _ current: String) throws -> String {
    let parts = line.split(separator: " ", maxSplits: 3, omittingEmptySubsequences: false).map(String.init)
    guard parts.count == 4, parts[0] == "#", LineReader.isName(parts[2]) else {
      throw Problem(line: 0, text: "neither HELP nor TYPE")
    }
    let name = parts[2]
    switch parts[1] {
    case "HELP":
      guard helps.updateValue(parts[3], forKey: name) == nil, types[name] == nil else {
        throw Problem(line: 0, text: "a second HELP, or one after TYPE")
      }
    case "TYPE":
      guard ["counter", "gauge", "summary"].contains(parts[3]), helps[name] != nil,
        types.updateValue(parts[3], forKey: name) == nil
      else { throw Problem(line: 0, text: "a second or unknown TYPE, or one without HELP") }
    default: throw Problem(line: 0, text: "neither HELP nor TYPE")
    }
    return name
  }

  private func check(_ sample: Sample, _ family: String) throws {
    guard let type = types[family] else { throw Problem(line: 0, text: "no TYPE before the figure") }
    let isSuffixed = sample.name != family
    guard isSuffixed == (type == "summary") else { throw Problem(line: 0, text: "a name that is none of a \(type)") }
    guard type != "counter" || (family.hasSuffix("_total") && sample.value >= 0) else {
      throw Problem(line: 0, text: "a counter without _total or below zero")
    }
  }

  /// Figures of a name whose labels include these.
  public func samples(_ name: String, _ labels: [String: String] = [:]) -> [Sample] {
    samples.filter { sample in
      sample.name == name && labels.allSatisfy { sample.labels[$0.key] ?? "" == $0.value }
    }
  }

  /// The one figure of a name with these labels; nil if there is none or there are several.
  public func value(_ name: String, _ labels: [String: String] = [:]) -> Double? {
    let found = samples(name, labels)
    return found.count == 1 ? found[0].value : nil
  }
}

/// One line `name{label="value",...} number`.
private struct LineReader {
  private var rest: Substring.UnicodeScalarView

  init(_ line: Substring) { rest = line.unicodeScalars }

  static func isName(_ text: String) -> Bool {
    text.range(of: "^[a-zA-Z_:][a-zA-Z0-9_:]*$", options: .regularExpression) != nil
  }

  mutating func sample() throws -> ExpositionPage.Sample {
    let name = take { $0 != "{" && $0 != " " }
    guard Self.isName(name) else { throw problem("no metric name") }
    var labels: [String: String] = [:]
    if rest.first == "{" {
      rest.removeFirst()
      repeat {
        let (label, value) = try self.label()
        guard labels.updateValue(value, forKey: label) == nil else { throw problem("label \(label) twice") }
      } while try separator()
    }
    guard rest.first == " " else { throw problem("no blank before the value") }
    rest.removeFirst()
    let text = String(rest)
    let special: [String: Double] = ["NaN": .nan, "+Inf": .infinity, "-Inf": -.infinity]
    guard let value = special[text] ?? number(text) else { throw problem("no value") }
    return ExpositionPage.Sample(name: name, labels: labels, value: value)
  }

  private mutating func label() throws -> (String, String) {
    let name = take { $0 != "=" }
    guard name.range(of: "^[a-zA-Z_][a-zA-Z0-9_]*$", options: .regularExpression) != nil,
      rest.starts(with: "=\"".unicodeScalars)
    else { throw problem("no label") }
    rest.removeFirst(2)
    var value = String.UnicodeScalarView()
    while let scalar = rest.popFirst() {
      if scalar == "\"" { return (name, String(value)) }
      guard scalar == "\\" else {
        value.append(scalar)
        continue
      }
      switch rest.popFirst() {
      case "\\": value.append("\\")
      case "\"": value.append("\"")
      case "n": value.append("\n")
      default: throw problem("an unknown escape")
      }
    }
    throw problem("a value without an end")
  }

  /// Whether another label follows.
  private mutating func separator() throws -> Bool {
    switch rest.popFirst() {
    case ",": return true
    case "}": return false
    default: throw problem("neither a comma nor the end of the labels")
    }
  }

  private func number(_ text: String) -> Double? {
    text.range(of: "^-?[0-9]+(\\.[0-9]+)?(e[-+]?[0-9]+)?$", options: .regularExpression) == nil ? nil : Double(text)
  }

  private mutating func take(while isWanted: (Unicode.Scalar) -> Bool) -> String {
    let taken = rest.prefix(while: isWanted)
    rest.removeFirst(taken.count)
    return String(taken)
  }

  private func problem(_ text: String) -> ExpositionPage.Problem { ExpositionPage.Problem(line: 0, text: text) }
}
