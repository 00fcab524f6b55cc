import ReplModel

/// Refusals both ends of a pairing make.
enum PairingRefusal {
  static func checkVersion(_ hello: PairHello, own clusterID: String) throws(ReplError) {
    guard hello.major == Hello.protocolMajor else {
      throw WireError.otherMajor(hello.major, at: clusterID, own: Hello.protocolMajor).asReplError(subject: "peer")
    }
  }

  static func ownCluster(_ clusterID: String) -> ReplError {
    ReplError(
      .refused, subject: "cluster \(clusterID)", cause: "cannot be paired with itself",
      remedy: "give each site its own clusterID in its configuration")
  }

  static func outOfOrder(_ what: String, _ clusterID: String) -> ReplError {
    ReplError(
      .protocolViolation, subject: "pairing with \(clusterID)", cause: "\(what) is not legal at this place")
  }
}
