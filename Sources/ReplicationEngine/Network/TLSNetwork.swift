import ReplModel

/// Reaches peers over TLS, with the trust of this agent.
struct TLSNetwork: PeerNetwork {
  let configuration: EngineConfiguration
  let trust: TrustStore
  let clock: any EngineClock

  func transport(to peer: PeerRecord) -> any PeerTransport {
    PeerConnection(
      cluster: peer.cluster, host: peer.host, port: peer.port, configuration: configuration, trust: trust, clock: clock)
  }
}
