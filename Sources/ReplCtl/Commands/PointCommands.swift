import APIModel
import ArgumentParser

struct RecoveryPointsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "recovery-points", abstract: "Lists the recovery points of a volume, or clones one.",
    subcommands: [PointList.self, PointClone.self], defaultSubcommand: PointList.self)
}

struct PointList: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "Lists the points of a volume, newest first.")

  @Argument(help: "Name of the volume.") var name: String
  @OptionGroup var options: GlobalOptions

  func run() throws {
    let points = try options.client.send("GET", ["agent", "v1", "recoverypoints", options.namespace, name])
    try options.print(points) { Self.table(points.array ?? [], wide: options.output == .wide) }
  }

  private static func table(_ points: [JSONValue], wide: Bool) -> String {
    guard !points.isEmpty else { return "No resources found." }
    var table = TextTable(["ID", "GENERATION", "TAKEN", "SEALED", "SIZE", "CONSISTENCY", "PROOF", "STATE"])
    if wide { table.header += ["PROVEN", "GROUP", "FINGERPRINT", "PATH"] }
    table.rows = points.map { point in
      var row = ["id", "generation", "takenAt", "sealedAt"].map { Field.text(point, $0) }
      row += [Field.size(point, "sizeBytes")] + ["consistency", "proof", "state"].map { Field.text(point, $0) }
      if wide { row += ["provenAt", "group", "fingerprint", "path"].map { Field.text(point, $0) } }
      return row
    }
    return table.text
  }
}

struct PointClone: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "clone", abstract: "Writes a writable clone of a recovery point to a file.")

  @Argument(help: "Name of the volume.") var name: String
  @Option(help: "Absolute path of the file to make.") var to: String
  @OptionGroup var chosen: PointArgument
  @OptionGroup var options: GlobalOptions

  func validate() throws {
    guard to.hasPrefix("/") else { throw ValidationError("'\(to)' is not an absolute path") }
  }

  func run() throws {
    var body: JSONValue = ["to": .string(to)]
    let client = options.client
    if let point = try chosen.id(client, namespace: options.namespace, volume: name) { body["point"] = .string(point) }
    let report = try client.send(
      "POST", ["agent", "v1", "recoverypoints", options.namespace, name, "clone"], body: body)
    if Field.text(report, "state") == "suspect" {
      Console.error("warning: point \(Field.text(report, "id")) is suspect: what it holds may not be what was sealed")
    }
    try options.print(report) { "Point \(Field.text(report, "id")) cloned to \(to)" }
  }
}

struct VerifyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify", abstract: "Reads a recovery point and its twin and compares both with their seals.")

  @Argument(help: "Name of the volume.") var name: String
  @Flag(help: "Compare the stored seals only; nothing is read.") var quick = false
  @OptionGroup var chosen: PointArgument
  @OptionGroup var options: GlobalOptions

  func run() throws {
    var body: JSONValue = ["quick": .bool(quick)]
    let client = options.client
    if let point = try chosen.id(client, namespace: options.namespace, volume: name) { body["point"] = .string(point) }
    let report = try client.send(
      "POST", ["agent", "v1", "recoverypoints", options.namespace, name, "verify"], body: body)
    try options.print(report) { text(report) }
    let isMissed = (report["sides"]?.array ?? []).first { $0["reachable"]?.bool == false }
    if report["equal"]?.bool == true, let isMissed {
      throw Failure(
        .unreachable, "cluster \(Field.text(isMissed, "cluster"))",
        "its side was not checked: \(Field.text(isMissed, "reason"))",
        remedy: "what could be read here equals its seal; verify again when the peer answers")
    }
    guard report["equal"]?.bool == true else {
      throw Failure(
        .failed, "volume \(options.namespace)/\(name)",
        "point \(Field.text(report, "point")) does not equal its seal", remedy: "see the sides above")
    }
  }

  private static func equal(_ side: JSONValue) -> String {
    side["checked"]?.bool == false ? "not checked" : Field.text(side, "equal")
  }

  private func text(_ report: JSONValue) -> String {
    var table = TextTable(["SIDE", "CLUSTER", "EQUAL", "READ", "FINGERPRINT", "DAMAGED-SEGMENTS", "REASON"])
    table.rows = (report["sides"]?.array ?? []).map { side in
      [
        Field.text(side, "side"), Field.text(side, "cluster"), Self.equal(side),
        side["read"]?.bool == true ? Field.size(side, "bytesRead") : "nothing", Field.text(side, "fingerprint"),
        String(side["damagedSegments"]?.array?.count ?? 0), Field.text(side, "reason"),
      ]
    }
    let note = quick ? "\nQuick: stored seals were compared, no data was read." : ""
    return "Point \(Field.text(report, "point"))  seal \(Field.text(report, "sealFingerprint"))\n\n\(table.text)\(note)"
  }
}
