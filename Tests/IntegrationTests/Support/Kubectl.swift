import Glibc
import TestSupport
import Testing

/// The real `kubectl` against one agent, with a home of its own. KUBECTL names another one than that in PATH.
struct Kubectl {
  /// Home, cache and kubeconfig.
  let home: String
  /// Minor version of the client, as in 1.32.
  let minorVersion: Int

  /// - Parameter directory: a directory that the test removes.
  init(_ site: Site, in directory: String) throws {
    home = "\(directory)/\(site.name).home"
    guard mkdir(home, 0o700) == 0 else { throw Failure("mkdir \(home): error \(errno)") }
    try site.control.check("kubeconfig", "--output", "\(home)/kubeconfig")
    let version = try Command.check("env", "HOME=\(home)", Self.program, "version", "--client", "-o", "json")
    let text = try JSONTree(version)["clientVersion", "minor"]?.text ?? ""
    guard let minor = Int(text.prefix { $0.isNumber }) else { throw Failure("kubectl says: \(version)") }
    minorVersion = minor
  }

  static let program = getenv("KUBECTL").map { String(cString: $0) } ?? "kubectl"

  /// The words before those of kubectl: an environment in which `edit` changes nothing unless the test says how.
  private func words(_ arguments: [String], editor: String = "true") -> [String] {
    ["env", "HOME=\(home)", "KUBECONFIG=\(home)/kubeconfig", "KUBE_EDITOR=\(editor)", Self.program] + arguments
  }

  /// Runs a command and returns how it ended, whatever that was.
  func run(_ arguments: [String], editor: String = "true", seconds: Double = 60) throws -> CommandOutput {
    try Command.run(words(arguments, editor: editor), seconds: seconds)
  }

  /// Runs a command that has to succeed; returns what it printed.
  @discardableResult
  func check(_ arguments: String..., editor: String = "true", seconds: Double = 60) throws -> String {
    let result = try run(arguments, editor: editor, seconds: seconds)
    guard result.status == 0 else { throw Failure(result.summary) }
    return result.output
  }

  /// A file with a text, for `-f`.
  func file(_ name: String, _ text: String) throws -> String {
    let path = "\(home)/\(name)"
    try Files.write(text + "\n", to: path)
    return path
  }

  /// `apply -f` of a text; returns what it printed.
  @discardableResult
  func apply(_ text: String, namespace: String, _ further: String...) throws -> String {
    let path = try file("apply.yaml", text)
    let result = try run(["apply", "-n", namespace, "-f", path] + further)
    guard result.status == 0 else { throw Failure(result.summary) }
    return result.output
  }

  /// Waits until a field of an object has a value: with `kubectl wait` where the client knows it (1.23 and later).
  func wait(_ object: String, namespace: String, _ field: String, is value: String, seconds: Int = 60) throws {
    if minorVersion >= 23 {
      try check(
        "wait", object, "-n", namespace, "--for=jsonpath={\(field)}=\(value)", "--timeout=\(seconds)s",
        seconds: Double(seconds) + 10)
    } else {
      var last = ""
      try eventually("\(object) has \(field) \(value), not \(last)", within: Double(seconds)) {
        last = try check("get", object, "-n", namespace, "-o", "jsonpath={\(field)}")
        return last == value
      }
    }
  }

  /// Starts a command that goes on until the watch is released.
  func watch(_ arguments: String...) throws -> KubectlWatch {
    try KubectlWatch(words(arguments), in: home)
  }
}

/// A `kubectl … --watch` that runs beside the test.
final class KubectlWatch {
  private let process: ChildProcess
  private let output: String

  fileprivate init(_ arguments: [String], in directory: String) throws {
    output = "\(directory)/watch.\(UInt64.random(in: 0 ... .max))"
    let descriptor = open(output, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw Failure("\(output): error \(errno)") }
    defer { close(descriptor) }
    process = try ChildProcess(arguments, output: descriptor, errors: descriptor)
  }

  /// What it has printed so far.
  func text() throws -> String { String(decoding: try Files.read(output), as: UTF8.self) }

  var isRunning: Bool { process.isRunning }

  func end() {
    process.signal(SIGKILL)
    _ = process.wait(seconds: 10)
  }

  deinit { end() }
}

extension Trait where Self == ConditionTrait {
  /// Needs a kubectl. Skipped where there is none; in continuous integration (CI is set) it runs, and fails.
  static var requiresKubectl: Self {
    .enabled("needs kubectl (Scripts/install-clients)") {
      getenv("CI") != nil || (try? LoopFileSystem.run([Kubectl.program, "version", "--client"])) != nil
    }
  }
}

extension String {
  /// Lines without white space at their ends and with single spaces inside: layout by columns does not matter.
  var words: [String] {
    split(separator: "\n").map { $0.split(whereSeparator: \.isWhitespace).joined(separator: " ") }
      .filter { !$0.isEmpty }
  }
}
