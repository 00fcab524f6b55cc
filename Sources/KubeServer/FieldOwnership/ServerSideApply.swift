import APIModel
import KubeModel

/// One server-side apply: an object as its manager wants it, merged into the one there is. Pure.
struct ServerSideApply: Sendable {
  var kind: ResourceKind
  /// What is wanted: the fields the manager wants to own, and no others.
  var config: JSONValue
  var manager: FieldManager
  /// Whether fields are taken from others where they differ.
  var force: Bool
  /// Seconds since 1970.
  var now: Int64

  private static let lastApplied = "kubectl.kubernetes.io/last-applied-configuration"
  private static let beforeFirst = "before-first-apply"
  /// The one manager that is known to come from applying on the client's side.
  private static let kubectl = "kubectl"

  private var key: ManagedFields.Key { ManagedFields.Key(manager, .apply, apiVersion: kind.apiVersion) }
  private var schema: Schema { kind.schema }
  private var ownership: FieldOwnership { FieldOwnership(kind: kind, now: now) }

  /// The object with the configuration in it, and `managedFields` saying who owns what.
  ///
  /// - Parameter live: the stored object; without identity when there is none.
  func apply(to live: KubeObject) throws(StatusError) -> KubeObject {
    try ApplyBody.check(config, kind: kind)
    var old = live
    old[metadata: "managedFields"] = nil
    var owners = ManagedFields(json: live.metadata["managedFields"]) ?? ManagedFields()
    owners.keep(apiVersion: kind.apiVersion)
    if owners.isEmpty, !live.uid.isEmpty { owners = ownersBeforeFirst(old) }
    let conflicts = conflicts(old, owners)
    if !force, !conflicts.isEmpty, let problem = refusal(conflicts, old) { throw problem }
    return written(old, owners)
  }

  /// Everything of an object nobody has owned so far.
  private func ownersBeforeFirst(_ old: KubeObject) -> ManagedFields {
    var owners = ManagedFields()
    let changes = ownership.changes(from: [:], to: old.json, status: statusRule)
    let first = FieldManager(Self.beforeFirst, subresource: manager.subresource)
    owners[ManagedFields.Key(first, .update, apiVersion: kind.apiVersion)] = ManagedFields.Entry(
      apiVersion: kind.apiVersion, time: ownership.time, fields: FieldOwnership.strip(changes.written))
    return owners
  }

  private var statusRule: FieldOwnership.Status {
    kind.hasStatus && manager.subresource != "status" ? .without : .with
  }

  /// The configuration as far as this way of writing reaches.
  private var reach: JSONValue {
    var reach = config
    if manager.subresource == "status" {
      let kept: Set<String> = ["apiVersion", "kind", "metadata", "status"]
      reach = .object((config.object ?? [:]).filter { kept.contains($0.key) })
    } else if kind.hasStatus {
      reach["status"] = nil
    }
    return reach
  }

  private func merged(_ old: KubeObject, _ owners: ManagedFields) -> JSONValue {
    let merged = FieldMerge(dropsNulls: !kind.custom).merged(old.json, reach, schema) ?? old.json
    return pruned(merged, owners)
  }

  /// Takes out what this manager applied before, does not apply now, and nobody else owns.
  private func pruned(_ merged: JSONValue, _ owners: ManagedFields) -> JSONValue {
    guard let last = owners[key]?.fields.withNamedParents(schema), !last.isEmpty else { return merged }
    func named(_ value: JSONValue) -> FieldSet { FieldSet(of: value, schema).withNamedParents(schema) }
    func rest(_ set: FieldSet) -> JSONValue { FieldMerge.removing(set, from: merged, schema) ?? [:] }
    let all = named(merged)
    // What is applied now counts as a whole, with the name and the like that sets of owners leave out.
    let owned = owners.entries.filter { $0.key != key }.values.reduce(FieldSet(of: reach, schema)) {
      $0.union($1.fields)
    }
    let left = rest(all.subtracting(named(rest(last)).union(owned.withNamedParents(schema))))
    // What nobody owns stays, too.
    return rest(all.subtracting(named(left)).intersection(last))
  }

  private func written(_ old: KubeObject, _ before: ManagedFields) -> KubeObject {
    var result = KubeObject(merged(old, before))
    let changes = ownership.changes(from: old.json, to: result.json, status: statusRule)
    keepLastApplied(&result)
    var owners = before
    owners.take(changes.written.union(changes.removed), except: key)
    let fields = FieldOwnership.strip(FieldSet(of: reach, schema))
    let unchanged = result == old && before[key]?.fields == fields
    let time = unchanged ? before[key]?.time : ownership.time
    owners[key] = ManagedFields.Entry(apiVersion: kind.apiVersion, time: time, fields: fields)
    result[metadata: "managedFields"] = owners.json
    return result
  }

  private typealias Conflicts = [(manager: ManagedFields.Key, fields: FieldSet)]

  private func conflicts(_ old: KubeObject, _ owners: ManagedFields) -> Conflicts {
    if force { return [] }
    let changes = ownership.changes(from: old.json, to: merged(old, owners), status: statusRule)
    return owners.entries.filter { $0.key != key }.map { ($0.key, $0.value.fields.intersection(changes.written)) }
      .filter { !$0.1.isEmpty }
      .sorted {
        ($0.0.manager, $0.0.operation.rawValue, $0.0.subresource) < (
          $1.0.manager, $1.0.operation.rawValue, $1.0.subresource
        )
      }
  }
}

// Coming from apply on the client's side.
extension ServerSideApply {
  /// The refusal of conflicts; nil when all of them are with what the same kubectl wrote before it applied here.
  private func refusal(_ conflicts: Conflicts, _ old: KubeObject) -> StatusError? {
    let allowed = manager.name == Self.kubectl ? appliedByClient(old) : FieldSet()
    let left = conflicts.map { ($0.manager, $0.fields.subtracting(allowed)) }.filter { !$0.1.isEmpty }
    return left.isEmpty ? nil : ApplyConflict.error(left)
  }

  /// The fields of the last configuration applied by the client that still are as it said.
  private func appliedByClient(_ old: KubeObject) -> FieldSet {
    guard let text = old.annotations[Self.lastApplied], let last = try? JSONParser.parse(text),
      last["apiVersion"]?.string == kind.apiVersion
    else { return FieldSet() }
    let changes = FieldChanges(from: last, to: old.json, schema)
    return FieldSet(of: last, schema).subtracting(changes.written).subtracting(changes.removed)
  }

  /// Clients that go back to applying on their side find there what was applied here.
  private func keepLastApplied(_ object: inout KubeObject) {
    guard manager.name == Self.kubectl, object.annotations[Self.lastApplied]?.isEmpty == false else { return }
    var last = config
    last[path: ["metadata", "annotations", Self.lastApplied]] = nil
    object.json[path: ["metadata", "annotations", Self.lastApplied]] = .string(last.compactText + "\n")
  }
}
