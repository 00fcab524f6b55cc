import APIModel
import ArgumentParser

/// `pair token` alone prints a new one.
struct PairToken: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "token",
    abstract: "Prints a token with which another agent can pair with this one; lists and withdraws them.",
    subcommands: [PairTokenCreate.self, PairTokenList.self, PairTokenDelete.self],
    defaultSubcommand: PairTokenCreate.self)
}

struct PairTokenCreate: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "create", abstract: "Prints a token with which another agent can pair with this one.")

  @Option(name: .customLong("for"), help: "Cluster id of the only site that may use it.") var cluster: String?
  @OptionGroup var options: GlobalOptions

  func run() throws {
    let body: JSONValue? = cluster.map { ["cluster": .string($0)] }
    let answer = try options.client.send("POST", ["agent", "v1", "pairtokens"], body: body)
    try options.print(answer) { Field.text(answer, "token") }
  }
}

struct PairTokenList: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "Lists the tokens that are good. Their secrets are not shown again.")

  @OptionGroup var options: GlobalOptions

  func run() throws {
    let answer = try options.client.send("GET", ["agent", "v1", "pairtokens"])
    try options.print(answer) {
      var table = TextTable(["ID", "CREATED", "EXPIRES", "FOR", "USED-BY"])
      table.rows = (answer.array ?? []).map { token in
        ["id", "createdAt", "expiresAt", "boundCluster", "usedBy"].map { Field.text(token, $0) }
      }
      return table.text
    }
  }
}

struct PairTokenDelete: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "delete",
    abstract: "Withdraws a token. A cluster that has paired with it stays trusted; see pair revoke.")

  @Argument(help: "Id of the token, or an unambiguous beginning of it.") var id: String
  @OptionGroup var options: GlobalOptions

  func run() throws {
    let answer = try options.client.send("DELETE", ["agent", "v1", "pairtokens", id])
    try options.print(answer) { "Token \(Field.text(answer, "id")) is withdrawn" }
  }
}
