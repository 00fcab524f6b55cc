import Glibc
import ReplModel
import Testing
import WireProtocol

@testable import WireTransport

/// A listener that echoes single bytes, and what it refused.
private struct Echo {
  let listener: TLSListener
  let refusals = BoundedQueue<ReplError>(capacity: 64)

  init(_ settings: TLSSettings, address: String = "127.0.0.1", maxConnections: Int = 16) throws {
    let refusals = refusals
    listener = try TLSListener(
      address: address, port: 0, settings: settings, maxConnections: maxConnections,
      log: { _, error in _ = refusals.tryPut(error) },
      handler: { connection in
        var byte: [UInt8] = [0]
        while (try? connection.readExactly(into: &byte)) == true, (try? connection.write(byte)) != nil {}
      })
  }

  func refusal() -> ReplError? { refusals.take(deadline: .after(patience)) }

  func connect(_ settings: TLSSettings, host: String = "127.0.0.1") throws(ReplError) -> TLSConnection {
    try TLSConnection.connect(host: host, port: listener.boundPort, settings: settings, timeout: patience)
  }
}

private func echoes(_ connection: TLSConnection) throws -> Bool {
  connection.setReadTimeout(patience)
  try connection.write([42])
  var byte: [UInt8] = [0]
  return try connection.readExactly(into: &byte) && byte == [42]
}

@Suite struct ListenerTests {
  @Test func servesManyConnectionsAtOnceOnAPortOfTheSystem() throws {
    let sites = try TwoSites()
    let echo = try Echo(sites.server)
    defer { echo.listener.stop() }
    #expect(echo.listener.boundPort != 0)
    let connections = try (0..<8).map { _ in try echo.connect(sites.client) }
    for connection in connections { #expect(try echoes(connection)) }
    #expect(echo.listener.connectionCount == 8)
  }

  @Test(arguments: ["::1", "::"])
  func servesIPv6(address: String) throws {
    let sites = try TwoSites()
    let echo = try Echo(sites.server, address: address)
    defer { echo.listener.stop() }
    let connection = try echo.connect(sites.client, host: "::1")
    #expect(try echoes(connection))
    #expect(connection.remoteAddress.description == "[::1]:\(echo.listener.boundPort)")
    if address == "::" { #expect(try echoes(echo.connect(sites.client, host: "127.0.0.1"))) }
  }

  @Test func namesAreResolved() throws {
    let sites = try TwoSites()
    let echo = try Echo(sites.server)
    defer { echo.listener.stop() }
    #expect(try echoes(echo.connect(sites.client, host: "localhost")))
  }

  @Test func moreConnectionsThanAllowedAreClosedAndOthersGoOn() throws {
    let sites = try TwoSites()
    let echo = try Echo(sites.server, maxConnections: 2)
    defer { echo.listener.stop() }
    let first = try echo.connect(sites.client)
    let second = try echo.connect(sites.client)
    #expect(capture { () throws(ReplError) in try echo.connect(sites.client) }.failure?.kind == .transient)
    #expect(echo.refusal()?.cause.contains("2 connections") == true)
    #expect(try echoes(first))
    #expect(try echoes(second))
  }

  @Test func placeIsFreeAgainAfterAConnectionEnds() throws {
    let sites = try TwoSites()
    let echo = try Echo(sites.server, maxConnections: 1)
    defer { echo.listener.stop() }
    let first = try echo.connect(sites.client)
    #expect(try echoes(first))
    first.close(lingering: patience)
    // The server's thread ends a moment after the peer has seen the end.
    let deadline = Deadline.after(patience)
    while echo.listener.connectionCount > 0, !deadline.isOver { sched_yield() }
    #expect(try echoes(echo.connect(sites.client)))
  }

  @Test func silentPeersHoldUpNobody() throws {
    let sites = try TwoSites()
    let echo = try Echo(sites.server)
    defer { echo.listener.stop() }
    let silent = try (0..<4).map { _ in try connectedSocket(to: echo.listener.boundAddress) }
    #expect(try echoes(echo.connect(sites.client)))
    #expect(silent.count == 4)
  }

  @Test func anAddressThatBeginsManyHandshakesLeavesRoomForOthers() throws {
    let sites = try TwoSites()
    let echo = try Echo(sites.server, address: "::", maxConnections: 8)
    defer { echo.listener.stop() }
    let port = echo.listener.boundPort
    let silent = try (0..<4).map { _ in try connectedSocket(to: .numeric(host: "127.0.0.1", port: port)) }
    #expect(capture { () throws(ReplError) in try echo.connect(sites.client, host: "127.0.0.1") }.failure != nil)
    #expect(echo.refusal()?.cause.contains("4 handshakes from this address") == true)
    #expect(try echoes(echo.connect(sites.client, host: "::1")))
    #expect(silent.count == 4)
  }

  @Test func silentPeerIsDroppedAtTheHandshakeDeadline() throws {
    var options = TLSOptions()
    options.handshakeTimeout = .milliseconds(50)
    let sites = try TwoSites(options: options)
    let echo = try Echo(sites.server)
    defer { echo.listener.stop() }
    let silent = try connectedSocket(to: echo.listener.boundAddress)
    #expect(echo.refusal()?.kind == .transient)
    #expect(silent.receiveAll().isEmpty)
  }

  @Test func plainHTTPIsClosedWithTheReason() throws {
    let sites = try TwoSites()
    let echo = try Echo(sites.server)
    defer { echo.listener.stop() }
    let plain = try connectedSocket(to: echo.listener.boundAddress)
    plain.sendAll(Array("GET / HTTP/1.1\r\nHost: peer\r\n\r\n".utf8))
    let answer = plain.receiveAll()
    #expect(!answer.starts(with: Array("HTTP".utf8)))
    let refusal = echo.refusal()
    #expect(refusal?.kind == .protocolViolation)
    #expect(refusal?.cause.contains("http request") == true)
    #expect(try echoes(echo.connect(sites.client)))
  }

  @Test func olderTLSIsRefusedWithTheAlertThatSaysSo() throws {
    let sites = try TwoSites()
    let echo = try Echo(sites.server)
    defer { echo.listener.stop() }
    let old = try connectedSocket(to: echo.listener.boundAddress)
    old.sendAll(clientHelloOfTLS12)
    // Alert, fatal, protocol_version.
    #expect(Array(old.receiveAll().suffix(2)) == [2, 70])
    #expect(echo.refusal()?.kind == .protocolViolation)
    #expect(try echoes(echo.connect(sites.client)))
  }

  @Test func randomBytesAreClosed() throws {
    let sites = try TwoSites()
    let echo = try Echo(sites.server)
    defer { echo.listener.stop() }
    for seed in 1...8 {
      let plain = try connectedSocket(to: echo.listener.boundAddress)
      plain.sendAll([22, 3, 1] + pattern(512, seed: UInt64(seed)))
      plain.shutDownWriting()
      _ = plain.receiveAll()
      #expect(echo.refusal() != nil)
    }
    #expect(try echoes(echo.connect(sites.client)))
  }

  @Test func wrongProtocolIsClosedWithTheReason() throws {
    let sites = try TwoSites()
    let echo = try Echo(sites.server)
    defer { echo.listener.stop() }
    let client = try sites.here.settings(.client, trusting: [sites.there.pin], alpn: [WireLimits.dataProtocol])
    #expect(capture { () throws(ReplError) in try echo.connect(client) }.failure?.kind == .protocolViolation)
    #expect(echo.refusal() != nil)
  }

  @Test func stopEndsConnectionsAndHandshakesAndWaitsForThem() throws {
    let sites = try TwoSites()
    let echo = try Echo(sites.server)
    let connection = try echo.connect(sites.client)
    #expect(try echoes(connection))
    let silent = try connectedSocket(to: echo.listener.boundAddress)
    echo.listener.stop()
    echo.listener.stop()
    #expect(echo.listener.connectionCount == 0)
    connection.setReadTimeout(patience)
    var byte: [UInt8] = [0]
    #expect((try? connection.readExactly(into: &byte)) != true)
    #expect(silent.receiveAll().isEmpty)
    #expect(capture { () throws(ReplError) in try echo.connect(sites.client) }.failure?.kind == .transient)
  }

  @Test func connectionsOfOnePeerCanBeEnded() throws {
    let (here, there, third) = (try Site("here"), try Site("there"), try Site("third"))
    let echo = try Echo(there.settings(.server, trusting: [here.pin, third.pin]))
    defer { echo.listener.stop() }
    let stays = try echo.connect(here.settings(.client, trusting: [there.pin]))
    let goes = try echo.connect(third.settings(.client, trusting: [there.pin]))
    #expect(try echoes(stays))
    #expect(try echoes(goes))
    #expect(echo.listener.cancelConnections { $0.peerIdentity?.clusterID == "third" } == 1)
    var byte: [UInt8] = [0]
    #expect((try? goes.readExactly(into: &byte)) != true)
    #expect(try echoes(stays))
  }

  @Test func takenPortIsNamed() throws {
    let sites = try TwoSites()
    let echo = try Echo(sites.server)
    defer { echo.listener.stop() }
    let error = capture { () throws(ReplError) in
      try TLSListener(
        address: "127.0.0.1", port: echo.listener.boundPort, settings: sites.server, handler: { _ in })
    }.failure
    #expect(error?.kind == .refused)
    #expect(error?.subject.contains("127.0.0.1:\(echo.listener.boundPort)") == true)
  }

  @Test(arguments: ["peer.example", "300.1.1.1", "::g"])
  func listenAddressMustBeNumeric(address: String) throws {
    let sites = try TwoSites()
    let error = capture { () throws(ReplError) in
      try TLSListener(address: address, port: 0, settings: sites.server, handler: { _ in })
    }.failure
    #expect(error?.kind == .invalid)
  }

  @Test func nobodyListeningIsTransient() throws {
    let sites = try TwoSites()
    // Bound but not listening: the port stays ours and connecting is refused.
    let address = try SocketAddress.numeric(host: "127.0.0.1", port: 0)
    let socket = try Socket.stream(family: address.family)
    #expect(address.withSockaddr { bind(socket.descriptor, $0, $1) } == 0)
    let port = try #require(socket.localAddress).port
    let error = capture { () throws(ReplError) in
      try TLSConnection.connect(host: "127.0.0.1", port: port, settings: sites.client)
    }.failure
    #expect(error?.kind == .transient)
    #expect(error?.subject.contains("127.0.0.1:\(port)") == true)
  }

  @Test func connectingCanBeCancelledBeforeItBegins() throws {
    let sites = try TwoSites()
    let echo = try Echo(sites.server)
    defer { echo.listener.stop() }
    let signal = CancelSignal()
    signal.cancel()
    let error = capture { () throws(ReplError) in
      try TLSConnection.connect(
        host: "127.0.0.1", port: echo.listener.boundPort, settings: sites.client, cancelSignal: signal)
    }.failure
    #expect(error?.kind == .cancelled)
  }
}

/// A ClientHello of TLS 1.2: one cipher suite, no extension that offers a newer version.
private let clientHelloOfTLS12: [UInt8] = {
  let suites: [UInt8] = [0x00, 0x04, 0xC0, 0x2F, 0xC0, 0x2B]
  let groups: [UInt8] = [0x00, 0x0A, 0x00, 0x04, 0x00, 0x02, 0x00, 0x17]
  let signatures: [UInt8] = [0x00, 0x0D, 0x00, 0x04, 0x00, 0x02, 0x04, 0x03]
  let extensions = groups + signatures
  let body =
    [3, 3] + pattern(32, seed: 3) + [0] + suites + [1, 0] + [0, UInt8(extensions.count)] + extensions
  let message = [1, 0, 0, UInt8(body.count)] + body
  return [22, 3, 1, 0, UInt8(message.count)] + message
}()
