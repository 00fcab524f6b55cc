import APIModel
import KubeModel

/// The OpenAPI v2 document as the protobuf message `openapi.v2.Document` of gnostic, as far as our document goes.
enum OpenAPIv2Protobuf {
  static func document(_ document: JSONValue) -> [UInt8] {
    var writer = ProtobufWriter()
    writer.text(1, document["swagger"]?.string)
    writer.message(2) { info in
      info.text(1, document[at: "info.title"]?.string)
      info.text(2, document[at: "info.version"]?.string)
    }
    writer.message(8) { paths in
      each(document["paths"]) { name, item in
        paths.message(2) { named in
          named.text(1, name)
          named.message(2) { path(item, &$0) }
        }
      }
    }
    writer.message(9) { schemas(document["definitions"], &$0) }
    return writer.bytes
  }

  private static func each(_ object: JSONValue?, _ body: (String, JSONValue) -> Void) {
    for (name, value) in (object?.object ?? [:]).sorted(by: { $0.key < $1.key }) { body(name, value) }
  }

  private static func path(_ item: JSONValue, _ writer: inout ProtobufWriter) {
    for (field, method) in [(2, "get"), (3, "put"), (4, "post"), (5, "delete"), (8, "patch")] {
      guard let operation = item[method] else { continue }
      writer.message(field) { self.operation(operation, &$0) }
    }
    for parameter in item["parameters"]?.array ?? [] { writer.message(9) { self.parameter(parameter, &$0) } }
  }

  private static func operation(_ operation: JSONValue, _ writer: inout ProtobufWriter) {
    for parameter in operation["parameters"]?.array ?? [] { writer.message(8) { self.parameter(parameter, &$0) } }
    writer.message(9) { responses in
      each(operation["responses"]) { code, response in
        responses.message(1) { named in
          named.text(1, code)
          named.message(2) { value in
            value.message(1) { $0.text(1, response["description"]?.string) }
          }
        }
      }
    }
    extensions(13, operation, &writer)
  }

  /// A parameter is of the body or not; each place has a message of its own.
  private static func parameter(_ parameter: JSONValue, _ writer: inout ProtobufWriter) {
    let (name, place) = (parameter["name"]?.string, parameter["in"]?.string)
    let required = parameter["required"]?.bool ?? false
    writer.message(1) { item in
      if place == "body" {
        item.message(1) { body in
          body.text(2, name)
          body.text(3, place)
          body.flag(4, required)
          body.message(5) { schema(parameter["schema"] ?? [:], &$0) }
        }
        return
      }
      item.message(2) { other in
        let query = place == "query"
        other.message(query ? 3 : 4) { value in
          value.flag(1, required)
          value.text(2, place)
          value.text(4, name)
          value.text(query ? 6 : 5, parameter["type"]?.string)
        }
      }
    }
  }

  private static func schemas(_ schemas: JSONValue?, _ writer: inout ProtobufWriter) {
    each(schemas) { name, schema in
      writer.message(1) { named in
        named.text(1, name)
        named.message(2) { self.schema(schema, &$0) }
      }
    }
  }

  private static func schema(_ schema: JSONValue, _ writer: inout ProtobufWriter) {
    writer.text(1, schema["$ref"]?.string)
    writer.text(2, schema["format"]?.string)
    writer.text(4, schema["description"]?.string)
    for value in schema["enum"]?.array ?? [] { writer.message(20) { $0.text(2, value.compactText) } }
    if let values = schema["additionalProperties"] {
      writer.message(21) { item in item.message(1) { self.schema(values, &$0) } }
    }
    if let type = schema["type"]?.string { writer.message(22) { $0.text(1, type) } }
    if let element = schema["items"] { writer.message(23) { item in item.message(1) { self.schema(element, &$0) } } }
    if let properties = schema["properties"] { writer.message(25) { schemas(properties, &$0) } }
    extensions(31, schema, &writer)
  }

  /// Values of extensions are written as YAML, of which JSON is a part.
  private static func extensions(_ field: Int, _ value: JSONValue, _ writer: inout ProtobufWriter) {
    each(value) { name, content in
      guard name.hasPrefix("x-") else { return }
      writer.message(field) { named in
        named.text(1, name)
        named.message(2) { $0.text(2, content.compactText) }
      }
    }
  }
}
