import Glibc
import ReplModel
import Testing
import WireProtocol

import TestSupport
@testable import WireTransport
import Threads

/// A listener that echoes single bytes, and what it refused.
private struct Echo {
  let listener: TLSListener
  let refusals = BoundedQueue<ReplError>(capacity: 64)

  init(
    _ settings: TLSSettings, address: String = "127.0.0.1", limits: ListenerLimits = ListenerLimits(),
    plainAnswer: String? = nil
  ) throws {
    let refusals = refusals
    listener = try TLSListener(
      address: address, port: 0, settings: settings, limits: limits,
      plainHTTPAnswer: plainAnswer, log: { _, error in _ = refusals.tryPut(error) },
      refuse: { connection, error in try? connection.write(Array(error.cause.utf8)) },
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

  @Test("a peer beyond its share is told why, and others of the port go on")
  func connectionsOfOnePeer() throws {
    let (here, third, there) = (try Site("here"), try Site("third"), try Site("there"))
    var limits = ListenerLimits()
    limits.perPeer = 2
    let echo = try Echo(there.settings(.server, trusting: [here.pin, third.pin]), limits: limits)
    defer { echo.listener.stop() }
    let own = try (0..<2).map { _ in try echo.connect(here.settings(.client, trusting: [there.pin])) }
    for connection in own { #expect(try echoes(connection)) }
    let refused = try echo.connect(here.settings(.client, trusting: [there.pin]))
    refused.setReadTimeout(patience)
    var words = [UInt8](repeating: 0, count: 200)
    let count = try refused.readFully(into: &words)
    #expect(String(decoding: words.prefix(count), as: UTF8.self).contains("2 connections"))
    #expect(echo.refusal()?.kind == .refused)
    #expect(try echoes(echo.connect(third.settings(.client, trusting: [there.pin]))))
    for connection in own { #expect(try echoes(connection)) }
  }

  @Test func placeIsFreeAgainAfterAConnectionEnds() throws {
    let sites = try TwoSites()
    var limits = ListenerLimits()
    limits.perPeer = 1
    let echo = try Echo(sites.server, limits: limits)
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

  @Test("a flood of handshakes ends its own oldest: a peer is let in all the same, from the same address too")
  func floodOfHandshakes() throws {
    let sites = try TwoSites()
    var limits = ListenerLimits()
    limits.handshakes = 4
    let echo = try Echo(sites.server, address: "::", limits: limits)
    defer { echo.listener.stop() }
    let port = echo.listener.boundPort
    let silent = try (0..<20).map { _ in try connectedSocket(to: .numeric(host: "127.0.0.1", port: port)) }
    for host in ["127.0.0.1", "::1"] { #expect(try echoes(echo.connect(sites.client, host: host))) }
    #expect(silent[0].receiveAll().isEmpty, "the oldest was ended")
    #expect(echo.listener.connectionCount <= 4 + 2)
  }

  @Test("one byte now and then does not prolong a handshake")
  func trickledHandshake() throws {
    var options = TLSOptions()
    options.handshakeTimeout = .milliseconds(100)
    let sites = try TwoSites(options: options)
    let echo = try Echo(sites.server)
    defer { echo.listener.stop() }
    let slow = try connectedSocket(to: echo.listener.boundAddress)
    let refused = BoundedQueue<ReplError?>(capacity: 1)
    let waiting = try WorkerThread(name: "waiting") { refused.put(echo.refusal()) }
    // The first bytes of a handshake record that announces 512 bytes.
    slow.sendAll([22, 3, 1, 2, 0])
    let deadline = Deadline.after(patience)
    var outcome: ReplError??
    while outcome == nil, !deadline.isOver {
      slow.sendAll([1])
      outcome = refused.take(deadline: .after(.milliseconds(5)))
    }
    waiting.join()
    #expect(outcome??.kind == .transient)
  }

  @Test("a connection that never says what it wants ends, however often a byte comes; one that was let in stays")
  func introductionHasADeadline() throws {
    var options = TLSOptions()
    options.introductionTimeout = .milliseconds(300)
    let sites = try TwoSites(options: options)
    let echo = try Echo(sites.server)
    defer { echo.listener.stop() }
    let connection = try echo.connect(sites.client)
    connection.setReadTimeout(patience)
    let deadline = Deadline.after(patience)
    var byte: [UInt8] = [0]
    while !deadline.isOver, (try? connection.write([1])) != nil, (try? connection.readExactly(into: &byte)) == true {}
    #expect(!deadline.isOver)

    let lifted = try TLSListener(address: "127.0.0.1", port: 0, settings: sites.server) { connection in
      connection.setDeadline(.never)
      var byte: [UInt8] = [0]
      while (try? connection.readExactly(into: &byte)) == true, (try? connection.write(byte)) != nil {}
    }
    defer { lifted.stop() }
    let stays = try TLSConnection.connect(host: "127.0.0.1", port: lifted.boundPort, settings: sites.client)
    let end = Deadline.after(.milliseconds(500))
    while !end.isOver { #expect(try echoes(stays)) }
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

  @Test(
    "Who speaks HTTP without TLS is told what to do, if the port has something to say", arguments: [nil, "use TLS"])
  func plainHTTPIsAnswered(text: String?) throws {
    let sites = try TwoSites()
    let echo = try Echo(sites.server, plainAnswer: text)
    defer { echo.listener.stop() }
    let plain = try connectedSocket(to: echo.listener.boundAddress)
    // More than the answer waits for is not read: it costs a stranger's place and one small write.
    plain.sendAll(Array("GET /v1/cluster/pairtoken HTTP/1.1\r\n\r\n".utf8))
    let answer = String(decoding: plain.receiveAll(), as: UTF8.self)
    #expect(answer.hasPrefix("HTTP/1.1 400 Bad Request\r\n") == (text != nil))
    #expect(answer.hasSuffix("\r\n\r\nuse TLS\n") == (text != nil))
    #expect(echo.refusal() != nil, "it is a connection that came to nothing")
    #expect(try echoes(echo.connect(sites.client)), "others are served as ever")
  }

  @Test func whoSendsNothingKeepsAPlaceOfStrangersOnly() throws {
    let sites = try TwoSites()
    var limits = ListenerLimits()
    limits.handshakes = 1
    let echo = try Echo(sites.server, limits: limits, plainAnswer: "use TLS")
    defer { echo.listener.stop() }
    let silent = try connectedSocket(to: echo.listener.boundAddress)
    let talker = try connectedSocket(to: echo.listener.boundAddress)
    talker.sendAll(Array("GET / HTTP/1.1\r\n\r\n".utf8))
    #expect(String(decoding: talker.receiveAll(), as: UTF8.self).hasSuffix("use TLS\n"))
    #expect(silent.receiveAll().isEmpty, "it had to go for the next one")
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
