public import APIModel
public import KubeModel

/// The embedded store as controllers see it: what it can do beyond a Kubernetes API server is not theirs to use.
extension SQLiteObjectStore: KubeStore {
  public func list(_ kind: ResourceKind, namespace: String?, labels: LabelSelector) async throws(StatusError)
    -> KubeList
  {
    let page = try await list(ListQuery(kind, namespace: namespace, labels: labels))
    return KubeList(items: page.items, version: ResourceVersion(String(page.version)))
  }

  public func page(_ kind: ResourceKind, namespace: String, after token: String?) async throws(StatusError) -> KubePage
  {
    var query = ListQuery(kind, namespace: namespace)
    query.maximumBytes = 2 << 20
    query.after = token.map { (namespace, $0) }
    let page = try await list(query)
    return KubePage(items: page.items, next: page.more ? page.items.last?.name : nil)
  }

  public func create(_ kind: ResourceKind, _ object: KubeObject) async throws(StatusError) -> KubeObject {
    try await create(kind, object, dryRun: false, tracking: Self.tracking(kind))
  }

  public func update(_ kind: ResourceKind, _ object: KubeObject) async throws(StatusError) -> KubeObject {
    try await write(kind, object, kind.hasStatus ? .main : .whole)
  }

  public func updateStatus(_ kind: ResourceKind, _ object: KubeObject) async throws(StatusError) -> KubeObject {
    try await write(kind, object, kind.hasStatus ? .status : .whole)
  }

  private func write(_ kind: ResourceKind, _ object: KubeObject, _ part: ObjectPart) async throws(StatusError)
    -> KubeObject
  {
    try await update(
      kind, namespace: object.namespace, name: object.name, part: part, dryRun: false, tracking: Self.tracking(kind)
    ) { _ in object }
  }

  public func patch(_ kind: ResourceKind, namespace: String, name: String, merge: JSONValue)
    async throws(StatusError) -> KubeObject
  {
    try await update(
      kind, namespace: namespace, name: name, part: kind.hasStatus ? .main : .whole, dryRun: false,
      tracking: Self.tracking(kind)
    ) { old in KubeObject(MergePatch.apply(merge, to: old.json)) }
  }

  public func watch(_ kind: ResourceKind, after version: ResourceVersion) async throws(StatusError) -> any KubeWatch {
    guard let position = Int64(version.text) else {
      throw StatusError(410, "Expired", "unknown resource version: \(version.text.prefix(64))")
    }
    return KindWatch(resource: kind.resource, changes: try await watch(after: position))
  }

  /// Events are written by one program only, and there are many: who owns their fields is not noted down.
  private static func tracking(_ kind: ResourceKind) -> FieldTracking {
    kind.resource == ResourceKind.event.resource ? .none : .controller
  }
}

/// The changes of one kind.
private struct KindWatch: KubeWatch {
  var resource: String
  var changes: ObjectWatch

  func next() async throws(StatusError) -> [KubeEvent]? {
    while let batch = try await changes.next() {
      var events: [KubeEvent] = []
      for change in batch where change.resource == resource {
        events.append(KubeEvent(change.action, try change.object.decoded()))
      }
      if !events.isEmpty { return events }
    }
    return nil
  }
}
