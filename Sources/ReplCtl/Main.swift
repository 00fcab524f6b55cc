import ArgumentParser
import Glibc

/// Where the program begins: arguments in, exit code out.
@main
enum Main {
  static func main() {
    // A reader that goes away is not a reason to die without a word.
    signal(SIGPIPE, SIG_IGN)
    exit(run(Array(CommandLine.arguments.dropFirst())))
  }

  /// The parser would complain of whatever comes after a verb it does not know.
  private static func checkVerb(_ arguments: [String]) throws(Failure) {
    guard let verb = GlobalOptions.moved(arguments).first, !verb.hasPrefix("-"), verb != "help" else { return }
    guard !ReplCtl.configuration.subcommands.contains(where: { $0.configuration.commandName == verb }) else { return }
    let verbs = ReplCtl.configuration.subcommands.map { $0.configuration.commandName ?? "" }
    throw Failure(
      .usage, "", "unknown command \"\(verb)\" for \"replctl\"",
      remedy: Suggestion.remedy(verb, among: verbs, otherwise: "replctl --help"))
  }

  /// Runs a command line and returns its exit code.
  static func run(_ arguments: [String]) -> Int32 {
    do {
      try checkVerb(arguments)
      var command = try ReplCtl.parseAsRoot(BooleanOptions.completed(GlobalOptions.moved(arguments)))
      try command.run()
      return Console.standard.finish()
    } catch let failure as Failure {
      failure.print()
      return failure.code.rawValue
    } catch {
      let code = ReplCtl.exitCode(for: error)
      let message = ReplCtl.fullMessage(for: error)
      if code == .success {
        if !message.isEmpty { Console.standard.line(message) }
        return Console.standard.finish()
      }
      Console.error(message)
      return code == .validationFailure ? Failure.Code.usage.rawValue : code.rawValue
    }
  }
}

/// The command-line client of an agent's local socket.
struct ReplCtl: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "replctl",
    abstract: "Drives a repl-agent through its local socket.",
    discussion: """
      Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 refused by state, 5 agent unreachable.
      """,
    version: ReplCtl.version,
    subcommands: [
      StatusCommand.self, VolumeCommand.self, PairCommand.self, GetCommand.self, DescribeCommand.self,
      CreateCommand.self, ApplyCommand.self, DeleteCommand.self, SuspendCommand.self, ResumeCommand.self,
      ActivateCommand.self, DeactivateCommand.self, PerformCommand.self, GenerateCommand.self,
      RecoveryPointsCommand.self, VerifyCommand.self, WaitCommand.self, KubeconfigCommand.self,
      CompletionCommand.self, VersionCommand.self,
    ])

  static let version = "0.1.0"
}
