import APIModel
import KubeModel

// Server-side apply.
extension ObjectAPI {
  /// Merges what a manager wants into an object, and makes the object when there is none.
  func apply(
    _ request: APIRequest, _ path: ResourcePath, _ name: String, _ patch: PatchBody, _ manager: FieldManager
  ) async throws(StatusError) -> APIResponse {
    let form = try form(request, path.kind)
    let (namespace, dryRun) = (path.namespace ?? "", try Self.dryRun(request))
    var config = KubeObject(patch.value)
    try RequestBody.checkType(&config, kind: path.kind)
    try Self.place(&config, path)
    if config.name.isEmpty { config[metadata: "name"] = .string(name) }
    // Compared in the form in which it is stored, so that applying the same again changes nothing.
    config = path.kind.converted(config)
    let apply = ServerSideApply(
      kind: path.kind, config: config.json, manager: manager, force: request.flag("force"), now: clock())
    let warnings = Mailbox<[String]>([])
    let change: @Sendable (KubeObject) throws(StatusError) -> KubeObject = { old throws(StatusError) in
      let object = try patch.apply(to: old, apply)
      warnings.set(try patch.warnings(object))
      return object
    }
    // Another writer may make or delete the object between the two steps.
    for attempt in 1... {
      do {
        let result = try await store.update(
          path.kind, namespace: namespace, name: name, part: Self.part(path), dryRun: dryRun, tracking: .applied,
          change: change)
        return .json(200, form.one(result), warnings: warnings.value)
      } catch  where error.code == 404 && path.subresource == nil && error.kind == path.kind.plural {
        guard config.uid.isEmpty else { throw Self.goneForUID(path.kind, config) }
      }
      do {
        var object = try change(path.kind.object(name: name))
        try Self.place(&object, path)
        let created = try await store.create(path.kind, object, dryRun: dryRun, tracking: .applied)
        return .json(201, form.one(created), warnings: warnings.value)
      } catch  where error.reason == "AlreadyExists" && attempt < 5 { continue }
    }
    throw path.kind.conflict(name)
  }

  private static func goneForUID(_ kind: ResourceKind, _ config: KubeObject) -> StatusError {
    StatusError(
      409, "Conflict",
      "Operation cannot be fulfilled on \(kind.resource) \"\(config.name)\": uid mismatch: the provided object specified "
        + "uid \(config.uid), and no existing object was found", name: config.name, group: kind.group, kind: kind.plural
    )
  }
}

extension FieldManager {
  /// The manager a write request names, or else the first part of its `User-Agent`.
  init(_ request: APIRequest, _ path: ResourcePath, options: String) throws(StatusError) {
    let named = request.query["fieldManager"] ?? ""
    if !named.isEmpty { try Self.check(named, options) }
    let agent = request.userAgent.prefix { $0 != "/" }.filter(Self.isPrintable)
    let name = named.isEmpty ? Self.bounded(agent) : named
    self.init(name.isEmpty ? "unknown" : name, subresource: path.subresource ?? "")
  }

  /// Bytes a name may have.
  private static let maximumLength = 128

  private static func check(_ name: String, _ options: String) throws(StatusError) {
    let problem: String
    if name.utf8.count > maximumLength {
      problem = "Too long: may not be more than \(maximumLength) bytes"
    } else if !name.allSatisfy(isPrintable) {
      problem = "Invalid value: \(JSONValue.string(name).compactText): should only contain printable characters"
    } else {
      return
    }
    throw StatusError(422, "Invalid", "\(options).meta.k8s.io \"\" is invalid: fieldManager: \(problem)")
  }

  private static func isPrintable(_ character: Character) -> Bool {
    character.unicodeScalars.allSatisfy { scalar in
      switch scalar.properties.generalCategory {
      case .control, .format, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator: false
      case .spaceSeparator: scalar == " "
      default: true
      }
    }
  }

  private static func bounded(_ text: String) -> String {
    var text = text
    while text.utf8.count > maximumLength { text.removeLast() }
    return text
  }
}
