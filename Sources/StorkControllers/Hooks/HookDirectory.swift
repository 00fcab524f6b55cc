import Foundation
import Glibc
import Logging
import ReplModel

/// Hooks are files of one directory that only their owner, root, can change.
struct HookDirectory: HookRunner {
  static let defaultPath = "/etc/repl-agent/hooks.d"

  var path: String
  /// Who must own the directory and the hooks.
  var owner: UInt32 = 0
  /// Seconds a hook may run.
  var timeLimit: Double = 60
  var logger: Logger

  func check(_ hook: String) throws(ReplError) {
    guard RuleHooks.isName(hook) else {
      throw ReplError(.invalid, subject: "hook", cause: "is not the name of a file in \(path)")
    }
    try check(path, isDirectory: true)
    try check("\(path)/\(hook)", isDirectory: false)
  }

  private func check(_ file: String, isDirectory: Bool) throws(ReplError) {
    func refused(_ cause: String, _ remedy: String) -> ReplError {
      ReplError(.refused, subject: "hook \(file)", cause: cause, remedy: remedy)
    }
    var status = stat()
    guard lstat(file, &status) == 0 else {
      throw refused(String(cString: strerror(errno)), "put an executable file of this name there")
    }
    guard status.st_mode & S_IFMT == (isDirectory ? S_IFDIR : S_IFREG) else {
      throw refused("is not a \(isDirectory ? "directory" : "regular file")", "links are not followed")
    }
    guard status.st_uid == owner else { throw refused("is not owned by root", "chown root \(file)") }
    guard status.st_mode & 0o022 == 0 else {
      throw refused("its group or others may write to it", "chmod go-w \(file)")
    }
    guard status.st_mode & 0o100 != 0 else { throw refused("is not executable", "chmod u+x \(file)") }
  }

  func run(_ call: HookCall) async throws(ReplError) {
    try check(call.hook)
    let process = HookProcess(path: "\(path)/\(call.hook)", environment: call.environment, timeLimit: timeLimit)
    // A thread of its own: waiting for a program must not take one of the few that tasks run on.
    let result: Result<HookProcess.Outcome, ReplError> = await withCheckedContinuation { continuation in
      Thread.detachNewThread {
        do throws(ReplError) { continuation.resume(returning: .success(try process.run())) } catch {
          continuation.resume(returning: .failure(error))
        }
      }
    }
    let outcome = try result.get()
    logger.log(
      level: outcome.failure == nil ? .info : .warning, "hook ended",
      metadata: [
        "hook": "\(call.hook)", "rule": "\(call.rule)", "phase": "\(call.phase.rawValue)",
        "migration": "\(call.migrationNamespace)/\(call.migrationName)", "namespace": "\(call.namespace)",
        "result": "\(outcome.failure ?? "done")", "output": "\(outcome.output)",
      ])
    guard let failure = outcome.failure else { return }
    throw ReplError(
      .refused, subject: "hook \(call.hook)", cause: failure, remedy: "the agent's log has what it printed")
  }
}
