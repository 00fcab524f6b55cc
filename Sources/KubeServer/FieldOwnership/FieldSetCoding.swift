import APIModel
import KubeModel

// The form `FieldsV1`: a tree of JSON objects whose keys are path elements, `f:name`, `k:{"name":"web"}`, `v:"text"`,
// `i:0`; `.` says that an object is a member itself, and so does an object without keys.
extension PathElement {
  /// The element as a key of `FieldsV1`.
  var text: String {
    switch self {
    case .field(let name): "f:" + name
    case .key(let fields): "k:" + JSONValue.object(fields).compactText
    case .value(let value): "v:" + value.compactText
    case .index(let index): "i:\(index)"
    }
  }

  /// Why a text is no path element.
  enum Problem: Error {
    /// Of a kind that is not known here: to be skipped.
    case unknown
    case malformed
  }

  /// Reads a key of `FieldsV1`.
  init(text: String) throws(Problem) {
    let rest = String(text.dropFirst(2))
    switch text.prefix(2) {
    case "f:": self = .field(rest)
    case "k:":
      guard let fields = (try? JSONParser.parse(rest))?.object else { throw .malformed }
      self = .key(fields)
    case "v:":
      guard let value = try? JSONParser.parse(rest) else { throw .malformed }
      self = .value(value)
    case "i:":
      guard let index = Int(rest) else { throw .malformed }
      self = .index(index)
    default: throw text.dropFirst().first == ":" ? .unknown : .malformed
    }
  }
}

extension FieldSet {
  /// The set as `FieldsV1`.
  var json: JSONValue {
    var fields: [String: JSONValue] = [:]
    for (element, node) in nodes { fields[element.text] = Self.json(node) }
    return .object(fields)
  }

  private static func json(_ node: Node) -> JSONValue {
    var json = node.below.json
    if node.isMember, !node.below.isEmpty { json["."] = [:] }
    return json
  }

  /// Reads `FieldsV1`; nil when it is damaged. Elements of unknown kinds are left out.
  init?(json: JSONValue) {
    guard let fields = json.object else { return nil }
    for (key, value) in fields where key != "." {
      let element: PathElement
      do { element = try PathElement(text: key) } catch {
        if error == .unknown { continue }
        return nil
      }
      guard let children = value.object, let below = FieldSet(json: value) else { return nil }
      self[element] = Node(isMember: children.isEmpty || children["."] != nil || below.isEmpty, below: below)
    }
  }
}
