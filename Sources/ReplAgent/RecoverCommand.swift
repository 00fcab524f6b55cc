import ArgumentParser
import ReplModel
import ReplicationEngine

/// Rebuilds the database from the pools after it was lost.
struct RecoverCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "recover", abstract: "Rebuilds the agent's database from the seals in its pools.")
  @OptionGroup var file: ConfigurationOption

  func run() throws {
    let configuration = try file.load()
    let report = try ExitCodes.explained { try DatabaseRecovery(configuration.engine).run() }
    for line in report.lines { print(line) }
  }
}
