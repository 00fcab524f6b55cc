/// What somebody may have meant who wrote a word that is none.
enum Suggestion {
  /// The known word with the fewest letters to change, if these are few.
  static func of(_ word: String, among known: [String]) -> String? {
    let limit = max(1, word.count / 3)
    let near = known.map { ($0, distance(Array(word.lowercased()), Array($0))) }.filter { $0.1 <= limit }
    return near.min { $0.1 < $1.1 }?.0
  }

  /// `replctl --help`, or the word that was meant.
  static func remedy(_ word: String, among known: [String], otherwise: String) -> String {
    of(word, among: known).map { "did you mean \"\($0)\"?" } ?? otherwise
  }

  /// Letters to insert, delete, replace, or swap with their neighbour, to make one word the other.
  static func distance(_ left: [Character], _ right: [Character]) -> Int {
    var rows = [Array(0...right.count)]
    for i in left.indices {
      var row = [i + 1]
      for j in right.indices {
        var best = min(rows[i][j + 1] + 1, row[j] + 1, rows[i][j] + (left[i] == right[j] ? 0 : 1))
        if i > 0, j > 0, left[i] == right[j - 1], left[i - 1] == right[j] { best = min(best, rows[i - 1][j - 1] + 1) }
        row.append(best)
      }
      rows.append(row)
    }
    return rows[left.count][right.count]
  }
}
