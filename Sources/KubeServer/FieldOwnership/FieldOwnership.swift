import APIModel
import KubeModel

/// Who owns which fields after a write. Pure.
///
/// What the agent's own controllers write is noted down like everything else, with one economy: the status of the
/// custom kinds is one field (see ``ResourceKind/schema``), so a change of it costs one comparison and one short entry,
/// however large it is.
struct FieldOwnership {
  var kind: ResourceKind
  /// Seconds since 1970.
  var now: Int64

  var time: String { Timestamp.text(now) }

  /// The owners of a new object's fields.
  func created(_ object: KubeObject, wanted: KubeObject, _ tracking: FieldTracking) -> JSONValue? {
    switch tracking {
    case .none: return nil
    case .applied: return wanted.metadata["managedFields"]
    case .update, .controller:
      var owners = ManagedFields()
      // Where the status is apart, that of a new object is the server's.
      let changes = changes(from: [:], to: object.json, status: kind.hasStatus ? .without : .with)
      note(changes, tracking, &owners)
      return owners.json
    }
  }

  /// The owners after an update; `old` and `new` are without theirs.
  ///
  /// - Parameter wanted: the list the writer sent along, if any.
  func updated(
    _ new: KubeObject, old: KubeObject, stored: JSONValue?, wanted: JSONValue?, _ tracking: FieldTracking
  ) -> JSONValue? {
    let sent = Self.mayRewrite(tracking) ? wanted : stored
    if ManagedFields.isReset(sent) { return nil }
    if new == old, sent == nil || sent == stored { return stored }
    let before = ManagedFields(json: stored) ?? ManagedFields()
    if tracking == .applied {
      let same = ManagedFields(json: sent)?.hasSameOwners(as: before) ?? false
      return new == old && same ? stored : sent
    }
    if tracking == .none { return stored }
    // A list that cannot be read, or none at all, comes from a client that does not know of it.
    var owners = ManagedFields(json: sent) ?? before
    if owners.isEmpty { owners = before }
    // Objects from before the first apply that have no list go on without one.
    guard !owners.isEmpty else { return nil }
    if new != old {
      note(changes(from: old.json, to: new.json, status: .with), tracking, &owners)
    }
    return new == old && owners.hasSameOwners(as: before) ? stored : owners.json
  }

  /// Only clients that write the object itself can say who owns it.
  private static func mayRewrite(_ tracking: FieldTracking) -> Bool {
    switch tracking {
    case .update(let manager): manager.subresource.isEmpty
    case .applied: true
    case .controller, .none: false
    }
  }

  private func note(_ changes: FieldChanges, _ tracking: FieldTracking, _ owners: inout ManagedFields) {
    owners.keep(apiVersion: kind.apiVersion)
    owners.take(changes.written.union(changes.removed))
    let written = Self.strip(changes.written)
    switch tracking {
    case .update(let manager): give(written, to: manager, &owners)
    case .controller:
      give(written.without(field: "status"), to: .agent, &owners)
      give(written.only(field: "status"), to: FieldManager(FieldManager.agent.name, subresource: "status"), &owners)
    case .applied, .none: break
    }
    owners.cap()
  }

  private func give(_ fields: FieldSet, to manager: FieldManager, _ owners: inout ManagedFields) {
    guard !fields.isEmpty else { return }
    let key = ManagedFields.Key(manager, .update, apiVersion: kind.apiVersion)
    let all = fields.union(owners[key]?.fields ?? FieldSet())
    owners[key] = ManagedFields.Entry(apiVersion: kind.apiVersion, time: time, fields: all)
  }

  enum Status { case with, without }

  func changes(from old: JSONValue, to new: JSONValue, status: Status) -> FieldChanges {
    var changes = FieldChanges(from: old, to: new, kind.schema)
    if status == .without {
      changes.added = changes.added.without(field: "status")
      changes.modified = changes.modified.without(field: "status")
      changes.removed = changes.removed.without(field: "status")
    }
    return changes
  }

  /// Fields that nobody owns: identity, and what the server alone sets.
  private static let unowned: FieldSet = {
    let metadata = [
      "name", "namespace", "creationTimestamp", "selfLink", "uid", "generation", "managedFields", "resourceVersion",
    ]
    let paths = [["apiVersion"], ["kind"], ["metadata"]] + metadata.map { ["metadata", $0] }
    return paths.reduce(FieldSet()) { $0.union(FieldSet($1.map(PathElement.field))) }
  }()

  static func strip(_ fields: FieldSet) -> FieldSet { fields.subtracting(unowned) }
}
