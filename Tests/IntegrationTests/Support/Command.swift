import Glibc

/// A finished program: how it ended and what it printed.
struct CommandOutput {
  var arguments: [String]
  /// Exit status, or 128 plus the signal.
  var status: Int32
  var output: String
  var errors: String
  var summary: String { "`\(arguments.joined(separator: " "))` ended with \(status): \(errors)\(output)" }
}

/// Programs run to their end.
enum Command {
  /// Runs a program found in PATH and waits for it; kills it and throws after `seconds`.
  static func run(_ arguments: [String], seconds: Double = 120) throws -> CommandOutput {
    let capture = try Capture(), errors = try Capture()
    let process = try ChildProcess(arguments, output: capture.descriptor, errors: errors.descriptor)
    guard let status = process.wait(seconds: seconds) else {
      process.signal(SIGKILL)
      _ = process.wait(seconds: 10)
      throw Failure("`\(arguments.joined(separator: " "))` did not end in \(seconds) s: \(errors.text())")
    }
    return CommandOutput(arguments: arguments, status: status, output: capture.text(), errors: errors.text())
  }

  /// Runs a program that has to succeed; returns what it printed.
  @discardableResult
  static func check(_ arguments: String..., seconds: Double = 120) throws -> String {
    let result = try run(arguments, seconds: seconds)
    guard result.status == 0 else { throw Failure(result.summary) }
    return result.output
  }
}

/// An unnamed file that takes a program's output, so that no pipe can fill up.
private final class Capture {
  let descriptor: Int32

  init() throws {
    var template = Array("/tmp/command-output.XXXXXX".utf8CString)
    descriptor = mkstemp(&template)
    guard descriptor >= 0 else { throw Failure("a file for the output: error \(errno)") }
    unlink(template)
  }

  deinit { close(descriptor) }

  func text() -> String {
    let size = Int(lseek(descriptor, 0, SEEK_END))
    var bytes = [UInt8](repeating: 0, count: max(size, 0))
    let count = bytes.withUnsafeMutableBytes { pread(descriptor, $0.baseAddress, $0.count, 0) }
    return String(decoding: bytes.prefix(max(count, 0)), as: UTF8.self)
  }
}

/// A program that runs beside the test.
final class ChildProcess {
  let identifier: pid_t
  private(set) var status: Int32?

  /// Starts a program found in PATH with empty input; both outputs go to the descriptors given.
  init(_ arguments: [String], output: Int32, errors: Int32) throws {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_adddup2(&actions, output, 1)
    posix_spawn_file_actions_adddup2(&actions, errors, 2)
    // Descriptors of tests that run beside this one would keep their file systems busy.
    // Closing one that is not open is no error.
    for descriptor in 3..<4096 as Range<Int32> { posix_spawn_file_actions_addclose(&actions, descriptor) }
    let words = arguments.map { strdup($0) } + [nil]
    defer { for word in words { free(word) } }
    var identifier = pid_t()
    let code = posix_spawnp(&identifier, arguments[0], &actions, nil, words, environ)
    guard code == 0 else { throw Failure("\(arguments[0]) could not be started: error \(code)") }
    self.identifier = identifier
  }

  deinit {
    guard status == nil else { return }
    kill(identifier, SIGKILL)
    waitpid(identifier, nil, 0)
  }

  func signal(_ number: Int32) {
    if status == nil { kill(identifier, number) }
  }

  var isRunning: Bool { poll() == nil }

  /// Exit status (128 plus the signal for a killed one), or nil if it still runs after `seconds`.
  func wait(seconds: Double) -> Int32? {
    let deadline = monotonicSeconds() + seconds
    while poll() == nil {
      guard monotonicSeconds() < deadline else { return nil }
      usleep(2_000)
    }
    return status
  }

  private func poll() -> Int32? {
    if let status { return status }
    var raw: Int32 = 0
    guard waitpid(identifier, &raw, WNOHANG) == identifier else { return nil }
    let signal = raw & 0x7f
    status = signal == 0 ? (raw >> 8) & 0xff : 128 + signal
    return status
  }
}

/// Seconds of the monotonic clock, for deadlines and durations.
func monotonicSeconds() -> Double {
  var time = timespec()
  clock_gettime(CLOCK_MONOTONIC, &time)
  return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}

/// Asks again and again until there is an answer; throws what was awaited once `seconds` are over.
func eventually<Value>(
  _ what: @autoclosure () -> String, within seconds: Double = 60, answer ask: () throws -> Value?
) throws -> Value {
  let deadline = monotonicSeconds() + seconds
  while true {
    if let answer = try ask() { return answer }
    guard monotonicSeconds() < deadline else { throw Failure("not within \(seconds) s: \(what())") }
    usleep(20_000)
  }
}

/// Waits until a condition holds.
func eventually(
  _ what: @autoclosure () -> String, within seconds: Double = 60, _ holds: () throws -> Bool
) throws {
  let _: Bool = try eventually(what(), within: seconds, answer: { try holds() ? true : nil })
}
