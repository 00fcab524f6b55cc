/// What the fields of a protobuf message are called in JSON and how they are written there.
///
/// Messages name no message that contains them, so depth is bounded by the tables themselves.
struct ProtobufMessage: Sendable {
  indirect enum Kind: Sendable {
    /// Written even if empty: empty means absent.
    case text
    /// Only written if set: empty is a value.
    case optionalText
    /// Base64 in JSON.
    case bytes
    /// Written even if false: false means absent.
    case flag
    case optionalFlag
    /// Written even if zero: zero means absent.
    case number
    case optionalNumber
    /// Whole seconds in JSON; the empty message is null.
    case time
    /// With microseconds in JSON.
    case microTime
    case message(ProtobufMessage)
    /// A message whose fields JSON has in the object around it.
    case inline(ProtobufMessage)
    /// A size: a message of one text.
    case quantity
    /// A number or a text; zero means absent.
    case intOrString
    case optionalIntOrString
    /// Known, and of no use here.
    case ignored
    /// A map entry: text to text.
    case textMap
    /// A map entry: text to bytes.
    case bytesMap
    /// A map entry: text to size.
    case quantityMap
  }

  struct Field: Sendable {
    var name: String
    var kind: Kind
    var repeated = false
  }

  /// By field number.
  var fields: [Int: Field]

  init(_ fields: [Int: Field]) { self.fields = fields }
}

extension ProtobufMessage.Field {
  static func text(_ name: String) -> Self { Self(name: name, kind: .text) }
  static func texts(_ name: String) -> Self { Self(name: name, kind: .text, repeated: true) }
  static func optionalText(_ name: String) -> Self { Self(name: name, kind: .optionalText) }
  static func flag(_ name: String) -> Self { Self(name: name, kind: .flag) }
  static func optionalFlag(_ name: String) -> Self { Self(name: name, kind: .optionalFlag) }
  static func numbers(_ name: String) -> Self { Self(name: name, kind: .optionalNumber, repeated: true) }
  static func quantity(_ name: String) -> Self { Self(name: name, kind: .quantity) }
  static func quantityMap(_ name: String) -> Self { Self(name: name, kind: .quantityMap) }
  static func intOrString(_ name: String) -> Self { Self(name: name, kind: .intOrString) }
  static func optionalIntOrString(_ name: String) -> Self { Self(name: name, kind: .optionalIntOrString) }
  static func inline(_ message: ProtobufMessage) -> Self { Self(name: "", kind: .inline(message)) }
  static let ignored = Self(name: "", kind: .ignored)
  static func number(_ name: String) -> Self { Self(name: name, kind: .number) }
  static func optionalNumber(_ name: String) -> Self { Self(name: name, kind: .optionalNumber) }
  static func time(_ name: String) -> Self { Self(name: name, kind: .time) }
  static func microTime(_ name: String) -> Self { Self(name: name, kind: .microTime) }
  static func textMap(_ name: String) -> Self { Self(name: name, kind: .textMap) }
  static func bytesMap(_ name: String) -> Self { Self(name: name, kind: .bytesMap) }
  static func message(_ name: String, _ message: ProtobufMessage) -> Self {
    Self(name: name, kind: .message(message))
  }
  static func messages(_ name: String, _ message: ProtobufMessage) -> Self {
    Self(name: name, kind: .message(message), repeated: true)
  }
}
