import ReplModel

/// Two authorities under one cluster's name: a second machine with the first one's configuration, one that was set up anew,
/// or somebody who has a token and wants to be another.
struct PairingConflict: Hashable, Sendable {
  var cluster: String
  /// The node the name belongs to.
  var node: String

  var error: ReplError {
    ReplError(
      .refused, subject: "cluster \(cluster)",
      cause: "is paired already, with another authority (node \(node)); one name belongs to one authority",
      remedy:
        "give the other machine a clusterID of its own; or, if it is the same cluster set up anew, end trust in the old"
        + " one first, where it is trusted: replctl pair delete NAME --now, or replctl pair revoke \(cluster)")
  }
}
