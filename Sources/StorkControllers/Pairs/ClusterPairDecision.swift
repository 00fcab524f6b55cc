import ReplModel
import APIModel
import KubeModel
import AgentService

extension PairMode {
  /// The mode of an option; nothing written means the default. nil for a word that is none.
  init?(option: String) {
    guard !option.isEmpty else {
      self = .default
      return
    }
    self.init(rawValue: option)
  }
}

/// What a ClusterPair asks for. Pure: object and report in, decision out.
enum ClusterPairDecision: Hashable, Sendable {
  /// The object is new: keep it until clean-up is done.
  case addFinalizer
  /// The object is being deleted: end the pair, then let it go.
  case end(now: Bool)
  case notProvided
  /// The options cannot work, whatever the peer says.
  case unusable(String)
  case pair(host: String, port: UInt16, token: String, mode: PairMode)
  /// Paired; this is how it stands.
  case report(state: PairState, reason: String, peer: String)

  /// On an object that is being deleted: end pins and keys at once instead of after `pairRetention`.
  static let endNow = "repl-agent/end-now"
  static let defaultPort: UInt16 = 9_001

  /// `attempted` is the spec that was last given to the engine by this process; nil when none was.
  static func decide(_ object: KubeObject, report: PairReport?, attempted: JSONValue?) -> ClusterPairDecision {
    if object.isDeleting { return .end(now: object.annotations[endNow] == "true") }
    if !object.finalizers.contains(Stork.finalizer) { return .addFinalizer }
    if let fault = ResourceKind.clusterPair.storedFault(object) { return .unusable(fault) }
    let options = object.json[at: "spec.options"] ?? .object([:])
    guard let token = options["token"]?.text else { return .notProvided }
    let host = stripScheme(options["ip"]?.text ?? "")
    guard !host.isEmpty else { return .unusable("option ip is missing: it names the host of the peer agent") }
    let text = options["port"]?.text ?? ""
    guard let port = text.isEmpty ? defaultPort : UInt16(text), port > 0 else {
      return .unusable("invalid port (\(text)) specified for cluster pair: not a number from 1 to 65535")
    }
    // A word that is none is refused when it is written; a pair that an older version has stored goes on as it did.
    let mode = PairMode(option: options["mode"]?.text ?? "") ?? .default
    if let report, attempted == nil || attempted == object.json["spec"], report.host == host, report.port == port,
      report.mode == mode
    {
      return .report(state: state(object, report), reason: report.reason, peer: report.peerClusterID)
    }
    return .pair(host: host, port: port, token: token, mode: mode)
  }

  static func state(_ object: KubeObject, _ report: PairReport) -> PairState {
    if report.ready { return .ready }
    if !report.wasAsked { return .pending }
    let before = object.storage
    let isKnown = object.status["remoteStorageId"]?.string?.isEmpty == false
    return before == .ready || before == .degraded || (before == .pending && isKnown) ? .degraded : .error
  }

  private static func stripScheme(_ text: String) -> String {
    for scheme in ["https://", "http://"] where text.hasPrefix(scheme) { return String(text.dropFirst(scheme.count)) }
    return text
  }
}
