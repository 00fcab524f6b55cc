import APIModel
import Yams

/// YAML to and from JSON values, within limits: no alias can blow a document up.
enum YAML {
  /// Documents of a text, empty ones left out.
  static func documents(_ text: String, name: String) throws -> [JSONValue] {
    guard text.utf8.count <= 3 << 20 else {
      throw Failure(.failed, name, "the file is larger than 3 MiB", remedy: "split it")
    }
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

  private struct Problem: Error { var message: String }

  private static func value(_ node: Node, depth: Int, budget: inout Int) throws -> JSONValue {
    guard depth < 100 else { throw Problem(message: "nested deeper than 100 levels") }
    budget -= 1
    guard budget > 0 else { throw Problem(message: "more than 200000 values") }
    switch node {
    case .scalar(let scalar): return self.scalar(scalar)
    case .sequence(let items):
      var list: [JSONValue] = []
      for item in items { list.append(try value(item, depth: depth + 1, budget: &budget)) }
      return .array(list)
    case .mapping(let pairs):
      var fields: [String: JSONValue] = [:]
      for (key, item) in pairs {
        guard let name = key.scalar?.string else { throw Problem(message: "a key is not a text") }
        fields[name] = try value(item, depth: depth + 1, budget: &budget)
      }
      return .object(fields)
    default: throw Problem(message: "an alias without an anchor")
    }
  }

  private static func scalar(_ scalar: Node.Scalar) -> JSONValue {
    let text = scalar.string
    guard scalar.style == .plain || scalar.style == .any else { return .string(text) }
    switch text {
    case "", "~", "null", "Null", "NULL": return .null
    case "true", "True", "TRUE": return .bool(true)
    case "false", "False", "FALSE": return .bool(false)
    default: break
    }
    if let number = Int64(text) { return .integer(number) }
    let numeric = text.allSatisfy { $0.isASCII && ($0.isNumber || ".eE+-".contains($0)) }
    if numeric, text.contains(where: \.isNumber), let number = Double(text), number.isFinite { return .number(number) }
    return .string(text)
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
