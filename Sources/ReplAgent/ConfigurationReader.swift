import ReplModel
import ReplicationEngine
import Yams

/// Collects what is wrong with a configuration file, with line numbers, so that all of it is shown at once.
final class ConfigurationProblems {
  private(set) var lines: [(line: Int, text: String)] = []
  func add(_ line: Int, _ text: String) { lines.append((line, text)) }
}

/// A YAML document being read as a configuration.
struct ConfigurationReader {
  let root: ConfigurationMap
  private let file: String
  private let problems = ConfigurationProblems()

  /// - Throws: `.invalid` for what is not YAML or not a mapping, with the line.
  init(_ text: String, file: String) throws(ReplError) {
    self.file = file
    let node: Node?
    do {
      node = try Yams.compose(yaml: text)
    } catch {
      throw ReplError(.invalid, subject: file, cause: Self.explain(error))
    }
    guard let mapping = node?.mapping else {
      throw ReplError(.invalid, subject: file, cause: "line 1: expected a mapping of keys to values")
    }
    root = ConfigurationMap(mapping, line: 1, name: "", problems)
  }

  /// What the YAML parser found, with its line and without the file's text.
  private static func explain(_ error: any Error) -> String {
    switch error {
    case YamlError.scanner(_, let problem, let mark, _), YamlError.parser(_, let problem, let mark, _),
      YamlError.composer(_, let problem, let mark, _):
      return "line \(mark.line): \(problem)"
    case YamlError.duplicatedKeysInMapping(let keys, let context):
      let names = keys.sorted().map { "'\($0)'" }.joined(separator: ", ")
      return "line \(context.mark.line): key \(names) is there twice"
    default: return "is not YAML"
    }
  }

  /// Ends the reading: keys that nobody asked for are unknown.
  ///
  /// - Throws: `.invalid` naming every problem.
  func finish() throws(ReplError) {
    root.complainOfUnknownKeys()
    guard !problems.lines.isEmpty else { return }
    let text = problems.lines.sorted { $0.line < $1.line }.map { "line \($0.line): \($0.text)" }
    throw ReplError(
      .invalid, subject: file, cause: text.joined(separator: "; "),
      remedy: "the keys are in config.example.yaml; check with repl-agent check-config --config FILE")
  }
}

/// One mapping of the file. Reading a key marks it as known; a wrong value is a problem, and the default is returned.
final class ConfigurationMap {
  private let mapping: Node.Mapping
  private let line: Int
  private let name: String
  private let problems: ConfigurationProblems
  private var known: Set<String> = []
  private var children: [ConfigurationMap] = []

  init(_ mapping: Node.Mapping, line: Int, name: String, _ problems: ConfigurationProblems) {
    self.mapping = mapping
    self.line = line
    self.name = name
    self.problems = problems
  }

  func has(_ key: String) -> Bool { mapping[Node(key)] != nil }

  func complain(_ text: String) { problems.add(line, text) }

  /// Complains of the value of a key, at its line.
  func complain(of key: String, _ text: String) {
    problems.add(mapping[Node(key)]?.mark?.line ?? line, "'\(label(key))': \(text)")
  }

  func complainOfUnknownKeys() {
    var seen: Set<String> = []
    for (key, _) in mapping {
      let text = key.string ?? "?"
      let line = key.mark?.line ?? self.line
      if !known.contains(text) {
        problems.add(line, "unknown key '\(label(text))', expected one of \(known.sorted().joined(separator: ", "))")
      }
      if !seen.insert(text).inserted { problems.add(line, "key '\(label(text))' is there twice") }
    }
    for child in children { child.complainOfUnknownKeys() }
  }

  // MARK: Values

  func string(
    _ key: String, required: Bool = false, default fallback: String = "", check: (String) -> String? = { _ in nil }
  ) -> String {
    guard let node = take(key, required: required) else { return fallback }
    guard let text = node.scalar?.string else { return wrong(node, key, "text", fallback) }
    if let expected = check(text) { return wrong(node, key, expected, fallback) }
    return text
  }

  func choice(_ key: String, _ values: [String], default fallback: String) -> String {
    string(key, default: fallback) { values.contains($0) ? nil : "one of \(values.joined(separator: ", "))" }
  }

  /// An absolute path, without a slash at its end.
  ///
  /// - Parameter limit: bytes it may have; nil: any number.
  func path(_ key: String, required: Bool = false, default fallback: String = "", limit: Int? = nil) -> String {
    let text = string(key, required: required, default: fallback) { text in
      guard Self.isPath(text) else { return "an absolute path" }
      return limit.flatMap { text.utf8.count > $0 ? "an absolute path of at most \($0) bytes" : nil }
    }
    return text.count > 1 && text.hasSuffix("/") ? String(text.dropLast()) : text
  }

  func paths(_ key: String) -> [String] {
    guard let node = take(key) else { return [] }
    guard let items = node.sequence else { return wrong(node, key, "a list of absolute paths", []) }
    return items.compactMap { item in
      guard let text = item.scalar?.string, Self.isPath(text) else { return wrong(item, key, "an absolute path", nil) }
      return text
    }
  }

  func integer(_ key: String, in range: ClosedRange<Int>, default fallback: Int) -> Int {
    guard let node = take(key) else { return fallback }
    guard let value = node.int, range.contains(value) else {
      return wrong(node, key, "a whole number from \(range.lowerBound) to \(range.upperBound)", fallback)
    }
    return value
  }

  /// A count of bytes: a number, or one with KiB, MiB, GiB, TiB (or Ki, Mi, Gi, Ti).
  func bytes(_ key: String, default fallback: UInt64) -> UInt64 {
    guard let node = take(key) else { return fallback }
    guard let text = node.scalar?.string, let value = Self.parseBytes(text) else {
      return wrong(node, key, "a count of bytes such as 1048576 or 64MiB", fallback)
    }
    return value
  }

  /// Bytes a second; nil for 0, which is no limit, and where there is none.
  func rate(_ key: String) -> UInt64? {
    let rate = bytes(key, default: 0)
    return rate == 0 ? nil : rate
  }

  /// A time of the day such as 08:30, in seconds since midnight.
  func timeOfDay(_ key: String) -> Int {
    guard let node = take(key, required: true) else { return 0 }
    let parts = (node.scalar?.string ?? "").split(separator: ":", omittingEmptySubsequences: false)
    guard parts.count == 2, parts.allSatisfy({ $0.count == 2 }), let hours = Int(parts[0]), let minutes = Int(parts[1]),
      (0..<24).contains(hours), (0..<60).contains(minutes)
    else { return wrong(node, key, "a time of the day from '00:00' to '23:59'", 0) }
    return hours * 3600 + minutes * 60
  }

  /// A count of bytes, or a part in percent; nil where there is none.
  func storageLimit(_ key: String) -> StorageLimit? {
    guard let node = take(key) else { return nil }
    let text = node.scalar?.string ?? ""
    if text.hasSuffix("%"), let percent = UInt64(text.dropLast()), (1...100).contains(percent) {
      return .percent(percent)
    }
    if let bytes = Self.parseBytes(text), bytes > 0 { return .bytes(bytes) }
    return wrong(node, key, "a count of bytes such as 500GiB, or a part of the pool from 1% to 100%", nil)
  }

  /// Seconds: a number, or one with s, m, h or d.
  func duration(_ key: String, default fallback: Double) -> Double {
    guard let node = take(key) else { return fallback }
    guard let text = node.scalar?.string, let value = Self.parseDuration(text) else {
      return wrong(node, key, "a time such as 30s, 15m, 12h or 7d", fallback)
    }
    return value
  }

  func map(_ key: String, _ body: (ConfigurationMap) -> Void) {
    guard let node = take(key) else { return }
    guard let mapping = node.mapping else { return wrong(node, key, "a mapping of keys to values", ()) }
    body(child(mapping, node, key))
  }

  func list(_ key: String, _ body: (ConfigurationMap) -> Void) {
    guard let node = take(key) else { return }
    guard let items = node.sequence else { return wrong(node, key, "a list", ()) }
    for item in items {
      guard let mapping = item.mapping else {
        wrong(item, key, "a mapping of keys to values", ())
        continue
      }
      body(child(mapping, item, key))
    }
  }

  // MARK: -

  private func take(_ key: String, required: Bool = false) -> Node? {
    known.insert(key)
    let found = mapping[Node(key)]
    if found == nil, required { problems.add(line, "key '\(label(key))' is missing") }
    return found
  }

  private func wrong<Value>(_ node: Node, _ key: String, _ expected: String, _ fallback: Value) -> Value {
    let found = node.scalar.map { "'\($0.string.prefix(60))'" } ?? "a structure"
    problems.add(node.mark?.line ?? line, "'\(label(key))': expected \(expected), found \(found)")
    return fallback
  }

  private func child(_ mapping: Node.Mapping, _ node: Node, _ key: String) -> ConfigurationMap {
    let made = ConfigurationMap(mapping, line: node.mark?.line ?? line, name: label(key), problems)
    children.append(made)
    return made
  }

  private func label(_ key: String) -> String { name.isEmpty ? key : "\(name).\(key)" }

  private static func isPath(_ text: String) -> Bool {
    text.hasPrefix("/") && !text.split(separator: "/").contains("..") && !text.utf8.contains(0)
  }

  static func parseBytes(_ text: String) -> UInt64? {
    let units: [(String, UInt64)] = [
      ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40), ("Ki", 1 << 10), ("Mi", 1 << 20),
      ("Gi", 1 << 30), ("Ti", 1 << 40), ("", 1),
    ]
    for (suffix, factor) in units where text.hasSuffix(suffix) {
      guard let number = UInt64(text.dropLast(suffix.count)) else { return nil }
      let (value, overflow) = number.multipliedReportingOverflow(by: factor)
      return overflow ? nil : value
    }
    return nil
  }

  static func parseDuration(_ text: String) -> Double? {
    let units: [Character: Double] = ["s": 1, "m": 60, "h": 3600, "d": 86400]
    guard let last = text.last else { return nil }
    let factor = units[last] ?? 1
    let digits = units[last] == nil ? text[...] : text.dropLast()
    guard let number = Double(digits), number >= 0, number * factor <= 3.2e9 else { return nil }
    return number * factor
  }
}
