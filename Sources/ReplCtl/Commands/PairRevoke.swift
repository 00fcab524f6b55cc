import ArgumentParser

/// For the side that printed the token: it may have no ClusterPair to delete.
struct PairRevoke: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "revoke", abstract: "Ends all trust in a cluster that has paired with this one, at once.",
    discussion: "`replctl status` lists the clusters trusted here. Points stay.")

  @Argument(help: "Id of the cluster.") var cluster: String
  @OptionGroup var options: GlobalOptions

  func run() throws {
    let answer = try options.client.send("DELETE", ["agent", "v1", "peers", cluster])
    try options.print(answer) { "Cluster \(cluster) is trusted no more" }
  }
}
