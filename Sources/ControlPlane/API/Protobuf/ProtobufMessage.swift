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
    case flag
    /// Written even if zero: zero means absent.
    case number
    case optionalNumber
    /// Whole seconds in JSON; the empty message is null.
    case time
    /// With microseconds in JSON.
    case microTime
    case message(ProtobufMessage)
    /// A map entry: text to text.
    case textMap
    /// A map entry: text to bytes.
    case bytesMap
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
