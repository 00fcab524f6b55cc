import APIModel
import ArgumentParser

struct VolumeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "volume", abstract: "Makes, imports, lists and deletes volumes.",
    subcommands: [VolumeCreate.self, VolumeImport.self, VolumeList.self, VolumeDelete.self])
}

struct VolumeCreate: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "create", abstract: "Makes a new, empty volume in a pool.")

  @Argument(help: "Name of the volume.") var name: String
  @Option(help: "Size, such as 4Gi, 4GiB, 500MB or a number of bytes.") var size: ByteSize
  @Option(help: "Pool; the first of the configuration if not given.") var pool: String?
  @OptionGroup var options: GlobalOptions

  func run() throws {
    var body: JSONValue = [
      "namespace": .string(options.namespace), "name": .string(name), "size": .string(String(size.bytes)),
    ]
    if let pool { body["pool"] = .string(pool) }
    let report = try options.client.send("POST", ["agent", "v1", "volumes"], body: body)
    try options.print(report) {
      "Volume \(options.namespace)/\(name) created at \(Field.text(report, "path"))"
    }
  }
}

struct VolumeImport: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "import", abstract: "Takes an existing file or block device into the agent.")

  @Argument(help: "Name of the volume.") var name: String
  @Option(help: "Absolute path of the file or device.") var path: String
  @Option(help: "Pool; the one on the same file system if not given.") var pool: String?
  @Option(help: "none: take points of a volume that may be changing meanwhile; they are marked fuzzy.")
  var consistency: String?
  @OptionGroup var options: GlobalOptions

  func validate() throws {
    guard path.hasPrefix("/") else { throw ValidationError("'\(path)' is not an absolute path") }
    guard consistency == nil || consistency == "none" else {
      throw ValidationError("--consistency knows only none")
    }
  }

  func run() throws {
    var body: JSONValue = [
      "namespace": .string(options.namespace), "name": .string(name), "path": .string(path),
    ]
    if let pool { body["pool"] = .string(pool) }
    if let consistency { body["consistency"] = .string(consistency) }
    let report = try options.client.send("POST", ["agent", "v1", "volumes:import"], body: body)
    try options.print(report) {
      let reason = Field.text(report, "changeSourceReason")
      return "Volume \(options.namespace)/\(name) imported from \(path), change source "
        + Field.text(report, "changeSource") + (reason.isEmpty ? "" : " (\(reason))")
    }
  }
}

struct VolumeList: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list",
    abstract: "Lists volumes, own ones and those held for a peer: of all namespaces, or of the one given.")

  @OptionGroup var options: GlobalOptions

  func run() throws {
    let reports = try options.client.send("GET", ["agent", "v1", "volumes"])
    let volumes = Self.volumes(reports, in: options.givenNamespace)
    try options.print(.array(volumes)) {
      volumes.isEmpty ? "No resources found." : VolumeTable.text(volumes, wide: options.output == .wide)
    }
  }
}

extension VolumeList {
  /// The volumes of a namespace; of all if it is nil.
  static func volumes(_ reports: JSONValue, in namespace: String?) -> [JSONValue] {
    (reports.array ?? []).filter { namespace == nil || $0["namespace"]?.string == namespace }
  }
}

struct VolumeDelete: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "delete", abstract: "Takes a volume out of the agent; its data stays unless told otherwise.")

  @Argument(help: "Name of the volume.") var name: String
  @Flag(help: "Delete the live file too. Recovery points stay until they age out.") var data = false
  @Option(help: "The volume's name again, needed with --data.") var confirm: String?
  @OptionGroup var options: GlobalOptions

  func run() throws {
    if data, confirm != name {
      throw Failure(
        .refused, "volume \(options.namespace)/\(name)", "deleting its data must be confirmed by its name",
        remedy: "repeat with --confirm \(name)")
    }
    var query: [(String, String)] = []
    if data { query = [("data", "true"), ("confirm", name)] }
    let report = try options.client.send(
      "DELETE", ["agent", "v1", "volumes", options.namespace, name], query: query)
    try options.print(report) {
      "Volume \(options.namespace)/\(name) deleted" + (data ? " with its data" : "; its data stays")
    }
  }
}
