import FoundationEssentials
import TestSupport

/// JSON as it came, read by keys; a number as a key takes an item of a list.
indirect enum JSONTree: Decodable, Equatable {
  case null
  case flag(Bool)
  case number(Double)
  case text(String)
  case list([JSONTree])
  case map([String: JSONTree])

  init(_ text: String) throws { self = try JSONDecoder().decode(JSONTree.self, from: Data(text.utf8)) }

  init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    if container.decodeNil() {
      self = .null
    } else if let flag = try? container.decode(Bool.self) {
      self = .flag(flag)
    } else if let number = try? container.decode(Double.self) {
      self = .number(number)
    } else if let text = try? container.decode(String.self) {
      self = .text(text)
    } else if let list = try? container.decode([JSONTree].self) {
      self = .list(list)
    } else {
      self = .map(try container.decode([String: JSONTree].self))
    }
  }

  /// What is found by going from key to key; nil when something on the way is missing.
  subscript(_ keys: String...) -> JSONTree? {
    var place: JSONTree? = self
    for key in keys {
      switch place {
      case .map(let map): place = map[key]
      case .list(let list): place = Int(key).flatMap { list.indices.contains($0) ? list[$0] : nil }
      default: place = nil
      }
    }
    return place
  }

  var text: String? { if case .text(let text) = self { text } else { nil } }
  var number: Double? { if case .number(let number) = self { number } else { nil } }
  var list: [JSONTree] { if case .list(let list) = self { list } else { [] } }
  var map: [String: JSONTree] { if case .map(let map) = self { map } else { [:] } }
}

extension ReplCtl {
  /// An object; nil when there is none of this name.
  func object(_ kind: String, _ name: String, _ namespace: String = Site.namespace) throws -> JSONTree? {
    let result = try run(["get", kind, name, "-n", namespace, "-o", "json"])
    guard result.status != 3 else { return nil }
    guard result.status == 0 else { throw Failure(result.summary) }
    let found = try JSONTree(result.output)
    return found["kind"]?.text?.hasSuffix("List") == true ? found["items", "0"] : found
  }

  /// All objects of a kind in a namespace.
  func objects(_ kind: String, _ namespace: String = Site.namespace) throws -> [JSONTree] {
    let result = try run(["get", kind, "-n", namespace, "-o", "json"])
    guard result.status == 0 else { throw Failure(result.summary) }
    return try JSONTree(result.output)["items"]?.list ?? []
  }

  /// `apply -f` of a text.
  func apply(_ yaml: String, namespace: String = Site.namespace) throws {
    let directory = try TemporaryDirectory()
    try Files.write(yaml, to: "\(directory.path)/objects.yaml")
    try check("apply", "-n", namespace, "-f", "\(directory.path)/objects.yaml")
  }
}
