import APIModel
import Yams

/// YAML to and from JSON values, within limits: no alias can blow a document up.
enum YAML {
  /// Documents of a text, empty ones left out.
  static func documents(_ text: String, name: String) throws -> [JSONValue] {
    guard text.utf8.count <= 3 << 20 else {
      throw Failure(.failed, name, "the file is larger than 3 MiB", remedy: "split it")
    }
    let text = text.unicodeScalars.first == "\u{FEFF}" ? String(text.unicodeScalars.dropFirst()) : text
    if let documents = json(text) { return documents }
    do {
      var budget = 200_000
      let parser = try Yams.Parser(yaml: text)
      var documents: [JSONValue] = []
      while let node = try parser.nextRoot() {
        let document = try value(node, depth: 0, budget: &budget)
        if !document.isNull { documents.append(document) }
      }
      return documents
    } catch let failure as Failure { throw failure } catch let problem as Problem {
      throw Failure(.failed, name, problem.message)
    } catch {
      throw Failure(.failed, name, "\(error)", remedy: "correct the YAML at the place named")
    }
  }

  /// The values of a text that is JSON, one or several after each other; nil for any other text.
  private static func json(_ text: String) -> [JSONValue]? {
    guard let first = text.utf8.first(where: { ![0x20, 0x09, 0x0A, 0x0D].contains($0) }),
      first == UInt8(ascii: "{") || first == UInt8(ascii: "[")
    else { return nil }
    var parser = JSONParser(Array(text.utf8))
    var documents: [JSONValue] = []
    do {
      while let document = try parser.parseNext() { documents.append(document) }
    } catch { return nil }
    return documents
  }

  private struct Problem: Error { var message: String }

  private static func value(_ node: Node, depth: Int, budget: inout Int) throws -> JSONValue {
    guard depth < 100 else { throw Problem(message: "nested deeper than 100 levels") }
    budget -= 1
    guard budget > 0 else { throw Problem(message: "more than 200000 values") }
    switch node {
    case .scalar(let scalar): return try self.scalar(scalar)
    case .sequence(let items):
      var list: [JSONValue] = []
      for item in items { list.append(try value(item, depth: depth + 1, budget: &budget)) }
      return .array(list)
    case .mapping(let pairs): return try mapping(pairs, depth: depth, budget: &budget)
    default: throw Problem(message: "an alias without an anchor")
    }
  }

  private static func scalar(_ scalar: Node.Scalar) throws -> JSONValue {
    guard scalar.style == .plain || scalar.style == .any else { return .string(scalar.string) }
    guard let value = YAMLScalar.value(scalar.string) else {
      throw Problem(message: "\(scalar.string) is no number that JSON has")
    }
    return value
  }

  /// The fields of a mapping. `<<` merges where it stands, as in the Kubernetes clients: what follows it goes before what is
  /// merged, what stands above it does not. Of several mappings the first goes before the others.
  private static func mapping(_ pairs: Node.Mapping, depth: Int, budget: inout Int) throws -> JSONValue {
    var fields: [String: JSONValue] = [:]
    for (key, item) in pairs {
      guard let scalar = key.scalar else { throw Problem(message: "a key is not a text") }
      let isPlain = scalar.style == .plain || scalar.style == .any
      let field = try value(item, depth: depth + 1, budget: &budget)
      if isPlain, scalar.string == "<<" {
        for source in (field.array ?? [field]).reversed() {
          guard let merged = source.object else { throw Problem(message: "what is merged by << is not a mapping") }
          fields.merge(merged) { _, new in new }
        }
        continue
      }
      guard let name = isPlain ? YAMLScalar.key(scalar.string) : scalar.string else {
        throw Problem(message: "a key is not a text")
      }
      fields[name] = field
    }
    return .object(fields)
  }

  /// The text of a value; keys in ascending order.
  static func text(_ value: JSONValue) throws -> String {
    do { return try Yams.serialize(node: try node(value)) } catch {
      throw Failure(.failed, "output", "\(error)")
    }
  }

  private static func node(_ value: JSONValue) throws -> Node {
    switch value {
    case .null: return Node("null", Tag(.null))
    case .bool(let flag): return Node(flag ? "true" : "false", Tag(.bool))
    case .integer(let number): return Node(String(number), Tag(.int))
    case .number(let number): return Node(String(number), Tag(.float))
    case .string(let text): return try text.represented()
    case .array(let items): return Node(try items.map(node))
    case .object(let fields):
      return Node(
        try fields.sorted { $0.key < $1.key }.map { key, value -> (Node, Node) in
          (try key.represented(), try node(value))
        })
    }
  }
}
