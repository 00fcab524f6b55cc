import Synchronization

/// Lets clients that read the same large object at once hold its text together: a watcher that does not read keeps what it
/// was given until it is cut off. Any thread may call.
final class SharedTexts: Sendable {
  /// Bytes from which on a text is worth it.
  static let least = 64 << 10
  /// Bytes of texts that are kept for whoever asks next.
  static let capacity = 8 << 20

  private struct Entry {
    var key: String
    var text: [UInt8]
  }

  /// The one used last comes last.
  private let entries = Mutex<[Entry]>([])

  /// The text, or one with the same bytes that others hold already.
  func share(_ text: [UInt8], of key: String) -> [UInt8] {
    guard text.count >= Self.least else { return text }
    return entries.withLock { entries in
      let known = entries.firstIndex { $0.key == key }.map { entries.remove(at: $0) }
      let entry = known.flatMap { $0.text == text ? $0 : nil } ?? Entry(key: key, text: text)
      entries.append(entry)
      var total = entries.reduce(0) { $0 + $1.text.count }
      while total > Self.capacity, entries.count > 1 { total -= entries.removeFirst().text.count }
      return entry.text
    }
  }
}
