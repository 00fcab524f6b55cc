import APIModel
import KubeModel
import ReplModel
import AgentService

/// The topics of documents between control planes.
enum PeerTopic {
  static let resources = "resources"
  static let schedule = "schedule"
  /// Version of the documents of both topics; a receiver refuses any other.
  static let version: Int64 = 1
  /// Bytes of a document or an answer, as the engine carries them.
  static let limit = 8 << 20
  /// Levels of nesting of a document: an object as deep as the API takes, and what is around it.
  private static let depth = JSONParser.defaultDepth + 16
  /// Values of a document. One carries about two mebibytes of objects, which have some twenty bytes a value; one of eight
  /// million zeros would take hundreds of megabytes.
  static let values = 200_000

  static func bytes(_ json: JSONValue) throws(ReplError) -> [UInt8] {
    let bytes = JSONWriter.bytes(json)
    guard bytes.count <= limit else {
      throw ReplError(
        .invalid, subject: "document for the peer", cause: "has \(bytes.count) bytes, at most \(limit) can be sent",
        remedy: "migrate fewer namespaces or objects at once")
    }
    return bytes
  }

  /// Reads a document of either end.
  static func json(_ bytes: [UInt8], _ what: String) throws(ReplError) -> JSONValue {
    let json: JSONValue
    do throws(JSONParser.Failure) {
      json = try JSONParser.parse(bytes, maximumDepth: depth, maximumValues: values)
    } catch {
      throw ReplError(.protocolViolation, subject: what, cause: "is not JSON: \(error)")
    }
    guard json["version"]?.integer == version else {
      throw ReplError(
        .refused, subject: what, cause: "has version \(json["version"]?.text ?? "none"), this agent knows \(version)",
        remedy: "update the older of the two agents")
    }
    return json
  }
}

/// A volume that travels with a Migration as the peer is told of it.
struct TravellingVolume: Hashable, Sendable {
  var volume: VolumeID
  /// The point this Migration has made; nil if it ships no volumes.
  var point: PointID?
}

/// Objects of a Migration for the peer's control plane, or the names of all that exist, so that others are purged.
struct ResourceDocument: Hashable, Sendable {
  static let itemLimit = 1_000

  /// Namespace and name of the Migration.
  var migration: ObjectName
  var startApplications: Bool
  /// Namespaces of the Migration, with labels and annotations for those that have to be made.
  var namespaces: [KubeObject]
  /// All volumes of the Migration, in each of its documents.
  var volumes: [TravellingVolume]
  var items: [TravellingObject]
  /// Everything that exists at the sender in these namespaces; nil while nothing is to be purged.
  var existing: [ObjectName]?

  var json: JSONValue {
    var json: JSONValue = [
      "version": .integer(PeerTopic.version), "startApplications": .bool(startApplications),
      "migration": ["namespace": .string(migration.namespace), "name": .string(migration.name)],
      "namespaces": .array(namespaces.map(\.json)), "items": .array(items.map(Self.json)),
      "volumes": .array(volumes.map(Self.json)),
    ]
    if let existing {
      json["existing"] = .array(existing.map { .string("\($0.kind)/\($0.namespace)/\($0.name)") })
    }
    return json
  }

  private static func json(_ volume: TravellingVolume) -> JSONValue {
    var json: JSONValue = ["volume": .string(volume.volume.description)]
    if let point = volume.point { json["point"] = .string(point.description) }
    return json
  }

  private static func json(_ item: TravellingObject) -> JSONValue {
    var json: JSONValue = ["object": item.object.json]
    if let volume = item.volume { json["volume"] = .string(volume.description) }
    if let claim = item.claim {
      json["claim"] = ["namespace": .string(claim.namespace), "name": .string(claim.name)]
    }
    return json
  }
}

extension ResourceDocument {
  /// The types of its fields: a wrong one must not be taken for what is the default.
  private static let shape = Schema.object(
    "",
    [
      .boolean("startApplications", ""),
      .object("migration", "", [.string("namespace", ""), .string("name", "")]), .list("namespaces", ""),
      .objects("volumes", "", [.string("volume", ""), .string("point", "")]),
      .objects(
        "items", "",
        [
          .opaque("object", ""), .string("volume", ""),
          .object("claim", "", [.string("namespace", ""), .string("name", "")]),
        ]), .strings("existing", ""),
    ])

  init(_ bytes: [UInt8]) throws(ReplError) {
    let what = "document of resources"
    let json = try PeerTopic.json(bytes, what)
    func malformed(_ cause: String) -> ReplError { ReplError(.protocolViolation, subject: what, cause: cause) }
    migration = ObjectName(
      kind: ResourceKind.migration.kind, namespace: json[at: "migration.namespace"]?.string ?? "",
      name: json[at: "migration.name"]?.string ?? "")
    if let fault = TypeCheck.faults(json, Self.shape).first {
      throw malformed("\(fault.statusCause.field): \(fault.statusCause.message)")
    }
    startApplications = json["startApplications"]?.bool ?? false
    namespaces = (json["namespaces"]?.array ?? []).map { KubeObject($0) }
    volumes = []
    for entry in json["volumes"]?.array ?? [] {
      let point = entry["point"]?.string.flatMap { PointID($0) }
      guard let volume = entry["volume"]?.string.flatMap({ VolumeID($0) }), point != nil || entry["point"] == nil
      else { throw malformed("names a volume without its ids") }
      volumes.append(TravellingVolume(volume: volume, point: point))
    }
    items = (json["items"]?.array ?? []).map(Self.item)
    guard items.count <= Self.itemLimit else {
      throw malformed("has \(items.count) objects, at most \(Self.itemLimit) may be in one")
    }
    existing = nil
    if let names = json["existing"]?.array {
      existing = []
      for name in names {
        let parts = (name.string ?? "").split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 3 else { throw malformed("has a name of an object that is not kind/namespace/name") }
        existing?.append(ObjectName(kind: parts[0], namespace: parts[1], name: parts[2]))
      }
    }
  }

  private static func item(_ json: JSONValue) -> TravellingObject {
    let claim = json["claim"].map {
      ObjectName(
        kind: ResourceKind.persistentVolumeClaim.kind, namespace: $0["namespace"]?.string ?? "",
        name: $0["name"]?.string ?? "")
    }
    return TravellingObject(
      object: KubeObject(json["object"] ?? .object([:])), volume: json["volume"]?.string.flatMap { VolumeID($0) },
      claim: claim)
  }
}

/// The answer to a ``ResourceDocument``.
enum ResourceAnswer {
  static func bytes(_ results: [ResourceResult]) throws(ReplError) -> [UInt8] {
    let list = results.map { result -> JSONValue in
      [
        "name": .string(result.name), "namespace": .string(result.namespace), "group": .string(result.group),
        "version": .string(result.version), "kind": .string(result.kind), "status": .string(result.status.rawValue),
        "reason": .string(String(result.reason.prefix(ResourceResult.reasonLimit))),
      ]
    }
    return try PeerTopic.bytes(["version": .integer(PeerTopic.version), "results": .array(list)])
  }

  static func results(_ bytes: [UInt8]) throws(ReplError) -> [ResourceResult] {
    let json = try PeerTopic.json(bytes, "the peer's answer to a document of resources")
    return (json["results"]?.array ?? []).map { entry in
      func text(_ key: String) -> String { String((entry[key]?.string ?? "").prefix(ResourceResult.reasonLimit)) }
      let state = ResourceResult.State(rawValue: text("status")) ?? .failed
      return ResourceResult(
        name: text("name"), namespace: text("namespace"), group: text("group"), version: text("version"),
        kind: text("kind"), status: state,
        reason: text("reason"))
    }
  }
}

extension ResourceResult {
  /// Characters of a reason: many are kept in one status.
  static let reasonLimit = 512

  /// What became of an object; the core group is called `core`.
  init(_ object: KubeObject, _ status: State, _ reason: String) {
    let parts = object.apiVersion.split(separator: "/", maxSplits: 1).map(String.init)
    self.init(
      name: object.name, namespace: object.namespace, group: parts.count == 2 ? parts[0] : "core",
      version: parts.last ?? "", kind: object.kind, status: status, reason: reason)
  }

  static func migrated(_ object: KubeObject) -> ResourceResult {
    ResourceResult(object, .successful, "Resource migrated successfully")
  }

  static func failed(_ object: KubeObject, _ reason: String) -> ResourceResult {
    ResourceResult(object, .failed, reason)
  }
}
