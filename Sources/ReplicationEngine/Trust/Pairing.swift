import Logging
import ReplModel
import Threads
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
    // Looked at before anybody is asked: the token of another authority changes nothing about the one that is pinned.
    try trust.database.read { database in
      try PeerRecord.requireFree(database, for: token.clusterID) { $0.hasKey(hash: token.authorityHash) }
    }
    let key = try trust.pairingIdentity()
    let settings = TLSSettings(
      role: .client, alpn: [WireLimits.pairingProtocol], trust: .pairingServerPin(spkiHash: token.authorityHash)
    ) { () throws(ReplError) in key }
    let connection = try TLSConnection.connect(host: host, port: port, settings: settings)
    let channel = try FrameChannel(connection: connection)
    defer { channel.close() }
    var machine = PairingClient(
      token: token.credential, identity: try PairingSide.identity(configuration, trust),
      binding: try connection.channelBinding(role: .client), crypto: .system)
    var effect = try machine.start()
    while true {
      switch effect {
      case .send(let request): effect = try machine.receive(try send(request, channel))
      case .paired(let peer):
        return try PairingSide.record(peer, spkiHash: token.authorityHash, host: host, port: port)
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
  let events: TrustEvents
  /// What strangers cause.
  let log: ThrottledLog

  /// Serves one pairing connection to its end, which comes with the first refusal, or when the time that the port gives to
  /// who has not introduced itself is over.
  func serve(_ connection: TLSConnection) {
    let conversation: PairingConversation
    do throws(ReplError) {
      conversation = try PairingConversation(responder: self, connection: connection)
      var limits = FrameLimits()
      limits.workers = 1
      limits.queuedRequests = 1
      limits.gate = FrameGate(only: [.pairHello, .pairProof])
      let channel = try FrameChannel(connection: connection, limits: limits) { (request) throws(ReplError) in
        try conversation.answer(request)
      }
      channel.waitUntilClosed()
      channel.join()
    } catch {
      log.log(["remote": "\(connection.remoteAddress)", "reason": "\(error)"])
      connection.cancel()
    }
  }
}

/// One connection's machine. Requests come one at a time: the channel has one worker.
private final class PairingConversation: Sendable {
  private let responder: PairingResponder
  private let remote: SocketAddress
  private let machine: Turn<PairingServer>

  init(responder: PairingResponder, connection: TLSConnection) throws(ReplError) {
    self.responder = responder
    remote = connection.remoteAddress
    machine = Turn(
      PairingServer(
        identity: try PairingSide.identity(responder.configuration, responder.trust),
        binding: try connection.channelBinding(role: .server), crypto: .system))
  }

  func answer(_ frame: FrameRequest) throws(ReplError) -> FrameAnswer {
    let request: PairingRequest
    do throws(WireError) {
      request = try PairingRequest(type: frame.type, body: frame.body)
    } catch {
      responder.log.log(["remote": "\(remote)", "reason": "\(error)"])
      return .close(CloseNotice(error, subject: "pairing from \(remote)"))
    }
    do throws(ReplError) {
      let (flags, body) = try reply(to: request).encode()
      return .reply(flags: flags, body: body)
    } catch {
      responder.log.log(["remote": "\(remote)", "reason": "\(error)"])
      return .refuseAndClose(error)
    }
  }

  private func reply(to request: PairingRequest) throws(ReplError) -> PairingReply {
    try machine.take { (machine) throws(ReplError) in
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
      // The client's address is not one to dial: this side never does before a pair names one.
      var record = try PairingSide.record(peer, spkiHash: nil, host: "", port: peer.controlPort)
      (record.invited, record.lastAddress) = (true, remote.host)
      if let token { try admit(record, by: token) }
      return answer
    } catch {
      if let token { responder.trust.noteTries(token) }
      throw error
    }
  }

  private func admit(_ record: PeerRecord, by token: PairingTokenState) throws(ReplError) {
    do throws(ReplError) {
      try responder.trust.admit(record, by: token)
    } catch {
      if error.kind == .refused { responder.events.refused(record, error) }
      throw error
    }
    responder.events.paired(record)
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

  /// What is kept of a peer, once its authority is one that handshakes can be judged by.
  ///
  /// - Parameter spkiHash: what the token names; nil at the side that made the token, which learns the key here.
  static func record(
    _ peer: PairedPeer, spkiHash: [UInt8]?, host: String, port: UInt16
  ) throws(ReplError) -> PeerRecord {
    let authority = try PinnedAuthority.checked(
      clusterID: peer.clusterID, caDER: peer.caCertificate, spkiHash: spkiHash)
    return PeerRecord(
      cluster: peer.clusterID, node: peer.node, authority: authority.caDER, host: host, port: port)
  }
}
