import APIModel
import ArgumentParser

struct VersionCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "version", abstract: "Shows the versions of this program and of the agent.")

  @OptionGroup var options: GlobalOptions

  func run() throws {
    // Said even when no agent answers.
    let own = "replctl Version: \(ReplCtl.version)"
    let isTable = options.output == .table || options.output == .wide
    if isTable { Console.standard.line(own) }
    let status = try options.client.send("GET", ["agent", "v1", "status"])
    let agent = Field.text(status, "version")
    try options.print(["replctl": .string(ReplCtl.version), "repl-agent": .string(agent)]) {
      "repl-agent Version: \(agent)"
    }
  }
}

struct CompletionCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "completion", abstract: "Prints a completion script for a shell.",
    discussion: """
      bash: source <(replctl completion bash)
      zsh:  replctl completion zsh > "${fpath[1]}/_replctl"
      fish: replctl completion fish > ~/.config/fish/completions/replctl.fish
      """)

  enum Shell: String, ExpressibleByArgument, CaseIterable {
    case bash, zsh, fish

    var known: CompletionShell {
      switch self {
      case .bash: .bash
      case .zsh: .zsh
      case .fish: .fish
      }
    }
  }

  @Argument(help: "bash, zsh or fish.") var shell: Shell
  @OptionGroup var options: GlobalOptions

  func run() { Console.standard.document(ReplCtl.completionScript(for: shell.known) + "\n") }
}
