import Logging
import ReplModel
import Synchronization
import WireProtocol
import WireTransport

/// The side that was given a token: connects, proves, pins the peer's CA.
struct PairingInitiator: Sendable {
  let configuration: EngineConfiguration
  let trust: TrustStore
  let clock: any EngineClock

  /// Pairs with the agent at an address and returns what is to be recorded of it.
  func pair(host: String, port: UInt16, token text: String) throws(ReplError) -> PeerRecord {
    let token = try PairingToken(parsing: text)
    let key = try trust.pairingIdentity()
    let settings = TLSSettings(
      role: .client, alpn: [Application.pairing], trust: .pairingServerPin(spkiHash: token.authorityHash)
    ) { () throws(ReplError) in key }
    let connection = try TLSConnection.connect(host: host, port: port, settings: settings)
    let channel = try FrameChannel(connection: connection)
    defer { channel.close() }
    var machine = PairingClient(
      token: PairingCredential(clusterID: token.clusterID, secret: token.secret),
      identity: try PairingSide.identity(configuration, trust),
      binding: try PairingSide.binding(
        connection, client: connection.localPublicKey, server: connection.peerPublicKey), crypto: TrustStore.crypto)
    var effect = try machine.start()
    while true {
      switch effect {
      case .send(let request): effect = try machine.receive(try send(request, channel))
      case .paired(let peer):
        return try PairingSide.record(peer, spkiHash: token.authorityHash, host: host, port: port, at: clock.now())
      }
    }
  }

  private func send(_ request: PairingRequest, _ channel: FrameChannel) throws(ReplError) -> PairingReply {
    let (type, body) = request.encode()
    let reply = try channel.request(type: type, body: body, timeout: .seconds(20))
    do throws(WireError) {
      return try PairingReply(type: reply.type, body: reply.body, flags: reply.flags)
    } catch {
      throw error.asReplError(subject: "pairing")
    }
  }
}

/// The side that made the token: judges proofs, and records the token's owner and the peer in one transaction before
/// it answers.
struct PairingResponder: Sendable {
  let configuration: EngineConfiguration
  let trust: TrustStore
  let clock: any EngineClock
  let logger: Logger

  /// Serves one pairing connection to its end.
  func serve(_ connection: TLSConnection) {
    let conversation: PairingConversation
    do throws(ReplError) {
      conversation = try PairingConversation(responder: self, connection: connection)
      var limits = FrameLimits()
      limits.workers = 1
      limits.idleTimeout = .seconds(30)
      let channel = try FrameChannel(connection: connection, limits: limits) { (request) throws(ReplError) in
        try conversation.answer(request)
      }
      channel.waitUntilClosed()
      channel.join()
    } catch {
      logger.warning("pairing failed", metadata: ["remote": "\(connection.remoteAddress)", "reason": "\(error)"])
      connection.cancel()
    }
  }
}

/// One connection's machine. Requests come one at a time: the channel has one worker.
private final class PairingConversation: Sendable {
  private let responder: PairingResponder
  private let remote: SocketAddress
  private let machine: Mutex<PairingServer>

  init(responder: PairingResponder, connection: TLSConnection) throws(ReplError) {
    self.responder = responder
    remote = connection.remoteAddress
    machine = Mutex(
      PairingServer(
        identity: try PairingSide.identity(responder.configuration, responder.trust),
        binding: try PairingSide.binding(
          connection, client: connection.peerPublicKey, server: connection.localPublicKey), crypto: TrustStore.crypto))
  }

  func answer(_ frame: FrameRequest) throws(ReplError) -> FrameAnswer {
    let request: PairingRequest
    do throws(WireError) {
      request = try PairingRequest(type: frame.type, body: frame.body)
    } catch {
      return .close(CloseNotice(error, subject: "pairing from \(remote)"))
    }
    do throws(ReplError) {
      let (flags, body) = try reply(to: request).encode()
      return .reply(flags: flags, body: body)
    } catch {
      responder.logger.warning("pairing refused", metadata: ["remote": "\(remote)", "reason": "\(error)"])
      throw error
    }
  }

  private func reply(to request: PairingRequest) throws(ReplError) -> PairingReply {
    try machine.withLock { (machine) throws(ReplError) in
      switch request {
      case .hello(let hello): return .hello(try machine.receive(hello))
      case .proof(let proof): return .proof(try judge(proof, &machine))
      }
    }
  }

  private func judge(_ proof: PairProof, _ machine: inout PairingServer) throws(ReplError) -> PairProof {
    var token = try machine.tokenID.map { (id) throws(ReplError) in try responder.trust.token(id) } ?? nil
    do throws(ReplError) {
      let (peer, answer) = try machine.receive(proof, token: &token, at: responder.clock.now())
      // The client's address is not known here: this side never dials it before a pair names one.
      var record = try PairingSide.record(
        peer, spkiHash: nil, host: "", port: peer.controlPort, at: responder.clock.now())
      record.invited = true
      tellOfNewAuthority(record)
      if let token { try responder.trust.save(token, peer: record) }
      return answer
    } catch {
      if let token { try responder.trust.save(token, peer: nil) }
      throw error
    }
  }

  /// A cluster that is set up anew has a new authority; so has a stranger with a token who takes the name of another.
  private func tellOfNewAuthority(_ record: PeerRecord) {
    let known = responder.trust.pinnedAuthorities().first { $0.clusterID == record.cluster }
    guard let known, known.caDER != record.authority else { return }
    responder.logger.warning(
      "a cluster that is paired has been paired anew with another authority: the one before is trusted no more",
      metadata: ["peer": "\(record.cluster)", "node": "\(record.node)", "remote": "\(remote)"])
  }
}

/// What both sides of a pairing need.
enum PairingSide {
  static func identity(
    _ configuration: EngineConfiguration, _ trust: TrustStore
  ) throws(ReplError) -> PairingIdentity {
    PairingIdentity(
      clusterID: configuration.clusterID, node: configuration.node, software: "repl-agent \(configuration.version)",
      caCertificate: trust.authority.certificateDER, controlPort: configuration.controlPort)
  }

  static func binding(
    _ connection: TLSConnection, client: [UInt8], server: [UInt8]
  ) throws(ReplError) -> ChannelBinding {
    ChannelBinding(
      exporter: try connection.exporter(
        label: ChannelBinding.exporterLabel, length: ChannelBinding.exporterByteCount), clientKey: client,
      serverKey: server)
  }

  /// What is kept of a peer, once its authority is one that handshakes can be judged by.
  ///
  /// - Parameter spkiHash: what the token names; nil at the side that made the token, which learns the key here.
  static func record(
    _ peer: PairedPeer, spkiHash: [UInt8]?, host: String, port: UInt16, at now: Timestamp
  ) throws(ReplError) -> PeerRecord {
    let authority = try PinnedAuthority.checked(
      clusterID: peer.clusterID, caDER: peer.caCertificate, spkiHash: spkiHash, now: now.nanoseconds / 1_000_000_000)
    return PeerRecord(
      cluster: peer.clusterID, node: peer.node, authority: authority.caDER, host: host, port: port, expiresAt: nil)
  }
}
