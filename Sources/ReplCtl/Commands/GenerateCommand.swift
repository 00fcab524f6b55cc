import APIModel
import ArgumentParser

struct GenerateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "generate", abstract: "Prints manifests for the other site.", subcommands: [GenerateClusterPair.self])
}

struct GenerateClusterPair: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "clusterpair",
    abstract: "Prints a ClusterPair to be applied at the other site.",
    discussion: """
      With --ip the manifest holds a fresh token of this agent and is complete: whoever reads it within a day can pair
      with this site. Without it the storage options are those of --storageoptions, or a placeholder to fill in.
      """)

  @Argument(help: "Name of the ClusterPair.") var names: [String] = []
  @Option(help: "Address by which the other site reaches this agent.") var ip: String?
  @Option(help: "Control port of this agent.") var port: UInt16 = 9_001
  @Option(help: "Default, DisasterRecovery or OneTimeMigration.") var mode: String?
  @Option(name: [.customShort("s"), .customLong("storageoptions")], help: "Storage options k=v,...")
  var storageOptions = ""
  @OptionGroup var options: GlobalOptions

  func run() throws {
    guard names.count == 1, let name = names.first else {
      throw Failure.usage("exactly one name needs to be provided for cluster pair name")
    }
    var values = try KeyValues.parse(storageOptions, flag: "storageoptions")
    if let ip {
      let token = Field.text(try options.client.send("POST", ["agent", "v1", "pairtokens"]), "token")
      values.merge(["ip": .string(ip), "port": .string(String(port)), "token": .string(token)]) { $1 }
    }
    if let mode { values["mode"] = .string(mode) }
    if values.isEmpty { values = ["insert_storage_options_here": ""] }
    var object = KubeObject(
      apiVersion: "stork.libopenstorage.org/v1alpha1", kind: "ClusterPair", namespace: options.namespace, name: name)
    object.json["spec"] = ["options": .object(values)]
    if options.output == .json {
      Console.standard.document(JSONText.printable(object.json) + "\n")
    } else {
      Console.standard.document(try YAML.text(object.json))
    }
  }
}
