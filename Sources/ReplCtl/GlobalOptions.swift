import ArgumentParser

/// How results are printed.
enum OutputForm: String, ExpressibleByArgument, CaseIterable {
  case table, wide, json, yaml
}

/// Options that every verb takes, before or after the verb.
struct GlobalOptions: ParsableArguments {
  @Option(name: .long, help: "Path of the agent's socket.")
  var socket = "/run/repl-agent/agent.sock"

  @Option(name: [.customShort("n"), .customLong("namespace")], help: "Namespace of the objects; default if not given.")
  var givenNamespace: String?

  @Option(name: [.short, .long], help: "Form of the output: table, wide, json or yaml.")
  var output = OutputForm.table

  /// Where the objects are; see `givenNamespace` for commands that mean all namespaces when none is given.
  var namespace: String { givenNamespace ?? "default" }

  var client: AgentClient { AgentClient(socketPath: socket) }

  private static let names: Set<String> = ["--socket", "-n", "--namespace", "-o", "--output"]

  /// The arguments with these options moved to the end, so that they may stand anywhere.
  static func moved(_ arguments: [String]) -> [String] {
    var rest: [String] = []
    var globals: [String] = []
    var index = 0
    while index < arguments.count, arguments[index] != "--" {
      let argument = arguments[index]
      if names.contains(argument), index + 1 < arguments.count {
        globals += [argument, arguments[index + 1]]
        index += 2
        continue
      }
      let name = argument.split(separator: "=", maxSplits: 1).first.map(String.init) ?? ""
      if argument.contains("="), names.contains(name) { globals.append(argument) } else { rest.append(argument) }
      index += 1
    }
    return rest + globals + arguments[index...]
  }
}
