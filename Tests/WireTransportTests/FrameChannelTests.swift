import ReplModel
import Testing
import WireProtocol

import TestSupport
@testable import WireTransport
import Threads

/// Two channels, or one channel and the bare connection at the other end.
private struct Ends {
  let client: TLSConnection
  let server: TLSConnection

  init() throws {
    let sites = try TwoSites()
    (client, server) = try Handshake.pair(client: sites.client, server: sites.server)
  }

  func channels(
    limits: FrameLimits = FrameLimits(), handler: @escaping FrameChannel.Handler
  ) throws -> (client: FrameChannel, server: FrameChannel) {
    (
      try FrameChannel(connection: client, limits: limits),
      try FrameChannel(connection: server, limits: limits, handler: handler)
    )
  }

  /// Requests that take long, without a body, from the bare client.
  func sendEmpty(_ ids: ClosedRange<UInt32>) throws {
    for id in ids { try client.write(ControlFrameHeader(type: seal, flags: [], length: 0, requestID: id).encode()) }
  }

  /// What the bare client reads next refuses this request.
  func requireBusy(_ id: UInt32) throws {
    let busy = try #require(try readFrame(client))
    #expect(busy.header.requestID == id)
    #expect(busy.header.flags.contains(.error))
  }
}

private let heartbeat = FrameType.heartbeat.rawValue
private let seal = FrameType.sealSession.rawValue

private let echo: FrameChannel.Handler = { (request) throws(ReplError) in .reply(flags: [], body: request.body) }

/// Reads one frame from a bare connection.
private func readFrame(_ connection: TLSConnection) throws -> (header: ControlFrameHeader, body: [UInt8])? {
  connection.setReadTimeout(patience)
  var bytes = [UInt8](repeating: 0, count: ControlFrameHeader.byteCount)
  guard try connection.readExactly(into: &bytes) else { return nil }
  let header = try ControlFrameHeader(bytes: bytes)
  var body = [UInt8](repeating: 0, count: Int(header.length))
  _ = try connection.readFully(into: &body)
  return (header, body)
}

/// The reason a bare connection is closed with, after any other frames.
private func closeReason(_ connection: TLSConnection) throws -> ReasonCode? {
  while let frame = try readFrame(connection) {
    if frame.header.type == FrameType.close.rawValue { return try CloseNotice(bytes: frame.body).reason }
  }
  return nil
}

@Suite struct FrameChannelTests {
  @Test func repliesFindTheirRequestsAmongMany() throws {
    let (client, server) = try Ends().channels(handler: echo)
    defer { client.close() }
    let callers = try (0..<16).map { caller in
      try onThread { () throws(ReplError) -> Bool in
        for round in 0..<50 {
          let body = pattern(1 + (round * 61) % 3000, seed: UInt64(caller * 1000 + round))
          guard try client.request(type: heartbeat, body: body, timeout: patience).body == body else { return false }
        }
        return true
      }
    }
    for caller in callers { #expect(try #require(caller.take(deadline: .after(.seconds(60)))).get()) }
    #expect(server.closeError == nil)
  }

  @Test func bothEndsMayAskAtOnce() throws {
    let ends = try Ends()
    let first = try FrameChannel(connection: ends.client, handler: echo)
    let second = try FrameChannel(connection: ends.server, handler: echo)
    defer { first.close() }
    let asking = try [first, second].map { channel in
      try onThread { () throws(ReplError) in
        for _ in 0..<100 { _ = try channel.request(type: heartbeat, body: [1], timeout: patience) }
      }
    }
    for end in asking { try #require(end.take(deadline: .after(.seconds(60)))).get() }
  }

  @Test func slowRequestsHoldUpNoHeartbeat() throws {
    var limits = FrameLimits()
    limits.workers = 2
    let gate = BoundedQueue<Bool>(capacity: 8)
    let (client, _) = try Ends().channels(limits: limits) { (request) throws(ReplError) in
      if request.type == seal { _ = gate.take() }
      return .reply(flags: [], body: [7])
    }
    defer { client.close() }
    let slow = try (0..<4).map { _ in
      try onThread { () throws(ReplError) in try client.request(type: seal, body: [], timeout: patience).body }
    }
    for _ in 0..<20 {
      #expect(try client.request(type: heartbeat, body: [], timeout: patience).body == [7])
    }
    for _ in 0..<4 { gate.put(true) }
    for queue in slow { #expect(try #require(queue.take(deadline: .after(patience))).get() == [7]) }
  }

  @Test func refusalIsThrownAsItWasSent() throws {
    let refusal = ReplError(.diverged, subject: "volume a/b", cause: "histories differ", remedy: "choose one")
    let (client, _) = try Ends().channels { (_) throws(ReplError) in throw refusal }
    defer { client.close() }
    let error = capture { () throws(ReplError) in
      try client.request(type: seal, body: [], timeout: patience)
    }.failure
    #expect(error == refusal)
    #expect(client.closeError == nil)
  }

  @Test func replyThatComesTooLateIsDropped() throws {
    let gate = BoundedQueue<Bool>(capacity: 1)
    let (client, _) = try Ends().channels { (request) throws(ReplError) in
      if request.type == seal { _ = gate.take() }
      return .reply(flags: [], body: request.body)
    }
    defer { client.close() }
    let error = capture { () throws(ReplError) in
      try client.request(type: seal, body: [1], timeout: .milliseconds(20))
    }.failure
    #expect(error?.kind == .transient)
    gate.put(true)
    #expect(try client.request(type: heartbeat, body: [2], timeout: patience).body == [2])
  }

  @Test func closedChannelFailsWhatIsInFlightAndWhatComes() throws {
    let gate = BoundedQueue<Bool>(capacity: 1)
    let arrived = BoundedQueue<Bool>(capacity: 1)
    let (client, server) = try Ends().channels { (_) throws(ReplError) in
      arrived.put(true)
      _ = gate.take()
      return .reply(flags: [], body: [])
    }
    let asking = try onThread { () throws(ReplError) in
      try client.request(type: seal, body: [], timeout: patience).body
    }
    #expect(arrived.take(deadline: .after(patience)) == true)
    server.close()
    #expect(asking.take(deadline: .after(patience))?.failure?.kind == .transient)
    let later = capture { () throws(ReplError) in try client.request(type: heartbeat, body: [], timeout: patience) }
    #expect(later.failure?.kind == .transient)
    gate.put(true)
    client.join()
    server.join()
  }

  @Test func reasonOfThePeerIsKept() throws {
    let (client, server) = try Ends().channels(handler: echo)
    server.close(
      CloseNotice(reason: .unauthenticated, error: ReplError(.unauthenticated, subject: "pair", cause: "was deleted")))
    client.waitUntilClosed()
    #expect(client.closeError?.kind == .unauthenticated)
    #expect(client.closeError?.cause == "was deleted")
  }

  @Test func reasonArrivesThoughMuchIsStillUnread() throws {
    let ends = try Ends()
    let gate = BoundedQueue<Bool>(capacity: 1)
    var limits = FrameLimits()
    limits.queuedRequests = 10_000
    let server = try FrameChannel(connection: ends.server, limits: limits) { (_) throws(ReplError) in
      _ = gate.tryPut(true)
      return .reply(flags: [], body: [])
    }
    let frame = ControlFrameHeader(type: heartbeat, flags: [], length: 0, requestID: 1).encode()
    try ends.client.write((0..<200).flatMap { _ in frame })
    #expect(gate.take(deadline: .after(patience)) == true)
    let closing = try onThread { () throws(ReplError) in
      server.close(CloseNotice(reason: .shuttingDown, error: ReplError(.transient, subject: "agent", cause: "stops")))
    }
    for _ in 0..<20 { try? ends.client.write((0..<200).flatMap { _ in frame }) }
    #expect(try closeReason(ends.client) == .shuttingDown)
    ends.client.close()
    #expect(closing.take(deadline: .after(patience)) != nil)
    server.join()
  }

  @Test func refusedCertificateIsWhatFailsTheFirstRequest() throws {
    let sites = try TwoSites()
    let stranger = try Site("here").settings(.client, trusting: [sites.there.pin])
    let connection = try Handshake.run(client: stranger, server: sites.server).client.get()
    let channel = try FrameChannel(connection: connection)
    let error = capture { () throws(ReplError) in
      try channel.request(type: heartbeat, body: [], timeout: patience)
    }.failure
    #expect(error?.kind == .unauthenticated)
    channel.join()
  }

  @Test func handlerMayEndTheConnection() throws {
    let ends = try Ends()
    _ = try FrameChannel(connection: ends.server) { (_) throws(ReplError) in
      .close(CloseNotice(WireError(.malformedBody, "nonsense"), subject: "peer"))
    }
    try ends.sendEmpty(1...1)
    #expect(try closeReason(ends.client) == .malformedBody)
  }

  @Test func tooManyRequestsAtOnceAreRefusedOnBothSides() throws {
    var limits = FrameLimits()
    limits.workers = 1
    limits.queuedRequests = 1
    limits.pendingRequests = 3
    let gate = BoundedQueue<Bool>(capacity: 8)
    let arrived = BoundedQueue<Bool>(capacity: 8)
    let ends = try Ends()
    let server = try FrameChannel(connection: ends.server, limits: limits) { (_) throws(ReplError) in
      arrived.put(true)
      _ = gate.take()
      return .reply(flags: [], body: [])
    }
    // The bare connection sends more than one thread and one place in the queue can take.
    try ends.sendEmpty(1...1)
    #expect(arrived.take(deadline: .after(patience)) == true)
    try ends.sendEmpty(2...3)
    try ends.requireBusy(3)
    let asking = try (0..<3).map { _ in
      try onThread { () throws(ReplError) in
        try server.request(type: heartbeat, body: [], timeout: patience).body
      }
    }
    for _ in 0..<3 { #expect(try readFrame(ends.client)?.header.type == heartbeat) }
    let error = capture { () throws(ReplError) in try server.request(type: heartbeat, body: [], timeout: patience) }
    #expect(error.failure?.cause.contains("3 requests") == true)
    server.close()
    for queue in asking { #expect(queue.take(deadline: .after(patience))?.failure != nil) }
    for _ in 0..<8 { gate.put(true, deadline: .after(.zero)) }
    server.join()
  }

  @Test func floodOfRequestsEndsTheConnection() throws {
    var limits = FrameLimits()
    limits.workers = 1
    limits.queuedRequests = 2
    let gate = BoundedQueue<Bool>(capacity: 1)
    let ends = try Ends()
    let server = try FrameChannel(connection: ends.server, limits: limits) { (_) throws(ReplError) in
      _ = gate.take()
      return .reply(flags: [], body: [])
    }
    let frame = ControlFrameHeader(type: heartbeat, flags: [], length: 0, requestID: 1).encode()
    try ends.client.write((0..<64).flatMap { _ in frame })
    #expect(try closeReason(ends.client) == .refused)
    gate.close()
    server.join()
  }

  @Test("beyond a peer's bytes nothing is read until there is room, over all its connections")
  func bodiesUnderWayAreBounded() throws {
    let budget = InboundBudget(bytes: 100, requests: 16)
    let gate = BoundedQueue<Bool>(capacity: 8)
    let arrived = BoundedQueue<Int>(capacity: 8)
    let handler: FrameChannel.Handler = { (request) throws(ReplError) in
      arrived.put(request.body.count)
      _ = gate.take()
      return .reply(flags: [], body: [7])
    }
    let ends = [try Ends(), try Ends()]
    for end in ends {
      _ = try FrameChannel(connection: end.server, limits: FrameLimits(budget: budget), handler: handler)
    }
    let clients = try ends.map { try FrameChannel(connection: $0.client) }
    defer { for client in clients { client.close() } }
    let asking = try zip(clients, [80, 60]).map { client, count in
      let queue = try onThread { () throws(ReplError) in
        try client.request(type: seal, body: [UInt8](repeating: 1, count: count), timeout: patience).body
      }
      if count == 80 { #expect(arrived.take(deadline: .after(patience)) == 80) }
      return queue
    }
    #expect(arrived.take(deadline: .after(.milliseconds(300))) == nil, "140 bytes do not fit into 100")
    gate.put(true)
    #expect(arrived.take(deadline: .after(patience)) == 60)
    gate.put(true)
    for queue in asking { #expect(try #require(queue.take(deadline: .after(patience))).get() == [7]) }
  }

  @Test("heartbeats do not wait for that room")
  func heartbeatsBesideAFullBudget() throws {
    let budget = InboundBudget(bytes: 100, requests: 16)
    let whole = try #require(budget.bytes(100, until: .after(patience)))
    let (client, _) = try Ends().channels(limits: FrameLimits(budget: budget), handler: echo)
    defer { client.close() }
    #expect(try client.request(type: heartbeat, body: [1], timeout: patience).body == [1])
    withExtendedLifetime(whole) {}
  }

  @Test("a deadline that is lifted does not end the read that waits already; one that is not does")
  func liftedDeadline() throws {
    let ends = try Ends()
    ends.server.setDeadline(.after(.seconds(5)))
    let server = try FrameChannel(connection: ends.server) { (request) throws(ReplError) in
      ends.server.setDeadline(.never)
      return .reply(flags: [], body: request.body)
    }
    let client = try FrameChannel(connection: ends.client)
    defer { client.close() }
    #expect(try client.request(type: FrameType.hello.rawValue, body: [1], timeout: patience).body == [1])
    // Nothing tells that the former deadline is over but time.
    let later = BoundedQueue<Bool>(capacity: 1)
    #expect(later.take(deadline: .after(.milliseconds(5_300))) == nil)
    #expect(try client.request(type: heartbeat, body: [2], timeout: patience).body == [2])
    #expect(server.closeError == nil)
    let other = try Ends()
    other.server.setDeadline(.after(.milliseconds(50)))
    let silent = try FrameChannel(connection: other.server, handler: echo)
    silent.waitUntilClosed()
    #expect(silent.closeError?.kind == .transient)
  }

  @Test("what waits on a channel that is closed gives back its share")
  func sharesOfAClosedChannel() throws {
    let budget = InboundBudget(bytes: 100, requests: 4)
    var limits = FrameLimits(budget: budget)
    limits.workers = 1
    let gate = BoundedQueue<Bool>(capacity: 1)
    let arrived = BoundedQueue<Bool>(capacity: 8)
    let ends = try Ends()
    let server = try FrameChannel(connection: ends.server, limits: limits) { (_) throws(ReplError) in
      arrived.put(true)
      _ = gate.take()
      return .reply(flags: [], body: [])
    }
    for id in 1...4 {
      try ends.client.write(
        ControlFrameHeader(type: seal, flags: [], length: 20, requestID: UInt32(id)).encode(),
        [UInt8](repeating: 0, count: 20))
    }
    #expect(arrived.take(deadline: .after(patience)) == true)
    ends.client.close()
    server.waitUntilClosed()
    gate.close()
    server.join()
    #expect(arrived.take(deadline: .after(.zero)) == nil, "nothing that waited was begun")
    let whole = try #require(budget.bytes(100, until: .after(patience)))
    #expect((0..<5).compactMap { _ in budget.request() }.count == 4, "all places of requests are free again")
    withExtendedLifetime(whole) {}
  }

  @Test("more requests of a peer than its share are refused as busy")
  func requestsUnderWayAreBounded() throws {
    let gate = BoundedQueue<Bool>(capacity: 8)
    let ends = try Ends()
    _ = try FrameChannel(
      connection: ends.server, limits: FrameLimits(budget: InboundBudget(bytes: 100, requests: 2))
    ) { (_) throws(ReplError) in
      _ = gate.take()
      return .reply(flags: [], body: [])
    }
    try ends.sendEmpty(1...3)
    try ends.requireBusy(3)
    gate.close()
  }

  @Test("before a peer has introduced itself other frames close the connection, whatever they announce")
  func gate() throws {
    for header in [
      ControlFrameHeader(type: seal, flags: [], length: 1 << 20, requestID: 1),
      ControlFrameHeader(type: FrameType.hello.rawValue, flags: .reply, length: 0, requestID: 1),
      ControlFrameHeader(type: 9999, flags: .optional, length: 1000, requestID: 0),
    ] {
      var limits = FrameLimits()
      limits.gate = FrameGate(only: [.hello])
      let ends = try Ends()
      _ = try FrameChannel(connection: ends.server, limits: limits, handler: echo)
      try ends.client.write(header.encode())
      #expect(try closeReason(ends.client) == .outOfOrder)
    }
    var limits = FrameLimits()
    let gate = FrameGate(only: [.hello])
    limits.gate = gate
    let ends = try Ends()
    _ = try FrameChannel(connection: ends.server, limits: limits) { (request) throws(ReplError) in
      gate.open()
      return .reply(flags: [], body: request.body)
    }
    let client = try FrameChannel(connection: ends.client)
    defer { client.close() }
    for type in [FrameType.hello.rawValue, seal] {
      #expect(try client.request(type: type, body: [3], timeout: patience).body == [3])
    }
  }

  @Test("a frame that comes a byte at a time ends the connection")
  func trickledFrame() throws {
    var limits = FrameLimits()
    limits.frameTimeout = .milliseconds(100)
    let ends = try Ends()
    let server = try FrameChannel(connection: ends.server, limits: limits, handler: echo)
    try ends.client.write(ControlFrameHeader(type: seal, flags: [], length: 1 << 20, requestID: 1).encode())
    let deadline = Deadline.after(patience)
    while server.closeError == nil, !deadline.isOver { try? ends.client.write([0]) }
    #expect(server.closeError?.kind == .transient)
  }

  @Test("a refusal may end the connection")
  func refusalThatCloses() throws {
    let refusal = ReplError(.unauthenticated, subject: "token", cause: "is wrong", remedy: "make a new one")
    let ends = try Ends()
    _ = try FrameChannel(connection: ends.server) { (_) throws(ReplError) in .refuseAndClose(refusal) }
    let client = try FrameChannel(connection: ends.client)
    let error = capture { () throws(ReplError) in try client.request(type: seal, body: [], timeout: patience) }
    #expect(error.failure == refusal)
    client.waitUntilClosed()
    #expect(client.closeError != nil)
  }

  @Test func oversizedFrameIsRefusedBeforeItsBodyIsRead() throws {
    let ends = try Ends()
    let server = try FrameChannel(connection: ends.server, handler: echo)
    try ends.client.write(ControlFrameHeader(type: heartbeat, flags: [], length: .max, requestID: 1).encode())
    #expect(try closeReason(ends.client) == .tooLong)
    server.waitUntilClosed()
    #expect(server.closeError?.kind == .protocolViolation)
  }

  @Test(arguments: [7, 16, 20])
  func truncatedFrameIsRefused(length: Int) throws {
    let ends = try Ends()
    _ = try FrameChannel(connection: ends.server, handler: echo)
    let frame =
      ControlFrameHeader(type: heartbeat, flags: [], length: 8, requestID: 1).encode() + [0, 0, 0, 0, 0, 0, 0, 0]
    try ends.client.write(Array(frame.prefix(length)))
    ends.client.endSending()
    #expect(try closeReason(ends.client) == (length < 16 ? .malformedHeader : .malformedBody))
  }

  @Test func unknownOptionalFrameIsSkippedAndAnUnknownOneCloses() throws {
    let ends = try Ends()
    _ = try FrameChannel(connection: ends.server, handler: echo)
    let optional = ControlFrameHeader(type: 9999, flags: .optional, length: 3, requestID: 0).encode() + [1, 2, 3]
    try ends.client.write(optional)
    try ends.client.write(ControlFrameHeader(type: heartbeat, flags: [], length: 1, requestID: 5).encode() + [8])
    let answer = try #require(try readFrame(ends.client))
    #expect(answer.header.requestID == 5)
    #expect(answer.header.flags == .reply)
    #expect(answer.body == [8])
    try ends.client.write(ControlFrameHeader(type: 9999, flags: [], length: 0, requestID: 6).encode())
    #expect(try closeReason(ends.client) == .unknownType)
  }

  @Test func wrongMagicCloses() throws {
    let ends = try Ends()
    _ = try FrameChannel(connection: ends.server, handler: echo)
    try ends.client.write([UInt8](repeating: 0x20, count: 16))
    #expect(try closeReason(ends.client) == .malformedHeader)
  }

  @Test func silenceBeyondTheLimitCloses() throws {
    let ends = try Ends()
    var limits = FrameLimits()
    limits.idleTimeout = .milliseconds(30)
    let server = try FrameChannel(connection: ends.server, limits: limits, handler: echo)
    server.waitUntilClosed()
    #expect(server.closeError?.kind == .transient)
    #expect(try closeReason(ends.client) == .timedOut, "the other end is told")
  }

  @Test func whatIsAskedOfASilentPeerFailsWithItsConnection() throws {
    let ends = try Ends()
    var limits = FrameLimits()
    limits.idleTimeout = .milliseconds(30)
    let client = try FrameChannel(connection: ends.client, limits: limits)
    let asked = capture { () throws(ReplError) in try client.request(type: seal, body: [], timeout: .seconds(3600)) }
    #expect(asked.failure?.kind == .transient)
    #expect(asked.failure?.cause == "sent nothing for too long")
    #expect(client.closeError != nil)
  }

  @Test func requestWithoutAnIdCloses() throws {
    let ends = try Ends()
    _ = try FrameChannel(connection: ends.server, handler: echo)
    try ends.client.write(ControlFrameHeader(type: heartbeat, flags: [], length: 0, requestID: 0).encode())
    #expect(try closeReason(ends.client) == .malformedHeader)
  }

  @Test("A reply of another type than its request closes, and a refusal that cannot be read", arguments: [true, false])
  func wrongReplyCloses(isRefusal: Bool) throws {
    let ends = try Ends()
    let client = try FrameChannel(connection: ends.client)
    let asked = try onThread { () throws(ReplError) in
      try client.request(type: heartbeat, body: [], timeout: patience).body
    }
    ends.server.setReadTimeout(patience)
    let request = try #require(try readFrame(ends.server)).header
    let flags: ControlFrameHeader.Flags = isRefusal ? [.reply, .error] : .reply
    try ends.server.write(
      ControlFrameHeader(
        type: isRefusal ? heartbeat : seal, flags: flags, length: 0, requestID: request.requestID
      ).encode())
    #expect(try closeReason(ends.server) == (isRefusal ? .malformedBody : .outOfOrder))
    #expect(try #require(asked.take(deadline: .after(patience))).failure?.kind == .protocolViolation)
  }

  @Test func whoLeavesSaysWhy() throws {
    let ends = try Ends()
    let server = try FrameChannel(connection: ends.server, handler: echo)
    server.abandon(
      CloseNotice(reason: .shuttingDown, error: ReplError(.transient, subject: "agent", cause: "is stopping")))
    #expect(try closeReason(ends.client) == .shuttingDown)
    #expect(server.closeError?.kind == .transient)
  }

  @Test func bodyThatThePeerWouldRefuseIsNotSent() throws {
    let (client, server) = try Ends().channels { (_) throws(ReplError) in
      .reply(flags: [], body: [UInt8](repeating: 0, count: 1 << 20))
    }
    defer { client.close() }
    let body = [UInt8](repeating: 0, count: 1 << 20)
    let own = capture { () throws(ReplError) in try client.request(type: heartbeat, body: body, timeout: patience) }
    #expect(own.failure?.kind == .bug)
    let theirs = capture { () throws(ReplError) in try client.request(type: heartbeat, body: [], timeout: patience) }
    #expect(theirs.failure?.kind == .bug)
    #expect(server.closeError == nil)
  }
}
