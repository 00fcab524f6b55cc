import APIModel

/// What has happened between two computations of the objects of a kind. Pure.
enum ComputedChanges {
  /// Changes that lead from one set of objects to another, numbered from `version`; the new objects carry theirs.
  static func between(
    _ old: [ObjectPlace: KubeObject], _ wanted: [ObjectPlace: KubeObject], resource: String, version: Int64
  ) -> (objects: [ObjectPlace: KubeObject], changes: [StoreChange]) {
    var version = version
    var objects: [ObjectPlace: KubeObject] = [:]
    var changes: [StoreChange] = []
    func change(_ action: StoreChange.Action, _ object: KubeObject, _ before: KubeObject?) -> KubeObject {
      version += 1
      var object = object
      object[metadata: "resourceVersion"] = .string(String(version))
      changes.append(
        StoreChange(
          action: action, resource: resource, object: ObjectText(object, JSONWriter.bytes(object.json)),
          old: before.map { ObjectText($0, JSONWriter.bytes($0.json)) }, version: version))
      return object
    }
    for (key, before) in old.sorted(by: { $0.key < $1.key }) where wanted[key] == nil {
      _ = change(.deleted, before, before)
    }
    for (key, object) in wanted.sorted(by: { $0.key < $1.key }) {
      var same = object
      same[metadata: "resourceVersion"] = old[key]?.metadata["resourceVersion"]
      objects[key] = same == old[key] ? same : change(old[key] == nil ? .added : .modified, object, old[key])
    }
    return (objects, changes)
  }
}

/// Namespace and name of an object; in the order of lists.
struct ObjectPlace: Hashable, Comparable, Sendable {
  var namespace: String
  var name: String

  init(_ object: KubeObject) { (namespace, name) = (object.namespace, object.name) }

  init(_ namespace: String, _ name: String) { (self.namespace, self.name) = (namespace, name) }

  static func < (left: Self, right: Self) -> Bool {
    (left.namespace, left.name) < (right.namespace, right.name)
  }
}
