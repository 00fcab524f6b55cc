import ReplModel
import WireProtocol
import WireTransport
import Threads

/// The control connection to one peer as a client: made when it is needed, made anew when it broke. Any thread may call.
final class PeerConnection: PeerTransport {
  private struct State {
    var channel: FrameChannel?
    var negotiation: HelloNegotiation?
    var failure: ReplError?
    var greetedAt: Double?
  }

  let cluster: String
  private let configuration: EngineConfiguration
  private let clock: any EngineClock
  private let silence: Duration
  private let control: TLSSettings
  private let data: TLSSettings
  private let tickets = TLSSessionStore()
  private let connections = OpenConnections()
  private let keepAlives = KeepAlives()
  private let address: Locked<(host: String, port: UInt16)>
  private let state = Locked(State())
  /// One attempt to connect at a time.
  private let connecting = Turn(())

  /// - Parameter silence: of the peer, after which a control connection is given up.
  init(
    cluster: String, host: String, port: UInt16, configuration: EngineConfiguration, trust: TrustStore,
    clock: any EngineClock, silence: Duration = Liveness.clientSilence
  ) {
    self.cluster = cluster
    self.configuration = configuration
    self.clock = clock
    self.silence = silence
    address = Locked((host, port))
    let pins: TLSTrust = .pinnedAuthorities { trust.pinnedAuthorities().filter { $0.clusterID == cluster } }
    control = TLSSettings(role: .client, alpn: [WireLimits.controlProtocol], trust: pins) { () throws(ReplError) in
      try trust.identity()
    }
    var resuming = TLSOptions()
    resuming.resumption = true
    data = TLSSettings(role: .client, alpn: [WireLimits.dataProtocol], trust: pins, options: resuming) {
      () throws(ReplError) in try trust.identity()
    }
  }

  var maxChunk: UInt32 { state.withLock { $0.negotiation?.maxChunk ?? 1 << 20 } }
  var failure: ReplError? { state.withLock { $0.failure } }
  var greetedAt: Double? { state.withLock { $0.greetedAt } }

  func move(host: String, port: UInt16) {
    let isNew = address.withLock { address in
      defer { address = (host, port) }
      return address != (host, port)
    }
    if isNew { drop() }
  }

  func end(_ reason: ReplError) {
    connections.refuse(reason)
    drop()
    connections.cancel()
  }

  private func drop() {
    let channel = state.withLock { state in
      defer { state.channel = nil }
      return state.channel
    }
    channel?.close()
  }

  // MARK: Requests

  func request(_ request: ControlRequest, timeout: Double) throws(ReplError) -> ControlReply {
    let channel = try channel(within: timeout)
    switch request {
    case .sendDocument, .fetchAnswer: try require(Hello.documents, "documents of a control plane")
    case .volumeNotice: try require(Hello.notices, "notices about volumes")
    default: break
    }
    return try send(request, over: channel, timeout: timeout)
  }

  /// A peer that does not know these requests would close the connection.
  private func require(_ feature: UInt64, _ what: String) throws(ReplError) {
    let (features, software) = state.withLock { ($0.negotiation?.features ?? 0, $0.negotiation?.peerSoftware ?? "") }
    guard features & feature == 0 else { return }
    throw ReplError(
      .unsupported, subject: "peer \(cluster)", cause: "takes no \(what) (\(software))",
      remedy: "update the peer")
  }

  private func send(
    _ request: ControlRequest, over channel: FrameChannel, timeout: Double
  ) throws(ReplError) -> ControlReply {
    let asked = clock.ticks()
    let (type, body) = request.encode()
    let reply = try channel.request(type: type, body: body, timeout: .seconds(timeout))
    do throws(WireError) {
      let decoded = try ControlReply(type: reply.type, body: reply.body, flags: reply.flags)
      // A target that has no place for a request that waits answers at once: once a second is often enough to ask.
      if case .underWay = decoded { clock.sleep(seconds: max(0, asked + 1 - clock.ticks())) }
      return decoded
    } catch {
      channel.close(CloseNotice(error, subject: "peer \(cluster)"))
      throw error.asReplError(subject: "peer \(cluster)")
    }
  }

  // MARK: Connecting

  /// - Parameter timeout: seconds that another attempt to connect is waited for.
  private func channel(within timeout: Double) throws(ReplError) -> FrameChannel {
    if let open = openChannel { return open }
    let channel = try connecting.take(until: .after(.seconds(timeout))) { (_) throws(ReplError) in
      if let open = openChannel { return open }
      do throws(ReplError) {
        return try connect()
      } catch {
        state.withLock { $0.failure = error }
        throw error
      }
    }
    if let channel { return channel }
    throw ReplError(.transient, subject: "peer \(cluster)", cause: "is still being connected to")
  }

  private var openChannel: FrameChannel? {
    state.withLock { state in state.channel.flatMap { $0.closeError == nil ? $0 : nil } }
  }

  private func connect() throws(ReplError) -> FrameChannel {
    let signal = try connections.signal()
    let (host, port) = address.withLock { $0 }
    let connection = try TLSConnection.connect(host: host, port: port, settings: control, cancelSignal: signal)
    var limits = FrameLimits()
    limits.idleTimeout = silence
    let channel = try FrameChannel(connection: connection, limits: limits)
    do throws(ReplError) {
      let own = Hello(of: configuration)
      guard case .hello(let hello) = try send(.hello(own), over: channel, timeout: 10) else {
        throw ReplError(.protocolViolation, subject: "peer \(cluster)", cause: "did not answer hello")
      }
      let negotiation: HelloNegotiation
      do throws(WireError) {
        negotiation = try HelloNegotiation(own: own, peer: hello, authenticatedCluster: cluster)
      } catch { throw error.asReplError(subject: "peer \(cluster)") }
      try state.withLock { (state) throws(ReplError) in
        if let ended = connections.ended { throw ended }
        state.channel = channel
        state.negotiation = negotiation
        (state.failure, state.greetedAt) = (nil, clock.ticks())
      }
      return channel
    } catch {
      channel.close()
      throw error
    }
  }

  func openStream(
    _ begin: BeginReply, session: SessionID, ticket: StreamTicket
  ) throws(ReplError) -> any ChunkLink {
    let (known, reached) = (address.withLock { $0.host }, openChannel?.connection.remoteAddress.host)
    try PeerAnswers(peer: cluster).check(dataAddress: begin.dataAddress, own: [known, reached].compactMap(\.self))
    let host = begin.dataAddress.isEmpty ? known : begin.dataAddress
    let codecs = state.withLock { $0.negotiation?.codecs ?? 1 }
    let connection = try TLSConnection.connect(
      host: host, port: begin.dataPort, settings: data, sessions: tickets, cancelSignal: try connections.signal())
    do throws(ReplError) {
      let sender = try DataStreamSender(
        connection: connection, session: session, ticket: ticket, maxChunk: min(maxChunk, begin.maxChunk),
        codecs: codecs)
      keepAlives.add(sender)
      return sender
    } catch {
      connection.cancel()
      throw error
    }
  }
}

extension Hello {
  /// How we introduce ourselves.
  init(of configuration: EngineConfiguration) {
    self.init(
      major: Hello.protocolMajor, minor: Hello.protocolMinor, features: Hello.documents | Hello.notices,
      clusterID: configuration.clusterID, node: configuration.node, software: "repl-agent \(configuration.version)",
      maxChunk: 1 << 20, codecs: 0b11)
  }
}
