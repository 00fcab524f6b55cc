/// How large a value is, without writing it: values share their parts in memory, so a small one may be a huge text.
extension JSONValue {
  /// Whether the value is nested deeper than some levels; a scalar has one. Looks no deeper than that.
  public func isDeeper(than levels: Int) -> Bool {
    guard levels > 0 else { return true }
    switch self {
    case .array(let items): return items.contains { $0.isDeeper(than: levels - 1) }
    case .object(let fields): return fields.values.contains { $0.isDeeper(than: levels - 1) }
    default: return false
    }
  }

  /// Bytes of the value's text, about: escapes are not counted. Counting ends when `limit` is passed.
  public func textSize(upTo limit: Int) -> Int {
    var size = 0
    count(&size, limit)
    return size
  }

  private func count(_ size: inout Int, _ limit: Int) {
    guard size <= limit else { return }
    switch self {
    case .null, .bool: size += 4
    case .integer, .number: size += 8
    case .string(let text): size += text.utf8.count + 2
    case .array(let items):
      size += 2
      for item in items {
        item.count(&size, limit)
        size += 1
        if size > limit { return }
      }
    case .object(let fields):
      size += 2
      for (key, value) in fields {
        size += key.utf8.count + 4
        value.count(&size, limit)
        if size > limit { return }
      }
    }
  }
}
