public import ReplModel

/// One token as the cluster that made it remembers it. Pure and to be kept durably; instants are passed in.
public struct PairingTokenState: Hashable, Sendable {
  /// Nanoseconds a token is good for: 24 hours.
  public static let lifetime: Int64 = 24 * 3600 * 1_000_000_000
  /// Wrong proofs taken within ``tryWindow``.
  public static let tryLimit = 5
  /// Nanoseconds: one minute.
  public static let tryWindow: Int64 = 60 * 1_000_000_000

  /// What the client names it by.
  public let id: PairingTokenID
  public let secret: [UInt8]
  /// When it was made, by this agent's clock.
  public let madeAt: Timestamp
  /// The only cluster that may use it; nil: the first that proves it.
  public let boundCluster: String?
  /// SubjectPublicKeyInfo (DER) of the client the token belongs to since its first right proof.
  public private(set) var ownerKey: [UInt8]?
  /// That client's cluster.
  public private(set) var ownerCluster: String?
  /// Wrong proofs of the last minute, ascending; at most ``tryLimit``.
  public private(set) var failures: [Timestamp] = []

  /// A fresh token, or one read back from where it was kept.
  public init(
    id: PairingTokenID, secret: [UInt8], madeAt: Timestamp, boundCluster: String? = nil, ownerKey: [UInt8]? = nil,
    ownerCluster: String? = nil
  ) {
    self.id = id
    self.secret = secret
    self.madeAt = madeAt
    self.boundCluster = boundCluster
    self.ownerKey = ownerKey
    self.ownerCluster = ownerCluster
  }

  /// Whether its time is up by the clock. A clock that goes back says nothing: whoever keeps tokens counts their time by
  /// another one too, and forgets what has expired.
  public func isExpired(at now: Timestamp) -> Bool {
    let (age, overflow) = now.nanoseconds.subtractingReportingOverflow(madeAt.nanoseconds)
    return overflow ? now > madeAt : age >= Self.lifetime
  }

  /// Judges a try to use the token: refused for time, for too many tries, for a wrong proof, and only to who has proved it
  /// for another cluster's name or another client's key; else the token belongs to this client from now on, which may
  /// repeat it until it expires.
  ///
  /// - Throws: `unauthenticated` with the remedy; of a token in other hands `refused`.
  public mutating func use(
    clientKey: [UInt8], cluster: String, at now: Timestamp, proofIsRight: () -> Bool
  ) throws(ReplError) {
    guard !isExpired(at: now) else { throw refusal(.unauthenticated, "has expired") }
    failures.removeAll { now < $0 || now.nanoseconds &- $0.nanoseconds >= Self.tryWindow }
    guard failures.count < Self.tryLimit else {
      throw ReplError(
        .unauthenticated, subject: "token", cause: "had \(Self.tryLimit) wrong tries within a minute",
        remedy: "wait a minute and try again")
    }
    guard proofIsRight() else {
      failures.append(now)
      throw refusal(.unauthenticated, "is wrong")
    }
    guard boundCluster == nil || boundCluster == cluster else { throw refusal(.refused, "is for another cluster") }
    guard ownerKey == nil || (ownerKey == clientKey && ownerCluster == cluster) else {
      throw refusal(.refused, "was used already")
    }
    (ownerKey, ownerCluster) = (clientKey, cluster)
  }

  /// Takes the token from the client it belongs to, so that it can be used again until it expires.
  public mutating func reset() {
    (ownerKey, ownerCluster) = (nil, nil)
    failures = []
  }

  private func refusal(_ kind: ReplError.Kind, _ cause: String) -> ReplError {
    ReplError(
      kind, subject: "token", cause: cause, remedy: "make a new one with replctl pair token at the target cluster")
  }
}
