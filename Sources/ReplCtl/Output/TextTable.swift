import ReplModel

/// A table as the Stork tools print it: columns padded to the widest cell plus three blanks and to six characters at
/// least, the last one not padded.
struct TextTable {
  var header: [String]
  var rows: [[String]] = []
  /// Widths that columns have at least: those of an earlier table whose lines go on.
  var widths: [Int] = []

  init(_ header: [String]) { self.header = header }

  private static let gap = 3
  /// Of a column with its blanks.
  private static let minimumWidth = 6

  /// The lines, without a trailing line break.
  var text: String { lines(header: true) }

  /// The lines without the header.
  var rowText: String { lines(header: false) }

  /// The widths this table takes.
  var layout: [Int] {
    var layout = header.indices.map { max(Self.minimumWidth - Self.gap, $0 < widths.count ? widths[$0] : 0) }
    for line in [header] + rows {
      for (index, cell) in line.enumerated() where index < layout.count {
        layout[index] = max(layout[index], Self.cell(cell).count)
      }
    }
    return layout
  }

  private func lines(header withHeader: Bool) -> String {
    let layout = layout
    return ((withHeader ? [header] : []) + rows).map { line in
      line.enumerated().map { index, cell in
        let text = Self.cell(cell)
        guard index < line.count - 1, index < layout.count else { return text }
        return text + String(repeating: " ", count: layout[index] - text.count + Self.gap)
      }.joined()
    }.joined(separator: "\n")
  }

  /// A cell is one line, and cannot drive the terminal.
  private static func cell(_ text: String) -> String {
    guard let end = text.firstIndex(where: \.isNewline) else { return VisibleText.escaped(text) }
    return VisibleText.escaped(String(text[..<end])) + "..."
  }
}
