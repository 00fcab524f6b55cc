import APIModel
import ArgumentParser
import Glibc

struct KubeconfigCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "kubeconfig", abstract: "Prints a kubeconfig for this agent's API, with fresh credentials.",
    discussion: """
      The credentials are as good as root at this agent and live for a year. `replctl kubeconfig --output FILE` writes
      them to a file that only its owner may read; then: kubectl --kubeconfig FILE get migrations.
      """)

  @Option(name: .long, help: "Path of the agent's socket.") var socket = "/run/repl-agent/agent.sock"
  @Option(name: [.short, .long], help: "Namespace that kubectl takes when none is named.") var namespace = "default"
  @Option(name: [.short, .long], help: "File to write, with mode 0600; standard output if not given.")
  var output: String?

  func run() throws {
    let answer = try AgentClient(socketPath: socket).send("GET", ["agent", "v1", "kubeconfig"])
    let text = try Self.text(Field.text(answer, "kubeconfig"), namespace: namespace)
    guard let output else { return Console.standard.document(text) }
    try PrivateFile(path: output).write(text)
    Console.standard.line("kubeconfig written to \(output)")
  }
}

extension KubeconfigCommand {
  /// The agent's kubeconfig with another namespace.
  static func text(_ text: String, namespace: String) throws -> String {
    guard namespace != "default" else { return text }
    guard var document = try YAML.documents(text, name: "kubeconfig").first else { return text }
    let contexts = (document["contexts"]?.array ?? []).map { context in
      var context = context
      context[at: "context.namespace"] = .string(namespace)
      return context
    }
    document["contexts"] = .array(contexts)
    return try YAML.text(document)
  }
}

/// A file that only its owner may read, replaced as a whole.
struct PrivateFile {
  var path: String

  func write(_ text: String) throws(Failure) {
    let temporary = "\(path).\(getpid()).new"
    let file = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard file >= 0 else { throw failure() }
    let written = Self.writeAll(Array(text.utf8), to: file) && fsync(file) == 0
    guard close(file) == 0, written, rename(temporary, path) == 0 else {
      let failure = failure()
      unlink(temporary)
      throw failure
    }
  }

  private static func writeAll(_ bytes: [UInt8], to file: Int32) -> Bool {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { return false }
      rest = rest.dropFirst(count)
    }
    return true
  }

  private func failure() -> Failure { Failure(.failed, path, "cannot be written: \(String(cString: strerror(errno)))") }
}
