import Glibc

/// Reads what the tests compare with out of the repository's text files.
enum VectorPage {
  /// Root of the repository, found from this file.
  static let root = {
    let parts = #filePath.split(separator: "/").dropLast(4)
    return "/" + parts.joined(separator: "/")
  }()

  static func text(_ path: String) throws -> String {
    let full = root + "/" + path
    guard let file = fopen(full, "r") else { throw Missing(path: full) }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var part = [UInt8](repeating: 0, count: 65536)
    while case let count = fread(&part, 1, part.count, file), count > 0 { bytes += part[..<count] }
    return String(decoding: bytes, as: UTF8.self)
  }

  struct Missing: Error { var path: String }

  /// The blocks that begin with "```vector NAME", as bytes.
  static func vectors(in path: String) throws -> [String: [UInt8]] {
    var found: [String: [UInt8]] = [:]
    var name: String?
    for line in try text(path).split(separator: "\n", omittingEmptySubsequences: false) {
      if line.hasPrefix("```vector ") {
        name = String(line.dropFirst("```vector ".count))
      } else if line.hasPrefix("```") {
        name = nil
      } else if let name {
        found[name, default: []] += try bytes(line)
      }
    }
    return found
  }

  /// Rows of all tables as trimmed cells.
  static func rows(in path: String) throws -> [[String]] {
    try text(path).split(separator: "\n").filter { $0.hasPrefix("|") }.map { line in
      line.split(separator: "|").map { $0.trimmed }
    }
  }

  static func bytes(_ line: some StringProtocol) throws -> [UInt8] {
    try line.prefix { $0 != "#" }.split(separator: " ").map { digits in
      guard digits.count == 2, let byte = UInt8(digits, radix: 16) else { throw Missing(path: String(line)) }
      return byte
    }
  }
}

extension StringProtocol {
  var trimmed: String {
    String(drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
  }
}
