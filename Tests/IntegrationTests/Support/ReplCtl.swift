import FoundationEssentials

/// `replctl` against one agent's socket.
struct ReplCtl {
  let binary: String
  let socket: String

  /// Runs a verb and returns how it ended, whatever that was.
  func run(_ arguments: [String], seconds: Double = 120) throws -> CommandOutput {
    try Command.run([binary] + arguments + ["--socket", socket], seconds: seconds)
  }

  /// Runs a verb that has to succeed.
  @discardableResult
  func check(_ arguments: String..., seconds: Double = 120) throws -> String {
    let result = try run(arguments, seconds: seconds)
    guard result.status == 0 else { throw Failure(result.summary) }
    return result.output
  }

  /// Runs a verb that has to succeed with `-o json` and reads what it prints.
  func json<Value: Decodable>(_ type: Value.Type = Value.self, _ arguments: String...) throws -> Value {
    let result = try run(arguments + ["-o", "json"])
    guard result.status == 0 else { throw Failure(result.summary) }
    return try decode(result.output)
  }

  private func decode<Value: Decodable>(_ text: String) throws -> Value {
    do {
      return try JSONDecoder().decode(Value.self, from: Data(text.utf8))
    } catch {
      throw Failure("replctl printed what is not \(Value.self): \(error): \(text.prefix(2000))")
    }
  }
}

/// `replctl volume … -o json`.
struct VolumeView: Decodable {
  var id: String
  var namespace: String
  var name: String
  var path: String
  var sizeBytes: UInt64
  var role: String
  var changeSource: String?
  var lagSeconds: Double?
}

/// `replctl recovery-points … -o json`: the field names are a contract.
struct PointView: Decodable, Equatable {
  var id: String
  var generation: UInt64
  var takenAt: String
  var sealedAt: String
  var sizeBytes: UInt64
  var fingerprint: String
  var group: String
  var consistency: String
  var proof: String
  var provenAt: String?
  var state: String
  var path: String
}

/// What a Migration's status says of one volume.
struct VolumeProgress: Decodable {
  var persistentVolumeClaim: String?
  var status: String
  var reason: String?
  var changeSource: String?
  var fullReason: String?
  var bytesTotal: UInt64?
  var bytesDone: UInt64?
  var bytesChanged: UInt64?
  var bytesOnWire: UInt64?
  var seconds: Double?
  var stallMilliseconds: Double?
  var proof: String?
  var point: String?
}

/// A Migration, by itself or as the one item of a List.
struct MigrationView: Decodable {
  struct Status: Decodable {
    var stage: String?
    var status: String?
    var reason: String?
    var volumes: [VolumeProgress]?
  }
  var status: Status

  private enum Keys: CodingKey { case status, items }

  init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: Keys.self)
    if let items = try container.decodeIfPresent([MigrationView].self, forKey: .items) {
      guard let first = items.first else { throw Failure("the list of migrations is empty") }
      self = first
    } else {
      status = try container.decodeIfPresent(Status.self, forKey: .status) ?? Status()
    }
  }

  var isFinal: Bool { ["Successful", "Failed", "PartialSuccess", "Purged"].contains(status.status ?? "") }
  var isSuccessful: Bool { status.status == "Successful" }
  var volumes: [VolumeProgress] { status.volumes ?? [] }
  /// Everything the status gives as a reason, in one line.
  var reasons: String {
    let members = volumes.map { "\($0.persistentVolumeClaim ?? ""): \($0.reason ?? "")" }
    return ([status.reason ?? ""].filter { !$0.isEmpty } + members).joined(separator: "; ")
  }
  var bytesDone: UInt64 { volumes.reduce(0) { $0 + ($1.bytesDone ?? 0) } }
}

/// `replctl verify … -o json`.
struct VerifyView: Decodable {
  struct Side: Decodable {
    var side: String
    var read: Bool
    var equal: Bool
    var damagedSegments: [UInt64]?
  }
  var point: String
  var equal: Bool
  var sides: [Side]
}
