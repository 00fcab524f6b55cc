/// A time of day as schedule policies write it: `1:02PM` or `1:02pm`.
struct KitchenTime: Hashable, Sendable {
  /// Minutes since midnight, 0 to 1439.
  var minutes: Int64

  init(minutes: Int64) { self.minutes = minutes }

  /// What is wrong with a text, in the words of Go's `time.Parse`, which clients of these objects know.
  struct Failure: Error, Hashable {
    var text: String
  }

  /// Reads hours of one or two digits from 0 to 12, minutes of two, and `AM`, `PM`, `am` or `pm` right behind.
  init(_ text: String) throws(Failure) {
    do throws(Failure) { self = try Self.parse(text, upper: true) } catch {
      // The error quoted is that of the second layout tried.
      self = try Self.parse(text, upper: false)
    }
  }

  private static func parse(_ text: String, upper: Bool) throws(Failure) -> KitchenTime {
    let mark = upper ? "PM" : "pm"
    let layout = "3:04\(mark)"
    func mismatch(_ rest: some Collection<UInt8>, _ element: String) -> Failure {
      Failure(
        text: "parsing time \(quoted(text.utf8)) as \"\(layout)\": cannot parse \(quoted(rest)) as \"\(element)\"")
    }
    func outOfRange(_ what: String) -> Failure {
      Failure(text: "parsing time \(quoted(text.utf8)): \(what) out of range")
    }
    var rest = Array(text.utf8)[...]
    guard let first = digit(rest.first) else { throw mismatch(rest, "3") }
    rest = rest.dropFirst()
    var hour = first
    if let second = digit(rest.first) {
      hour = hour * 10 + second
      rest = rest.dropFirst()
    }
    guard hour <= 12 else { throw outOfRange("hour") }
    guard rest.first == 0x3A else { throw mismatch(rest, ":") }
    rest = rest.dropFirst()
    guard let tens = digit(rest.first), let ones = digit(rest.dropFirst().first) else { throw mismatch(rest, "04") }
    guard tens * 10 + ones <= 59 else { throw outOfRange("minute") }
    rest = rest.dropFirst(2)
    let half = String(decoding: rest.prefix(2), as: UTF8.self)
    guard half == mark || half == (upper ? "AM" : "am") else { throw mismatch(rest, mark) }
    rest = rest.dropFirst(2)
    guard rest.isEmpty else {
      throw Failure(text: "parsing time \(quoted(text.utf8)): extra text: \(quoted(rest))")
    }
    let afternoon = half == mark
    if afternoon, hour < 12 { hour += 12 }
    if !afternoon, hour == 12 { hour = 0 }
    return KitchenTime(minutes: hour * 60 + tens * 10 + ones)
  }

  private static func digit(_ byte: UInt8?) -> Int64? {
    guard let byte, (0x30...0x39).contains(byte) else { return nil }
    return Int64(byte - 0x30)
  }

  private static func quoted(_ bytes: some Collection<UInt8>) -> String {
    var text = "\""
    // Bounded: the text is a user's and ends in an event.
    for byte in bytes.prefix(64) {
      switch byte {
      case 0x22, 0x5C: text += "\\" + String(UnicodeScalar(byte))
      case 0x20..<0x7F: text += String(UnicodeScalar(byte))
      default: text += "\\x" + (byte < 0x10 ? "0" : "") + String(byte, radix: 16)
      }
    }
    return text + "\""
  }
}
