import Logging
import ReplModel
import Synchronization
import WireProtocol
import WireTransport

/// Listens on 9001 (control and pairing) and 9010 (data), and hands what comes to the target service.
final class PeerServer: Sendable {
  private let control: TLSListener
  private let data: TLSListener

  init(
    configuration: EngineConfiguration, trust: TrustStore, service: TargetService, pairing: PairingResponder,
    documents: DocumentDesk, repairs: RepairBoard, heardClocks: HeardClocks, clock: any EngineClock, logger: Logger
  ) throws(ReplError) {
    let pins: TLSTrust = .pinnedAuthorities { trust.pinnedAuthorities() }
    let identity: TLSSettings.IdentityProvider = { () throws(ReplError) in try trust.identity() }
    let controlSettings = TLSSettings(
      role: .server,
      applications: [
        TLSApplication(name: Application.control, trust: pins),
        TLSApplication(name: Application.pairing, trust: .pairingAnyClient),
      ], identity: identity)
    var resuming = TLSOptions()
    resuming.resumption = true
    let dataSettings = TLSSettings(
      role: .server, alpn: [Application.data], trust: pins, options: resuming, identity: identity)
    let metrics = service.context.metrics
    let refusals: TLSListener.RefusalLog = { remote, error in
      metrics.connectionRefused(error)
      logger.warning("connection refused", metadata: ["remote": "\(remote)", "reason": "\(error)"])
    }
    let responder = ControlResponder(
      configuration: configuration, trust: trust, service: service, documents: documents, repairs: repairs,
      heardClocks: heardClocks, clock: clock, logger: logger)
    control = try TLSListener(
      address: configuration.listenAddress, port: configuration.controlPort, settings: controlSettings, log: refusals
    ) { connection in
      connection.alpn == Application.pairing ? pairing.serve(connection) : responder.serve(connection)
    }
    do throws(ReplError) {
      data = try TLSListener(
        address: configuration.listenAddress, port: configuration.dataPort, settings: dataSettings, log: refusals
      ) { connection in
        guard let peer = connection.peerIdentity else { return connection.cancel() }
        DataStreamReceiver(connection: connection, service: service, peer: peer.clusterID).run()
      }
    } catch {
      control.stop()
      throw error
    }
  }

  /// Ends what a cluster has connected here; its pin must be gone before.
  func cutOff(_ cluster: String) {
    for listener in [control, data] { listener.cancelConnections { $0.peerIdentity?.clusterID == cluster } }
  }

  func stop() {
    control.stop()
    data.stop()
  }
}

/// Answers the control connection of one peer.
struct ControlResponder: Sendable {
  let configuration: EngineConfiguration
  let trust: TrustStore
  let service: TargetService
  let documents: DocumentDesk
  let repairs: RepairBoard
  let heardClocks: HeardClocks
  let clock: any EngineClock
  let logger: Logger

  /// What the hello of one connection came to; nothing else is answered before.
  private final class Conversation: Sendable {
    private let agreed = Mutex<HelloNegotiation?>(nil)

    var agreement: StreamAgreement? {
      agreed.withLock { $0.map { StreamAgreement(maxChunk: $0.maxChunk, codecs: $0.codecs) } }
    }

    func agree(_ negotiation: HelloNegotiation) { agreed.withLock { $0 = negotiation } }

    func has(_ feature: UInt64) -> Bool { agreed.withLock { ($0?.features ?? 0) & feature != 0 } }
  }

  /// Serves until the connection ends.
  func serve(_ connection: TLSConnection) {
    guard let peer = connection.peerIdentity else { return connection.cancel() }
    logger.info("control connection", metadata: ["peer": "\(peer)"])
    service.presence.arrived(peer.clusterID)
    defer { service.presence.left(peer.clusterID) }
    let conversation = Conversation()
    do throws(ReplError) {
      let channel = try FrameChannel(connection: connection) { (request) throws(ReplError) in
        answer(request, from: peer.clusterID, conversation)
      }
      channel.waitUntilClosed()
      channel.join()
    } catch {
      connection.cancel()
    }
  }

  private func answer(_ frame: FrameRequest, from peer: String, _ conversation: Conversation) -> FrameAnswer {
    do throws(WireError) {
      let request = try ControlRequest(type: frame.type, body: frame.body)
      let (flags, body) = try reply(to: request, from: peer, conversation).encode()
      return .reply(flags: flags, body: body)
    } catch {
      logger.warning("connection closed", metadata: ["peer": "\(peer)", "reason": "\(error)"])
      return .close(CloseNotice(error, subject: "peer \(peer)"))
    }
  }

  private func reply(
    to request: ControlRequest, from peer: String, _ conversation: Conversation
  ) throws(WireError) -> ControlReply {
    let arrived = clock.now()
    if case .hello(let hello) = request { return try greet(hello, peer, conversation) }
    guard let agreement = conversation.agreement else {
      throw WireError(.outOfOrder, "sent a request before hello")
    }
    switch request {
    case .heartbeat(let heartbeat):
      heardClocks.heard(heartbeat.sentAt, from: peer, at: arrived)
      return .heartbeat(
        HeartbeatReply(
          sentAt: heartbeat.sentAt, receivedAt: arrived, repliedAt: clock.now(),
          repairWanted: repairs.isWanted(from: peer)))
    case .unpair:
      do throws(ReplError) { try trust.takeBackInvitation(of: peer) } catch { return .refused(error) }
      return .unpair
    case .sendDocument, .fetchAnswer:
      guard conversation.has(Hello.documents) else {
        throw WireError(.outOfOrder, "sent a document without having announced that it does")
      }
      return logged(exchange(request, peer), peer)
    case .volumeNotice:
      guard conversation.has(Hello.notices) else {
        throw WireError(.outOfOrder, "sent a notice without having announced that it does")
      }
      return logged(service.handle(request, from: peer, agreement: agreement), peer)
    default: return logged(service.handle(request, from: peer, agreement: agreement), peer)
    }
  }

  private func exchange(_ request: ControlRequest, _ peer: String) -> ControlReply {
    do throws(ReplError) {
      switch request {
      case .sendDocument(let part): return .sendDocument(try documents.take(part, from: peer))
      case .fetchAnswer(let part): return .fetchAnswer(try documents.fetch(part, from: peer))
      default: throw ReplError(.bug, subject: "peer \(peer)", cause: "not a document")
      }
    } catch {
      return .refused(error)
    }
  }

  private func logged(_ reply: ControlReply, _ peer: String) -> ControlReply {
    if case .refused(let error) = reply {
      // One that only asks for the key is the way a session begins.
      if error.kind != .keyNeeded { service.context.metrics.requestRefused(error) }
      logger.log(
        level: error.kind == .keyNeeded ? .info : .warning, "request refused",
        metadata: ["peer": "\(peer)", "reason": "\(error)"])
    }
    return reply
  }

  /// A hello that is refused closes the connection with its reason.
  private func greet(
    _ hello: Hello, _ peer: String, _ conversation: Conversation
  ) throws(WireError) -> ControlReply {
    let own = Application.hello(configuration)
    conversation.agree(try HelloNegotiation(own: own, peer: hello, authenticatedCluster: peer))
    return .hello(own)
  }
}
