public import APIModel

/// Texts of table cells as kubectl users know them.
public enum Cells {
  public static let none: JSONValue = "<none>"

  /// The age of a time given as text.
  public static func age(_ time: JSONValue?, _ now: Int64) -> JSONValue {
    .string(Timestamp.seconds(time?.string ?? "").map { DurationText.age(now - $0) } ?? "<unknown>")
  }

  /// Access modes in their short forms.
  static func modes(_ object: KubeObject) -> JSONValue {
    let short = ["ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"]
    let modes = object.spec["accessModes"]?.array?.compactMap(\.string) ?? []
    return .string(modes.map { short[$0] ?? $0 }.joined(separator: ","))
  }

  /// The phase of an object, or that it is being deleted.
  static func phase(_ object: KubeObject) -> JSONValue {
    .string(object.isDeleting ? "Terminating" : object.status["phase"]?.string ?? "")
  }

  static func count(_ object: KubeObject, _ path: String) -> Int64 { object.json[at: path]?.integer ?? 0 }

  /// Labels of a selector as one text.
  static func selector(_ labels: JSONValue?) -> JSONValue {
    let pairs = (labels?.object ?? [:]).sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value.text ?? "")" }
    return pairs.isEmpty ? none : .string(pairs.joined(separator: ","))
  }

  /// A field of every container of a pod template.
  static func containers(_ object: KubeObject, _ pod: String, _ field: String) -> JSONValue {
    let containers = object.json[at: "\(pod).spec.containers"]?.array ?? []
    return .string(containers.compactMap { $0[field]?.string }.joined(separator: ","))
  }

  static func ports(_ object: KubeObject) -> JSONValue {
    let ports = (object.spec["ports"]?.array ?? []).map { port in
      let node = port["nodePort"]?.integer.map { ":\($0)" } ?? ""
      return "\(port["port"]?.text ?? "")\(node)/\(port["protocol"]?.string ?? "TCP")"
    }
    return ports.isEmpty ? none : .string(ports.joined(separator: ","))
  }

  /// `Ready`, `NotReady` or `Unknown`, by the condition of that name.
  static func nodeStatus(_ object: KubeObject) -> JSONValue {
    let ready = (object.status["conditions"]?.array ?? []).first { $0["type"] == "Ready" }?["status"]?.string
    let text = ready == "True" ? "Ready" : ready == nil ? "Unknown" : "NotReady"
    return .string(text + (object.spec["unschedulable"]?.bool == true ? ",SchedulingDisabled" : ""))
  }

  /// Roles of a node, by its labels.
  static func roles(_ object: KubeObject) -> JSONValue {
    let prefix = "node-role.kubernetes.io/"
    let roles = object.labels.keys.filter { $0.hasPrefix(prefix) }.map { $0.dropFirst(prefix.count) }.sorted()
    return roles.isEmpty ? none : .string(roles.joined(separator: ","))
  }

  static func address(_ object: KubeObject, _ type: JSONValue) -> JSONValue {
    (object.status["addresses"]?.array ?? []).first { $0["type"] == type }?["address"] ?? none
  }
}

extension ResourceKind.Column {
  /// A field at a dotted path as text; `missing` where there is none.
  public static func path(_ name: String, _ path: String, priority: Int = 0, missing: String = "") -> Self {
    Self(name, priority: priority) { object, _ in
      let text = object.json[at: path]?.text ?? ""
      return .string(text.isEmpty ? missing : text)
    }
  }

  public static let name = ResourceKind.Column("Name") { object, _ in .string(object.name) }

  public static let age = ResourceKind.Column("Age") { object, now in
    .string(object.created.map { DurationText.age(now - $0) } ?? "<unknown>")
  }

  /// Containers, images and selector of a workload; only in wide output.
  public static func pods(_ pod: String, selector: String?) -> [Self] {
    let columns = [
      Self("Containers", priority: 1) { object, _ in Cells.containers(object, pod, "name") },
      Self("Images", priority: 1) { object, _ in Cells.containers(object, pod, "image") },
    ]
    guard let selector else { return columns }
    return columns + [Self("Selector", priority: 1) { object, _ in Cells.selector(object.json[at: selector]) }]
  }
}
