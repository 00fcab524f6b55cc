import Logging
import ReplModel
import Threads
import WireProtocol
import WireTransport

/// Listens on 9001 (control and pairing) and 9010 (data), and hands what comes to the target service.
final class PeerServer: Sendable {
  private let control: TLSListener
  private let data: TLSListener
  private let dataSettings: TLSSettings
  private let service: TargetService
  private let logs: ConnectionLogs
  private let conversations = OpenChannels()

  /// For `storkctl create clusterpair`, which asks the storage for a token over plain HTTP, and for people.
  private static let plainHTTPAnswer =
    "This is the control port of repl-agent: it speaks TLS with paired agents, and no HTTP. Make a pairing token at this "
    + "site with `replctl pair token`, and give it to `replctl pair create --ip ADDRESS --token TOKEN` at the other one, to "
    + "`storkctl create clusterpair` as --src-token or --dest-token, or to a ClusterPair as spec.options.token."

  init(
    configuration: EngineConfiguration, trust: TrustStore, requests: InboundRequests, pairing: PairingResponder,
    logs: ConnectionLogs
  ) throws(ReplError) {
    let service = requests.service
    (self.service, self.logs) = (service, logs)
    let pins: TLSTrust = .pinnedAuthorities { trust.pinnedAuthorities() }
    let identity: TLSSettings.IdentityProvider = { () throws(ReplError) in try trust.identity() }
    let controlSettings = TLSSettings(
      role: .server,
      applications: [
        TLSApplication(name: WireLimits.controlProtocol, trust: pins),
        TLSApplication(name: WireLimits.pairingProtocol, trust: .pairingAnyClient),
      ], identity: identity)
    var resuming = TLSOptions()
    resuming.resumption = true
    dataSettings = TLSSettings(
      role: .server, alpn: [WireLimits.dataProtocol], trust: pins, options: resuming, identity: identity)
    let metrics = service.context.metrics
    let refusals: TLSListener.RefusalLog = { remote, error in
      metrics.connectionRefused(error)
      logs.connections.log(["remote": "\(remote)", "reason": "\(error)"])
    }
    let responder = ControlResponder(
      configuration: configuration, trust: trust, requests: requests, logs: logs, open: conversations)
    control = try TLSListener(
      address: configuration.listenAddress, port: configuration.controlPort, settings: controlSettings,
      limits: .control, plainHTTPAnswer: Self.plainHTTPAnswer, log: refusals, refuse: ControlResponder.refuse
    ) { connection in
      connection.alpn == WireLimits.pairingProtocol ? pairing.serve(connection) : responder.serve(connection)
    }
    do throws(ReplError) {
      data = try TLSListener(
        address: configuration.listenAddress, port: configuration.dataPort, settings: dataSettings,
        limits: .data(memory: configuration.memory),
        log: refusals, refuse: DataStreamReceiver.refuse
      ) { connection in
        guard let peer = connection.peerIdentity else { return connection.cancel() }
        DataStreamReceiver(connection: connection, service: service, peer: peer.clusterID).run()
      }
    } catch {
      control.stop()
      throw error
    }
  }

  /// Ends what a cluster has here: connections, tickets to resume them, sessions. Its pin must be gone before; handshakes
  /// in progress, which may have found it still, end too.
  func cutOff(_ cluster: String) {
    for listener in [control, data] { listener.cancelConnections { $0.peerIdentity?.clusterID == cluster } }
    dataSettings.invalidateTickets()
    service.cutOff(cluster)
  }

  /// Tells what was left out of the log. Called about once a minute.
  func tend() { logs.flush() }

  /// Peers are told that the agent stops, and ask again later.
  func stop() {
    conversations.abandonAll(
      CloseNotice(
        reason: .shuttingDown,
        error: ReplError(
          .transient, subject: "agent", cause: "is stopping", remedy: "it is asked again when it runs again")))
    control.stop()
    data.stop()
  }
}

/// The control connections that peers have here. Any thread may call.
final class OpenChannels: Sendable {
  private let channels = Locked<[ObjectIdentifier: FrameChannel]>([:])

  func add(_ channel: FrameChannel) { channels.withLock { $0[ObjectIdentifier(channel)] = channel } }
  func remove(_ channel: FrameChannel) { channels.withLock { _ = $0.removeValue(forKey: ObjectIdentifier(channel)) } }

  /// Ends all of them with a reason, without waiting for anybody.
  func abandonAll(_ notice: CloseNotice) {
    for channel in channels.withLock({ Array($0.values) }) { channel.abandon(notice) }
  }
}

/// Where it is told what others do wrong on our ports, a few lines a minute.
struct ConnectionLogs: Sendable {
  let logger: Logger
  /// Connections that came to nothing.
  let connections: ThrottledLog
  let pairings: ThrottledLog
  /// Connections of peers that broke the protocol.
  let closed: PeerLogs
  let requests: PeerLogs

  init(_ logger: Logger, ticks: @escaping @Sendable () -> Double) {
    self.logger = logger
    connections = ThrottledLog("connection refused", logger: logger, ticks: ticks)
    pairings = ThrottledLog("pairing refused", logger: logger, ticks: ticks)
    closed = PeerLogs("connection closed", logger: logger, ticks: ticks)
    requests = PeerLogs("request refused", logger: logger, ticks: ticks)
  }

  func flush() {
    connections.flush()
    pairings.flush()
    closed.flush()
    requests.flush()
  }
}

/// Answers the control connection of one peer.
struct ControlResponder: Sendable {
  let configuration: EngineConfiguration
  let trust: TrustStore
  let requests: InboundRequests
  let logs: ConnectionLogs
  let open: OpenChannels
  /// What each peer may have under way here.
  private let budgets = PerPeer { InboundBudget() }

  init(
    configuration: EngineConfiguration, trust: TrustStore, requests: InboundRequests, logs: ConnectionLogs,
    open: OpenChannels = OpenChannels()
  ) {
    self.configuration = configuration
    self.trust = trust
    self.requests = requests
    self.logs = logs
    self.open = open
  }

  private var service: TargetService { requests.service }

  /// Says why a connection is not served.
  static func refuse(_ connection: TLSConnection, _ error: ReplError) {
    let notice = CloseNotice(reason: ReasonCode(for: error.kind), error: error).encode()
    let header = ControlFrameHeader(
      type: FrameType.close.rawValue, flags: [], length: UInt32(clamping: notice.count), requestID: 0)
    try? connection.write(header.encode(), notice)
  }

  /// What the hello of one connection came to; nothing else is taken before.
  private final class Conversation: Sendable {
    let gate = FrameGate(only: [.hello])
    /// Where its documents are worked on, for as long as it lasts.
    let documents = AsyncBridge()
    private let connection: TLSConnection
    private let agreed = Locked<HelloNegotiation?>(nil)

    init(_ connection: TLSConnection) { self.connection = connection }

    var agreement: StreamAgreement? {
      agreed.withLock { $0.map { StreamAgreement(maxChunk: $0.maxChunk, codecs: $0.codecs) } }
    }

    func agree(_ negotiation: HelloNegotiation) {
      agreed.withLock { $0 = negotiation }
      connection.setDeadline(.never)
      gate.open()
    }

    func has(_ feature: UInt64) -> Bool { agreed.withLock { ($0?.features ?? 0) & feature != 0 } }
  }

  /// Serves until the connection ends.
  func serve(_ connection: TLSConnection) {
    guard let peer = connection.peerIdentity else { return connection.cancel() }
    logs.logger.info("control connection", metadata: ["peer": "\(peer)"])
    service.presence.arrived(peer.clusterID)
    defer { service.presence.left(peer.clusterID) }
    let host = connection.remoteAddress.host
    try? trust.database.write { try PeerRecord.noteAddress($0, peer.clusterID, host) }
    let conversation = Conversation(connection)
    var limits = FrameLimits(budget: budgets[peer.clusterID])
    limits.gate = conversation.gate
    limits.idleTimeout = Liveness.serverSilence
    do throws(ReplError) {
      let channel = try FrameChannel(connection: connection, limits: limits) { (request) throws(ReplError) in
        answer(request, from: peer.clusterID, conversation)
      }
      open.add(channel)
      defer { open.remove(channel) }
      channel.waitUntilClosed()
      conversation.documents.stop()
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
      logs.closed.log(peer, reason: "\(error)")
      return .close(CloseNotice(error, subject: "peer \(peer)"))
    }
  }

  private func reply(
    to request: ControlRequest, from peer: String, _ conversation: Conversation
  ) throws(WireError) -> ControlReply {
    if case .hello(let hello) = request { return try greet(hello, peer, conversation) }
    guard let agreement = conversation.agreement else {
      throw WireError(.outOfOrder, "sent a request before hello")
    }
    switch request {
    case .unpair:
      do throws(ReplError) {
        if try trust.takeBackInvitation(of: peer) { events.takenBack(peer) }
      } catch { return .refused(error) }
      return .unpair
    case .sendDocument, .fetchAnswer:
      guard conversation.has(Hello.documents) else {
        throw WireError(.outOfOrder, "sent a document without having announced that it does")
      }
    case .volumeNotice:
      guard conversation.has(Hello.notices) else {
        throw WireError(.outOfOrder, "sent a notice without having announced that it does")
      }
    default: break
    }
    return logged(
      requests.answer(request, from: peer, agreement: agreement, documents: conversation.documents), peer)
  }

  private func logged(_ reply: ControlReply, _ peer: String) -> ControlReply {
    if case .refused(let error) = reply {
      // One that only asks for the key is the way a session begins.
      if error.kind == .keyNeeded {
        logs.logger.debug("request refused", metadata: ["peer": "\(peer)", "reason": "\(error)"])
      } else {
        service.context.metrics.requestRefused(error)
        logs.requests.log(peer, reason: "\(error)")
      }
    }
    return reply
  }

  private var events: TrustEvents {
    TrustEvents(database: trust.database, hub: service.context.events, node: configuration.node)
  }

  /// A hello that is refused closes the connection with its reason.
  private func greet(
    _ hello: Hello, _ peer: String, _ conversation: Conversation
  ) throws(WireError) -> ControlReply {
    let own = Hello(of: configuration)
    conversation.agree(try HelloNegotiation(own: own, peer: hello, authenticatedCluster: peer))
    return .hello(own)
  }
}
