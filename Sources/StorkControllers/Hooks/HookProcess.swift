import Glibc
import ReplModel

/// A program run once: in a process group of its own, without input, with a bounded output and time. Blocks.
struct HookProcess: Sendable {
  struct Outcome: Sendable {
    /// How it failed; nil when it did not.
    var failure: String?
    /// The first bytes of what it printed to both outputs.
    var output: String
  }

  var path: String
  var environment: [String]
  /// Seconds.
  var timeLimit: Double

  private static let outputLimit = 16_384
  /// Seconds between the signal that asks and the one that does not.
  private static let grace = 2.0
  /// Seconds to wait for the end after that: a process stuck in the kernel must not keep the thread.
  private static let patience = 5.0

  func run() throws(ReplError) -> Outcome {
    var ends: [Int32] = [-1, -1]
    guard pipe(&ends) == 0 else { throw failure("pipe", errno) }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    defer { close(ends[0]) }
    let spawned = spawn(output: ends[1])
    close(ends[1])
    guard case .success(let process) = spawned else {
      if case .failure(let error) = spawned { throw error }
      throw failure("spawn", ECHILD)
    }
    _ = fcntl(ends[0], F_SETFL, O_NONBLOCK)
    return watch(process, output: ends[0])
  }

  private func failure(_ what: String, _ code: Int32) -> ReplError {
    ReplError(.io, subject: "hook \(path)", cause: "\(what): \(String(cString: strerror(code)))")
  }

  private func spawn(output: Int32) -> Result<pid_t, ReplError> {
    var actions = posix_spawn_file_actions_t()
    var attributes = posix_spawnattr_t()
    posix_spawn_file_actions_init(&actions)
    posix_spawnattr_init(&attributes)
    defer {
      posix_spawn_file_actions_destroy(&actions)
      posix_spawnattr_destroy(&attributes)
    }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_adddup2(&actions, output, 1)
    posix_spawn_file_actions_adddup2(&actions, output, 2)
    // A hook must not hold the agent's sockets and databases open.
    guard let closeFrom = Self.closeFrom, closeFrom(&actions, 3) == 0 else {
      return .failure(failure("needs glibc 2.34 or newer", ENOSYS))
    }
    var signals = sigset_t()
    sigemptyset(&signals)
    posix_spawnattr_setsigmask(&attributes, &signals)
    sigfillset(&signals)
    posix_spawnattr_setsigdefault(&attributes, &signals)
    posix_spawnattr_setpgroup(&attributes, 0)
    posix_spawnattr_setflags(
      &attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
    let arguments: [UnsafeMutablePointer<CChar>?] = [strdup(path), nil]
    let variables: [UnsafeMutablePointer<CChar>?] = environment.map { strdup($0) } + [nil]
    defer { for text in arguments + variables { free(text) } }
    var process = pid_t()
    var code = posix_spawn(&process, path, &actions, &attributes, arguments, variables)
    // Whoever has just written the hook may still have it open, or a child of theirs that has not yet become another
    // program: over in a moment.
    for _ in 0..<20 where code == ETXTBSY {
      usleep(20_000)
      code = posix_spawn(&process, path, &actions, &attributes, arguments, variables)
    }
    return code == 0 ? .success(process) : .failure(failure("cannot be run", code))
  }

  private typealias CloseFrom =
    @convention(c) (UnsafeMutablePointer<posix_spawn_file_actions_t>, Int32) -> Int32

  /// A GNU extension that the module map of the C library leaves out.
  private static let closeFrom: CloseFrom? = dlsym(nil, "posix_spawn_file_actions_addclosefrom_np").map {
    unsafeBitCast($0, to: CloseFrom.self)
  }

  private func watch(_ process: pid_t, output: Int32) -> Outcome {
    var collected: [UInt8] = []
    let begin = Self.seconds()
    var status: Int32 = 0
    var asked = false
    var forced = false
    while true {
      var waiting = pollfd(fd: output, events: Int16(POLLIN), revents: 0)
      // A program that closed its output has nothing more to wake us with.
      if poll(&waiting, 1, 20) > 0, !Self.drain(output, into: &collected) { usleep(20_000) }
      let ended = waitpid(process, &status, WNOHANG)
      if ended == process || (ended < 0 && errno != EINTR) { break }
      let age = Self.seconds() - begin
      if age > timeLimit, !asked {
        kill(-process, SIGTERM)
        asked = true
      }
      if age > timeLimit + Self.grace, !forced {
        kill(-process, SIGKILL)
        forced = true
      }
      if age > timeLimit + Self.grace + Self.patience { break }
    }
    // What it started and left behind goes with it if its time was up, and may stay otherwise.
    if asked { kill(-process, SIGKILL) }
    _ = Self.drain(output, into: &collected)
    let text = String(decoding: collected, as: UTF8.self)
    if asked { return Outcome(failure: "did not end within \(timeLimit) seconds and was killed", output: text) }
    return Outcome(failure: Self.failure(status), output: text)
  }

  /// The end of a process in words; nil for success. The layout of the status is that of wait(2).
  private static func failure(_ status: Int32) -> String? {
    let signal = status & 0x7F
    if signal != 0 { return "was killed by signal \(signal)" }
    let code = status >> 8 & 0xFF
    return code == 0 ? nil : "exit status \(code)"
  }

  /// Reads what is there; false at the end of the output.
  private static func drain(_ descriptor: Int32, into collected: inout [UInt8]) -> Bool {
    var buffer = [UInt8](repeating: 0, count: 4_096)
    // Bounded, so that a program that prints without end is still watched.
    for _ in 0..<64 {
      let count = read(descriptor, &buffer, buffer.count)
      if count == 0 { return false }
      guard count > 0 else { return true }
      collected += buffer.prefix(min(count, outputLimit - collected.count))
    }
    return true
  }

  private static func seconds() -> Double {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    return Double(now.tv_sec) + Double(now.tv_nsec) / 1e9
  }
}
