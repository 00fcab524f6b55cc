public import APIModel

/// `metadata.name=x,status.phase!=y`: dotted paths compared with texts; commas mean "and".
public struct FieldSelector: Sendable, Hashable {
  public struct Term: Sendable, Hashable {
    public var path: String
    public var value: String
    public var equal: Bool
  }

  public var terms: [Term]

  /// Everything.
  public static let all = FieldSelector(terms: [])

  init(terms: [Term]) { self.terms = terms }

  /// Whether an object satisfies every term; a missing field equals the empty text.
  public func matches(_ object: KubeObject) -> Bool {
    terms.allSatisfy { ((object.json[at: $0.path]?.text ?? "") == $0.value) == $0.equal }
  }

  /// The name all matching objects have, when the selector fixes one.
  public var name: String? { terms.first { $0.path == "metadata.name" && $0.equal }?.value }

  /// Reads the text form of a query parameter; fields other than those of the kind are refused.
  public init(_ text: String, kind: ResourceKind) throws(StatusError) {
    terms = []
    try SelectorLimits.check(text, "fieldSelector")
    for part in Self.split(text, at: ",") where !part.isEmpty {
      let term = try Self.term(part)
      let known =
        term.path == "metadata.name" || term.path == "metadata.namespace" || kind.fieldSelectors.contains(term.path)
      guard known else { throw StatusError(400, "BadRequest", "field label not supported: \(term.path)") }
      terms.append(Term(path: Self.places[term.path] ?? term.path, value: term.value, equal: term.equal))
    }
  }

  /// Fields that are called otherwise in selectors than in objects.
  private static let places = ["source": "source.component", "status.successful": "status.succeeded"]

  private static func term(_ text: String) throws(StatusError) -> Term {
    guard let mark = text.firstIndex(of: "=") else {
      throw StatusError(400, "BadRequest", "invalid selector: '\(text)'; can't understand '\(text)'")
    }
    var path = text[..<mark]
    var value = text[text.index(after: mark)...]
    let equal = path.last != "!"
    if !equal { path = path.dropLast() }
    if equal, value.first == "=" { value = value.dropFirst() }
    return Term(path: String(path), value: unescape(value), equal: equal)
  }

  /// Splits at a character that no backslash precedes; backslashes stay.
  private static func split(_ text: String, at separator: Character) -> [String] {
    var parts = [""]
    var escaped = false
    for character in text {
      if character == separator, !escaped {
        parts.append("")
        continue
      }
      escaped = character == "\\" && !escaped
      parts[parts.count - 1].append(character)
    }
    return parts
  }

  private static func unescape(_ text: Substring) -> String {
    var result = ""
    var escaped = false
    for character in text {
      if character == "\\", !escaped {
        escaped = true
        continue
      }
      result.append(character)
      escaped = false
    }
    return result
  }
}
