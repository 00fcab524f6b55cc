/// How the places of one port are shared out. The defaults are meant for the agent.
public struct ListenerLimits: Sendable {
  /// Connections whose other end has proved its identity, all peers together. When all places are taken, a cluster without
  /// any gets that of the oldest of the cluster that has most: no peer takes the port from another.
  public var peers = 96
  /// Such connections of one cluster.
  public var perPeer = 8
  /// Handshakes in progress. They have places of their own and never take those of peers; one more ends the oldest of the
  /// network (``SocketAddress/network``) that has most.
  public var handshakes = 32
  /// Connections of clients without an identity: pairing, in places of its own too.
  public var anonymous = 4
  /// Such connections of one network.
  public var anonymousPerHost = 2

  public init() {}

  /// The port of control connections and pairing. A cluster needs one of each of its nodes; a few more are those that a cut
  /// network has left behind and nobody has missed yet.
  public static let control = ListenerLimits()

  /// The port of data streams, where nobody pairs.
  ///
  /// - Parameter memory: bytes for buffers of the data path, which bound the streams of all sessions; each session has one
  ///   at least, whatever they come to.
  public static func data(memory: UInt64) -> ListenerLimits {
    var limits = ListenerLimits()
    limits.perPeer = min(1024, 64 + max(32, Int(clamping: memory / (4 << 20))))
    (limits.peers, limits.anonymous) = (4 * limits.perPeer, 0)
    return limits
  }

  /// Threads that all of them take, with as many again for those that are on their way out.
  var threads: Int { peers + 2 * (handshakes + anonymous) }
}

/// Who has a place on a port, and who must go for a newcomer. Pure.
struct PlaceTable {
  /// What is known of the other end.
  enum Standing: Hashable {
    case handshake
    /// It has shown a key that belongs to no cluster.
    case anonymous
    case peer(String)
  }

  /// What becomes of a connection whose other end has shown who it is.
  enum Outcome: Hashable {
    /// It stays; the one with this key must go for it.
    case stays(evicting: Int?)
    /// There is no place for it, for this reason.
    case refused(String)
  }

  private struct Place {
    var host: String
    var standing: Standing
  }

  private let limits: ListenerLimits
  private var places: [Int: Place] = [:]
  private var nextKey = 0

  init(_ limits: ListenerLimits) { self.limits = limits }

  /// A place for a handshake; with it the key of the one that must go for it.
  mutating func enter(from host: String) -> (key: Int, evicted: Int?) {
    let evicted = count(.handshake) >= max(1, limits.handshakes) ? victim(.handshake) : nil
    if let evicted { leave(evicted) }
    nextKey += 1
    places[nextKey] = Place(host: host, standing: .handshake)
    return (nextKey, evicted)
  }

  /// Moves a connection from the handshakes to whom it belongs. One that is refused keeps the place of a handshake until it
  /// leaves.
  mutating func identify(_ key: Int, as standing: Standing) -> Outcome {
    guard let place = places[key] else { return .refused("its place was given to another") }
    switch standing {
    case .handshake: return .stays(evicting: nil)
    case .anonymous:
      let own = keys(.anonymous).filter { places[$0]?.host == place.host }
      let crowded = own.count >= limits.anonymousPerHost
      let evicted = crowded ? own.first : count(.anonymous) >= limits.anonymous ? victim(.anonymous) : nil
      guard limits.anonymous > 0 else { return .refused("nobody is let in here without a certificate of its cluster") }
      if let evicted { leave(evicted) }
      places[key]?.standing = .anonymous
      return .stays(evicting: evicted)
    case .peer(let cluster):
      guard count(standing) < limits.perPeer else {
        return .refused("cluster \(cluster) has \(limits.perPeer) connections to this port already, as many as one may")
      }
      let evicted = peers.count < limits.peers || count(standing) > 0 ? nil : crowd
      guard peers.count < limits.peers || evicted != nil else {
        return .refused("\(limits.peers) connections of peers are open")
      }
      if let evicted { leave(evicted) }
      places[key]?.standing = standing
      return .stays(evicting: evicted)
    }
  }

  mutating func leave(_ key: Int) { places[key] = nil }

  var count: Int { places.count }

  private func keys(_ standing: Standing) -> [Int] {
    places.filter { $0.value.standing == standing }.keys.sorted()
  }

  /// Connections of peers, oldest first.
  private var peers: [Int] {
    places.filter { if case .peer = $0.value.standing { true } else { false } }.keys.sorted()
  }

  /// The oldest connection of the cluster that has most; nil where none has more than one.
  private var crowd: Int? {
    let byCluster = Dictionary(grouping: peers) { places[$0]?.standing }
    return Self.oldestOfMost(byCluster.values.filter { $0.count > 1 })
  }

  private func count(_ standing: Standing) -> Int { places.values.count { $0.standing == standing } }

  /// The oldest of the network that has most: who floods the port drives out its own.
  private func victim(_ standing: Standing) -> Int? {
    let byHost = Dictionary(grouping: keys(standing)) { places[$0]?.host ?? "" }
    return Self.oldestOfMost(Array(byHost.values))
  }

  private static func oldestOfMost(_ groups: [[Int]]) -> Int? {
    groups.max { ($0.count, -($0.first ?? 0)) < ($1.count, -($1.first ?? 0)) }?.first
  }
}
