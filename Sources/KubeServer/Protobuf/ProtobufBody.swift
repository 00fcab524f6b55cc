import APIModel
import KubeModel
import FoundationEssentials

/// Request bodies of `application/vnd.kubernetes.protobuf`, as the JSON they stand for.
///
/// Current clients write built-in kinds this way and do not fall back to JSON when refused.
enum ProtobufBody {
  typealias Failure = ProtobufReader.Failure

  static let mediaType = "application/vnd.kubernetes.protobuf"

  /// Why a body could not be read.
  enum Refusal: Error, Hashable, Sendable {
    case malformed(String)
    /// A kind, or one of its fields, whose protobuf form is not known here.
    case unknown(String)
  }

  private static let magic: [UInt8] = [0x6B, 0x38, 0x73, 0x00]
  private static let typeMeta = ProtobufMessage([1: .text("apiVersion"), 2: .text("kind")])

  /// Decodes a body: the envelope says what kind of message is inside.
  static func decode(_ body: [UInt8]) throws(Refusal) -> JSONValue {
    guard body.starts(with: magic) else { throw .malformed("the body does not begin as protobuf of Kubernetes does") }
    do {
      var type: JSONValue = [:]
      var raw: ArraySlice<UInt8> = []
      var reader = ProtobufReader(body.dropFirst(magic.count))
      while let field = try reader.next() {
        guard case .bytes(let bytes) = field.value else { continue }
        if field.number == 1 { type = try message(typeMeta, bytes) }
        if field.number == 2 { raw = bytes }
      }
      let (apiVersion, kind) = (type["apiVersion"]?.string ?? "", type["kind"]?.string ?? "")
      guard let table = ProtobufMessage.of(apiVersion: apiVersion, kind: kind) else {
        throw Refusal.unknown("\(kind) of \(apiVersion)")
      }
      var object = try message(table, raw)
      object["apiVersion"] = .string(apiVersion)
      object["kind"] = .string(kind)
      return object
    } catch let refusal as Refusal {
      throw refusal
    } catch { throw .malformed("\(error)") }
  }

  private static func message(_ table: ProtobufMessage, _ bytes: ArraySlice<UInt8>) throws -> JSONValue {
    var fields: [String: JSONValue] = [:]
    var lists: [String: [JSONValue]] = [:]
    var maps: [String: [String: JSONValue]] = [:]
    var reader = ProtobufReader(bytes)
    while let (number, value) = try reader.next() {
      guard let field = table.fields[number] else {
        // What a newer client writes though it is empty loses nothing by being skipped.
        guard value.isEmpty else { throw Refusal.unknown("field \(number)") }
        continue
      }
      switch field.kind {
      case .ignored: continue
      case .textMap, .bytesMap, .quantityMap:
        let entry = try mapEntry(field.kind, value)
        maps[field.name, default: [:]][entry.key] = entry.value
      case .inline(let inner):
        guard case .bytes(let bytes) = value else { throw Failure(message: "a message that is none", offset: 0) }
        fields.merge(try message(inner, bytes).object ?? [:]) { _, last in last }
      default:
        guard let json = try scalar(field.kind, value) else { continue }
        if field.repeated { lists[field.name, default: []].append(json) } else { fields[field.name] = json }
      }
    }
    for (name, items) in lists { fields[name] = .array(items) }
    for (name, map) in maps { fields[name] = .object(map) }
    return .object(fields)
  }

  /// The JSON of one value; nil when it stands for an absent one.
  private static func scalar(_ kind: ProtobufMessage.Kind, _ value: ProtobufReader.Value) throws -> JSONValue? {
    switch (kind, value) {
    case (.text, .bytes(let bytes)):
      let text = try self.text(bytes)
      return text.isEmpty ? nil : .string(text)
    case (.optionalText, .bytes(let bytes)): return .string(try text(bytes))
    case (.bytes, .bytes(let bytes)): return .string(Data(bytes).base64EncodedString())
    case (.flag, .varint(let number)): return number == 0 ? nil : true
    case (.optionalFlag, .varint(let number)): return .bool(number != 0)
    case (.number, .varint(let number)): return number == 0 ? nil : .integer(Int64(bitPattern: number))
    case (.optionalNumber, .varint(let number)): return .integer(Int64(bitPattern: number))
    case (.time, .bytes(let bytes)): return try time(bytes, micro: false)
    case (.microTime, .bytes(let bytes)): return try time(bytes, micro: true)
    case (.quantity, .bytes(let bytes)): return try quantity(bytes)
    case (.intOrString, .bytes(let bytes)):
      let value = try intOrString(bytes)
      return value == 0 || value == "" ? nil : value
    case (.optionalIntOrString, .bytes(let bytes)): return try intOrString(bytes)
    case (.message(let table), .bytes(let bytes)): return try message(table, bytes)
    default: throw Failure(message: "a field of another type than expected", offset: 0)
    }
  }

  private static func text(_ bytes: ArraySlice<UInt8>) throws(Failure) -> String {
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw Failure(message: "a text that is not UTF-8", offset: bytes.startIndex)
    }
    return text
  }

  private static func mapEntry(_ kind: ProtobufMessage.Kind, _ value: ProtobufReader.Value) throws(Failure) -> (
    key: String, value: JSONValue
  ) {
    guard case .bytes(let bytes) = value else {
      throw Failure(message: "a map entry that is no message", offset: 0)
    }
    var (key, entry) = ("", JSONValue.string(""))
    var reader = ProtobufReader(bytes)
    while let field = try reader.next() {
      guard case .bytes(let part) = field.value else { continue }
      if field.number == 1 { key = try text(part) }
      if field.number == 2 {
        switch kind {
        case .bytesMap: entry = .string(Data(part).base64EncodedString())
        case .quantityMap: entry = try quantity(part)
        default: entry = .string(try text(part))
        }
      }
    }
    return (key, entry)
  }

  private static func quantity(_ bytes: ArraySlice<UInt8>) throws(Failure) -> JSONValue {
    var reader = ProtobufReader(bytes)
    var result = "0"
    while let field = try reader.next() {
      if field.number == 1, case .bytes(let part) = field.value { result = try text(part) }
    }
    return .string(result)
  }

  /// A message of which (0: number, 1: text), number and text.
  private static func intOrString(_ bytes: ArraySlice<UInt8>) throws(Failure) -> JSONValue {
    var reader = ProtobufReader(bytes)
    var (isText, number, word) = (false, Int64(0), "")
    while let field = try reader.next() {
      switch (field.number, field.value) {
      case (1, .varint(let value)): isText = value == 1
      case (2, .varint(let value)): number = Int64(bitPattern: value)
      case (3, .bytes(let part)): word = try text(part)
      default: continue
      }
    }
    return isText ? .string(word) : .integer(number)
  }

  /// Years 1 to 9999, which four digits can hold.
  private static let seconds: ClosedRange<Int64> = -62_135_596_800...253_402_300_799

  private static func time(_ bytes: ArraySlice<UInt8>, micro: Bool) throws(Failure) -> JSONValue {
    guard !bytes.isEmpty else { return .null }
    var (seconds, nanos): (Int64, Int64) = (0, 0)
    var reader = ProtobufReader(bytes)
    while let field = try reader.next() {
      guard case .varint(let number) = field.value else { continue }
      if field.number == 1 { seconds = Int64(bitPattern: number) }
      if field.number == 2 { nanos = Int64(bitPattern: number) }
    }
    guard Self.seconds.contains(seconds), (0..<1_000_000_000).contains(nanos) else {
      throw Failure(message: "a time out of range", offset: bytes.startIndex)
    }
    let text = Timestamp.text(seconds)
    guard micro else { return .string(text) }
    let digits = String(nanos / 1_000)
    return .string("\(text.dropLast()).\(String(repeating: "0", count: 6 - digits.count))\(digits)Z")
  }
}
