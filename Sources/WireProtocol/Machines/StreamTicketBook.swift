public import ReplModel

/// The tickets a target has given out for data streams. Pure; instants are passed in. A ticket is taken once, before it
/// expires, and only by the identity, session and branch it was made for.
public struct StreamTicketBook: Sendable {
  /// Most tickets kept at once; beyond it the oldest go.
  public static let limit = 4096
  /// Nanoseconds a ticket is good for unless said otherwise: two minutes.
  public static let lifetime: Int64 = 120 * 1_000_000_000

  /// What a ticket is valid for.
  public struct Grant: Hashable, Sendable {
    /// Cluster id in the certificate of the peer.
    public var cluster: String
    public var session: SessionID
    public var branch: BranchID
    public init(cluster: String, session: SessionID, branch: BranchID) {
      self.cluster = cluster
      self.session = session
      self.branch = branch
    }
  }

  private struct Entry {
    var grant: Grant
    var expiresAt: Int64
    var order: UInt64
  }

  private var entries: [StreamTicket: Entry] = [:]
  private var issued: UInt64 = 0

  public init() {}

  /// Tickets that wait to be taken.
  public var count: Int { entries.count }

  /// Tickets that can still be taken.
  ///
  /// - Parameter session: whose tickets do not count.
  public func count(at now: Int64, besides session: SessionID? = nil) -> Int {
    entries.values.count { $0.expiresAt > now && $0.grant.session != session }
  }

  /// Makes a ticket out of random bytes from `generator`, which must be the system's outside tests.
  ///
  /// - Parameters:
  ///   - now: nanoseconds of a clock that never goes back.
  ///   - lifetime: nanoseconds.
  public mutating func issue(
    _ grant: Grant, at now: Int64, lifetime: Int64 = lifetime, using generator: inout some RandomNumberGenerator
  ) -> StreamTicket? {
    if entries.count >= Self.limit { entries = entries.filter { $0.value.expiresAt > now } }
    if entries.count >= Self.limit, let oldest = entries.min(by: { $0.value.order < $1.value.order }) {
      entries[oldest.key] = nil
    }
    let words = (0..<StreamTicket.byteCount / 8).map { _ -> UInt64 in generator.next() }
    let bytes = words.flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> (8 * UInt64($0))) } }
    guard let ticket = StreamTicket(bytes: bytes) else { return nil }
    issued += 1
    entries[ticket] = Entry(grant: grant, expiresAt: now + lifetime, order: issued)
    return ticket
  }

  /// Takes a ticket: it is gone afterwards. Shown by somebody else or for something else it stays for its owner.
  ///
  /// - Parameters:
  ///   - branch: of the session's volume at this instant.
  /// - Throws: `ticketRefused`, the same text whatever the reason.
  public mutating func redeem(_ ticket: StreamTicket, for grant: Grant, at now: Int64) throws(WireError) {
    guard let entry = entries[ticket], entry.grant == grant, entry.expiresAt > now else {
      throw WireError(.ticketRefused, "the ticket is unknown, used, expired or was given to another session")
    }
    entries[ticket] = nil
  }

  /// Makes the tickets of a session good for a whole ``lifetime`` from now, expired ones too: what the session did since
  /// its begin, such as a plan for which all of a volume is read, may take hours.
  ///
  /// - Parameter most: how many of them, those first that were given out first; the others are void.
  public mutating func renew(session: SessionID, at now: Int64, most: Int, lifetime: Int64 = lifetime) {
    let own = entries.filter { $0.value.grant.session == session }.sorted { $0.value.order < $1.value.order }
    for (index, (ticket, _)) in own.enumerated() {
      if index < most { entries[ticket]?.expiresAt = now + lifetime } else { entries[ticket] = nil }
    }
  }

  /// Takes back all tickets of a session.
  public mutating func revoke(session: SessionID) {
    entries = entries.filter { $0.value.grant.session != session }
  }

  /// Takes back all tickets of a peer.
  public mutating func revoke(cluster: String) {
    entries = entries.filter { $0.value.grant.cluster != cluster }
  }
}
