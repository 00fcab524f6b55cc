import ReplModel

/// How other agents are reached.
protocol PeerNetwork: Sendable {
  /// The way to a peer; connects when it is first used.
  func transport(to peer: PeerRecord) -> any PeerTransport
}

/// The way to one peer with what is known of its state. Any thread may call.
protocol PeerTransport: PeerLink {
  /// Why the last attempt to connect failed; nil when it did not.
  var failure: ReplError? { get }
  /// When the peer last introduced itself, by the clock that never goes back; nil when it never did.
  var greetedAt: Double? { get }
  /// A pair gave the peer's address anew.
  func move(host: String, port: UInt16)
  /// Ends every connection to the peer, control and data, those that are only being made too, and makes none any more.
  ///
  /// - Parameter reason: what whoever asks from now on is told.
  func end(_ reason: ReplError)
}
