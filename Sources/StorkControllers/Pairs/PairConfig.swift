import APIModel
import KubeModel

/// `spec.config` of a ClusterPair: a kubeconfig in its internal form, with maps where files have lists. Pure.
///
/// Objects travel between the agents, so nothing connects with it; a mistake in it is told all the same.
enum PairConfig: Hashable, Sendable {
  case absent
  case wellFormed
  /// What is wrong, without any of its values but names.
  case malformed(String)

  init(_ spec: JSONValue) {
    guard let config = spec["config"], !config.isNull, config != .object([:]) else {
      self = .absent
      return
    }
    self = Self.fault(config).map { .malformed($0) } ?? .wellFormed
  }

  /// What is told about it when the pair becomes ready; nil without a config.
  var message: String? {
    switch self {
    case .absent: nil
    case .wellFormed: "spec.config is well-formed; objects travel between the agents, so nothing connects with it"
    case .malformed(let cause): "spec.config is not used: \(cause)"
    }
  }

  private static func fault(_ config: JSONValue) -> String? {
    guard config.object != nil else { return "it is not a mapping" }
    for key in ["clusters", "users", "contexts"] {
      guard let entries = config[key]?.object else { return "\(key) is not a mapping of names" }
      for (name, entry) in entries where entry.object == nil { return "\(key).\(name.prefix(64)) is not a mapping" }
    }
    guard let current = config["current-context"]?.string, let context = config["contexts"]?[current] else {
      return "current-context does not name one of contexts"
    }
    guard let cluster = context["cluster"]?.string, let found = config["clusters"]?[cluster] else {
      return "the current context does not name one of clusters"
    }
    guard let user = context["user"]?.string, config["users"]?[user] != nil else {
      return "the current context does not name one of users"
    }
    guard let server = found["server"]?.string, server.hasPrefix("https://") || server.hasPrefix("http://") else {
      return "the server of the current cluster is not an http or https address"
    }
    return nil
  }

  /// Texts of a ClusterPair that never reach an event or a log.
  static func secrets(_ pair: KubeObject) -> [String] {
    var found = [pair.json[at: "spec.options.token"]?.text]
    for user in (pair.json[at: "spec.config.users"]?.object ?? [:]).values {
      found += ["token", "password", "client-key-data"].map { user[$0]?.text }
    }
    // Shorter ones are no secrets, and taking them out would tear words apart.
    return found.compactMap { $0 }.filter { $0.count >= 4 }.sorted { $0.count > $1.count }
  }

  /// A text without the secrets of a pair.
  static func redacted(_ text: String, _ pair: KubeObject) -> String {
    secrets(pair).reduce(text) { text, secret in
      text.split(separator: secret, omittingEmptySubsequences: false).joined(separator: "[token]")
    }
  }
}
