/// Secrets of objects that clients do not print, and what they print instead. Pure.
///
/// What was printed may come back in a write: the mask then stands for the secret that is stored.
public enum SecretMask {
  /// What stands where a secret was.
  public static let text = "[hidden]"
  /// Of a ClusterPair: the token that pairs with the peer.
  public static let token = ["spec", "options", "token"]
  /// Holds the token once more where a client keeps what it applied.
  static let lastApplied = ["metadata", "annotations", "kubectl.kubernetes.io/last-applied-configuration"]

  /// The object without token texts; everything else as it is.
  public static func hide(_ object: JSONValue) -> JSONValue {
    var result = object
    if result[path: token] != nil { result[path: token] = .string(text) }
    if result[path: lastApplied] != nil, isPair(object) { result[path: lastApplied] = .string(text) }
    return result
  }

  /// The object with what `stored` has wherever a mask stands; where that has nothing, the mask of a token stays, to be
  /// refused, and the record of what was applied goes.
  public static func reveal(_ object: JSONValue, from stored: JSONValue?) -> JSONValue {
    guard isPair(object) else { return object }
    var result = object
    if isMasked(object), let secret = stored?[path: token] { result[path: token] = secret }
    if object[path: lastApplied]?.string == text { result[path: lastApplied] = stored?[path: lastApplied] }
    return result
  }

  /// Whether the mask stands in the place of an object's token.
  public static func isMasked(_ object: JSONValue) -> Bool { object[path: token]?.string == text }

  private static func isPair(_ object: JSONValue) -> Bool { object["kind"]?.string == "ClusterPair" }
}
