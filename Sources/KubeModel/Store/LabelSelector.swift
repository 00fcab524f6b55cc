public import APIModel

/// `a=b`, `a!=b`, `a in (x,y)`, `a notin (x,y)`, `a`, `!a`, joined by commas that mean "and".
public struct LabelSelector: Sendable, Hashable {
  public enum Requirement: Sendable, Hashable {
    case among(String, Set<String>)
    /// True when the label is absent.
    case notAmong(String, Set<String>)
    case exists(String)
    case absent(String)
    case greater(String, Int64)
    case less(String, Int64)
  }

  public var requirements: [Requirement]

  /// Everything.
  public static let all = LabelSelector(requirements: [])

  /// All pairs must match.
  public static func matching(_ labels: [String: String]) -> LabelSelector {
    LabelSelector(requirements: labels.sorted { $0.key < $1.key }.map { .among($0.key, [$0.value]) })
  }

  init(requirements: [Requirement]) { self.requirements = requirements }

  /// Whether labels satisfy every requirement.
  public func matches(_ labels: [String: String]) -> Bool {
    requirements.allSatisfy { requirement in
      switch requirement {
      case .among(let key, let values): labels[key].map(values.contains) ?? false
      case .notAmong(let key, let values): !(labels[key].map(values.contains) ?? false)
      case .exists(let key): labels[key] != nil
      case .absent(let key): labels[key] == nil
      case .greater(let key, let bound): labels[key].flatMap { Int64($0) }.map { $0 > bound } ?? false
      case .less(let key, let bound): labels[key].flatMap { Int64($0) }.map { $0 < bound } ?? false
      }
    }
  }

  /// Reads the text form of a query parameter.
  public init(_ text: String) throws(StatusError) {
    requirements = []
    try SelectorLimits.check(text, "labelSelector")
    for part in Self.split(text) {
      requirements.append(try Self.requirement(part))
    }
  }

  /// Splits at commas outside parentheses.
  private static func split(_ text: String) -> [String] {
    var parts: [String] = []
    var current = ""
    var depth = 0
    for character in text {
      switch character {
      case "(": depth += 1
      case ")": depth -= 1
      default: break
      }
      if character == ",", depth == 0 {
        parts.append(current)
        current = ""
      } else {
        current.append(character)
      }
    }
    parts.append(current)
    return parts.map(trim).filter { !$0.isEmpty }
  }

  private static func requirement(_ text: String) throws(StatusError) -> Requirement {
    if let open = text.firstIndex(of: "("), text.hasSuffix(")") {
      let words = text[..<open].split(separator: " ")
      let values = text[text.index(after: open)...].dropLast().split(separator: ",").map { trim(String($0)) }
      if words.count == 2, !values.isEmpty {
        if words[1] == "in" { return .among(try key(String(words[0])), Set(values)) }
        if words[1] == "notin" { return .notAmong(try key(String(words[0])), Set(values)) }
      }
      throw unparsable(text)
    }
    for mark in ["!=", "==", "=", ">", "<"] {
      guard let range = text.firstRange(of: mark) else { continue }
      let name = try key(trim(String(text[..<range.lowerBound])))
      let value = trim(String(text[range.upperBound...]))
      switch mark {
      case "!=": return .notAmong(name, [value])
      case "=", "==": return .among(name, [value])
      default:
        guard let bound = Int64(value) else { throw unparsable(text) }
        return mark == ">" ? .greater(name, bound) : .less(name, bound)
      }
    }
    if text.hasPrefix("!") { return .absent(try key(trim(String(text.dropFirst())))) }
    return .exists(try key(text))
  }

  private static func key(_ text: String) throws(StatusError) -> String {
    let allowed = text.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "-_./".contains($0)) }
    guard !text.isEmpty, allowed else { throw unparsable(text) }
    return text
  }

  private static func unparsable(_ text: String) -> StatusError {
    StatusError(
      400, "BadRequest",
      "unable to parse requirement: found '\(text)', expected: in, notin, =, ==, !=, gt, lt")
  }

  private static func trim(_ text: String) -> String {
    String(text.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
  }
}

/// What selectors may be: each object of a list is held against all of it.
enum SelectorLimits {
  private static let bytes = 16 << 10
  private static let terms = 256

  static func check(_ text: String, _ name: String) throws(StatusError) {
    guard text.utf8.count > bytes || text.utf8.count(where: { $0 == UInt8(ascii: ",") }) >= terms else { return }
    throw StatusError(
      400, "BadRequest",
      "\(name): Too long: may not be more than \(bytes) bytes, nor have more than \(terms) values and terms")
  }
}
