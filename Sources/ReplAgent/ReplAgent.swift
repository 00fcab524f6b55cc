import ArgumentParser
import Foundation
import ReplModel

/// The daemon that runs on every storage node.
@main
struct ReplAgent: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "repl-agent", abstract: "Replicates volumes to the agent of another site.", version: "0.1.0",
    subcommands: [RunCommand.self, CheckConfigCommand.self, RecoverCommand.self])

  static func main() async {
    do {
      var command = try parseAsRoot()
      if var command = command as? any AsyncParsableCommand { try await command.run() } else { try command.run() }
    } catch {
      // The parser's own way out has another code for misuse.
      let code = ExitCodes.code(endingWith: error)
      guard code == ExitCodes.usage else { exit(withError: error) }
      let message = fullMessage(for: error)
      if !message.isEmpty { FileHandle.standardError.write(Data("\(message)\n".utf8)) }
      Foundation.exit(code)
    }
  }
}

struct ConfigurationOption: ParsableArguments {
  @Option(name: .long, help: "The configuration file.")
  var config: String

  func load() throws -> AgentConfiguration { try ExitCodes.explained { try AgentConfiguration.load(config) } }
}

/// Exit codes of the contract: 1 failed, 2 usage, 3 not found, 4 refused by state.
enum ExitCodes {
  static let usage: Int32 = 2

  /// The code of the process for what ended a command, or kept the arguments from being one.
  static func code(endingWith error: any Error) -> Int32 {
    let code = ReplAgent.exitCode(for: error)
    return code == .validationFailure ? usage : code.rawValue
  }

  /// Runs `body`; an error is printed with its remedy and becomes the exit code of its kind.
  static func explained<Value>(_ body: () throws -> Value) throws -> Value {
    do {
      return try body()
    } catch let error as ReplError {
      throw exit(error)
    }
  }

  /// Prints an error for people.
  static func exit(_ error: ReplError) -> ExitCode {
    var text = "error: \(error.subject): \(error.cause)\n"
    if let remedy = error.remedy { text += "remedy: \(remedy)\n" }
    FileHandle.standardError.write(Data(text.utf8))
    return ExitCode(code(for: error.kind))
  }

  static func code(for kind: ReplError.Kind) -> Int32 {
    switch kind {
    case .invalid: usage
    case .notFound: 3
    case .refused, .exists, .noSpace, .noPointInTime, .diverged: 4
    default: 1
    }
  }
}

struct CheckConfigCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check-config", abstract: "Says what is wrong with a configuration file, by line.")
  @OptionGroup var file: ConfigurationOption

  func run() throws {
    let configuration = try file.load()
    let check = ConfigurationCheck(configuration: configuration)
    var worst: ExitCode?
    for error in check.errors { worst = ExitCodes.exit(error) }
    if let worst { throw worst }
    for warning in check.warnings { FileHandle.standardError.write(Data("warning: \(warning)\n".utf8)) }
    print("\(file.config): ok, cluster \(configuration.engine.clusterID), \(configuration.engine.pools.count) pools")
  }
}
