/// An API object: a JSON document with the metadata every kind shares.
public struct KubeObject: Hashable, Sendable {
  /// The whole document.
  public var json: JSONValue

  public init(_ json: JSONValue) { self.json = json }

  /// A document with kind and metadata and nothing else.
  public init(apiVersion: String, kind: String, namespace: String?, name: String) {
    json = ["apiVersion": .string(apiVersion), "kind": .string(kind), "metadata": ["name": .string(name)]]
    if let namespace, !namespace.isEmpty { json[path: ["metadata", "namespace"]] = .string(namespace) }
  }

  public var apiVersion: String { json["apiVersion"]?.string ?? "" }
  public var kind: String { json["kind"]?.string ?? "" }
  public var metadata: JSONValue { json["metadata"] ?? .object([:]) }
  public var name: String { text("name") }
  public var namespace: String { text("namespace") }
  public var uid: String { text("uid") }
  public var resourceVersion: String { text("resourceVersion") }
  public var generation: Int64 { metadata["generation"]?.integer ?? 0 }
  /// Seconds since 1970.
  public var created: Int64? { Timestamp.seconds(text("creationTimestamp")) }
  public var isDeleting: Bool { metadata["deletionTimestamp"]?.string != nil }
  public var finalizers: [String] { metadata["finalizers"]?.array?.compactMap(\.string) ?? [] }
  public var labels: [String: String] { map("labels") }
  public var annotations: [String: String] { map("annotations") }
  public var spec: JSONValue { json["spec"] ?? .object([:]) }
  public var status: JSONValue { json["status"] ?? .object([:]) }

  /// The object's metadata field; setting nil removes it.
  public subscript(metadata key: String) -> JSONValue? {
    get { metadata[key] }
    set { json[path: ["metadata", key]] = newValue }
  }

  private func text(_ key: String) -> String { metadata[key]?.string ?? "" }

  private func map(_ key: String) -> [String: String] { metadata[key]?.object?.compactMapValues(\.string) ?? [:] }
}
