/// A table as the Stork tools print it: columns padded to the widest cell plus three blanks, the last one not padded.
struct TextTable {
  var header: [String]
  var rows: [[String]] = []

  init(_ header: [String]) { self.header = header }

  private static let gap = 3
  private static let minimumWidth = 6

  /// The lines, without a trailing line break.
  var text: String {
    let lines = [header] + rows.map { $0.map(Self.cell) }
    var widths = [Int](repeating: 0, count: header.count)
    for line in lines {
      for (index, cell) in line.enumerated() where index < widths.count {
        widths[index] = max(widths[index], cell.count)
      }
    }
    return lines.map { line in
      line.enumerated().map { index, cell in
        index == line.count - 1
          ? cell : cell + String(repeating: " ", count: max(Self.minimumWidth, widths[index]) - cell.count + Self.gap)
      }.joined()
    }.joined(separator: "\n")
  }

  /// A cell is one line.
  private static func cell(_ text: String) -> String {
    guard let end = text.firstIndex(where: \.isNewline) else { return text }
    return text[..<end] + "..."
  }
}
