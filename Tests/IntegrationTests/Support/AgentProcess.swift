import Glibc

/// One `repl-agent run` with a configuration, state and socket of its own.
final class AgentProcess {
  let configuration: String
  let log: String
  let control: ReplCtl
  private let binary: String
  private var process: ChildProcess?

  init(configuration: String, socket: String, log: String) throws {
    self.configuration = configuration
    self.log = log
    binary = try Environment.binary("repl-agent")
    control = ReplCtl(binary: try Environment.binary("replctl"), socket: socket)
  }

  var isRunning: Bool { process?.isRunning ?? false }

  /// Starts the agent and waits until it answers.
  func start() throws {
    try launch()
    try eventually("the agent answers; its log: \(logTail())", within: 60) {
      guard isRunning else { throw Failure("the agent ended: \(logTail())") }
      return try control.run(["status", "-o", "json"]).status == 0
    }
  }

  /// Starts the agent without waiting for anything.
  func launch() throws {
    let descriptor = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw Failure("\(log): error \(errno)") }
    defer { close(descriptor) }
    process = try ChildProcess([binary, "run", "--config", configuration], output: descriptor, errors: descriptor)
  }

  /// SIGKILL: the process is gone when this returns.
  func kill() {
    process?.signal(SIGKILL)
    _ = process?.wait(seconds: 30)
    process = nil
  }

  /// SIGTERM; exit status, or nil if it did not end within `seconds`.
  func stop(seconds: Double = 15) -> Int32? {
    process?.signal(SIGTERM)
    guard let status = process?.wait(seconds: seconds) else { return nil }
    process = nil
    return status
  }

  /// Waits for the end of an agent that is expected to refuse to run.
  func waitForEnd(seconds: Double = 30) -> Int32? { process?.wait(seconds: seconds) }

  /// Runs another verb of the daemon with this configuration.
  func verb(_ name: String) throws -> CommandOutput {
    try Command.run([binary, name, "--config", configuration])
  }

  /// Peak memory in KiB (VmHWM) of the running agent.
  func peakMemory() throws -> Int {
    guard let process else { throw Failure("the agent does not run") }
    let text = try Command.check(
      "sed", "-n", "s/^VmHWM:[^0-9]*\\([0-9]*\\).*/\\1/p", "/proc/\(process.identifier)/status")
    return Int(text.split(separator: "\n").first ?? "") ?? 0
  }

  /// The last lines of the log.
  func logTail(_ lines: Int = 20) -> String { (try? Command.check("tail", "-n", "\(lines)", log)) ?? "" }

  func logText() -> String { (try? Command.check("cat", log)) ?? "" }

  deinit { kill() }
}
