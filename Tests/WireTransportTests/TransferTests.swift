import Glibc
import ReplModel
import Testing

import TestSupport
@testable import WireTransport
import Threads

@Suite struct TransferTests {
  private func connected(
    _ options: TLSOptions = TLSOptions()
  ) throws -> (client: TLSConnection, server: TLSConnection) {
    let sites = try TwoSites(options: options)
    return try Handshake.pair(client: sites.client, server: sites.server)
  }

  /// Sends and receives at both ends at once; everything must arrive as it was sent.
  private func exchange(_ pair: (client: TLSConnection, server: TLSConnection), count: Int) throws {
    let ends = [(pair.client, pair.server, UInt64(1)), (pair.server, pair.client, UInt64(2))]
    let outcomes = try ends.map { sender, receiver, seed in
      let sent = pattern(count, seed: seed)
      let sending = try onThread { () throws(ReplError) in
        // Odd sizes, so that records and buffers never line up with calls.
        for start in stride(from: 0, to: count, by: 99_991) {
          try sender.write(Array(sent[start..<min(start + 99_991, count)]))
        }
      }
      let receiving = try onThread { () throws(ReplError) -> Bool in
        var got = [UInt8](repeating: 0, count: count)
        return try receiver.readExactly(into: &got) && got == sent
      }
      return (sending, receiving)
    }
    for (sending, receiving) in outcomes {
      try #require(sending.take(deadline: .after(.seconds(120)))).get()
      #expect(try #require(receiving.take(deadline: .after(.seconds(120)))).get())
    }
  }

  @Test func bytesArriveAsSentInBothDirectionsAtOnce() throws { try exchange(connected(), count: 24 << 20) }

  @Test func whatMustNotWaitIsNotSentToWhoDoesNotRead() throws {
    let pair = try connected()
    let filling = try onThread { () throws(ReplError) in
      pair.client.setWriteTimeout(.milliseconds(300))
      let bytes = pattern(1 << 20, seed: 1)
      while capture({ () throws(ReplError) in try pair.client.write(bytes) }).failure == nil {}
    }
    try #require(filling.take(deadline: .after(.seconds(60)))).get()
    let begin = ContinuousClock.now
    let wrote = try [UInt8](repeating: 0, count: 24).withUnsafeBytes { bytes in try pair.client.writeAtOnce(bytes) }
    #expect(!wrote)
    #expect(.now - begin < .seconds(5))
    let idle = try connected()
    #expect(try [UInt8](repeating: 7, count: 24).withUnsafeBytes { bytes in try idle.client.writeAtOnce(bytes) })
    var got = [UInt8](repeating: 0, count: 24)
    #expect(try idle.server.readExactly(into: &got) && got == [UInt8](repeating: 7, count: 24))
  }

  @Test func smallBuffersChangeNothing() throws {
    var options = TLSOptions()
    options.bufferSize = 1
    try exchange(connected(options), count: 3 << 20)
  }

  @Test func keysChangeAsOftenAsToldAndNothingIsLost() throws {
    var options = TLSOptions()
    options.keyUpdateRecords = 7
    let pair = try connected(options)
    let count = 4 << 20
    try exchange(pair, count: count)
    let updates = UInt64(count / (16 << 10) / 7)
    #expect(pair.client.keyUpdates >= updates)
    #expect(pair.server.keyUpdates >= updates)
  }

  @Test func keysDoNotChangeBeforeTheLimit() throws {
    let pair = try connected()
    try exchange(pair, count: 1 << 20)
    #expect(pair.client.keyUpdates == 0)
  }

  @Test func defaultKeyLimitIsBelowWhatTheCipherBears() {
    // RFC 8446, section 5.5: 2^24.5 full records for AES-GCM.
    #expect(TLSOptions().keyUpdateRecords < 1 << 24)
  }

  @Test func headerAndPayloadOfManyWritersStayTogether() throws {
    let pair = try connected()
    let writers = 4
    let frames = 200
    let done = try (0..<writers).map { writer in
      try onThread { () throws(ReplError) in
        for frame in 0..<frames {
          let body = [UInt8](repeating: UInt8(writer), count: 1 + (frame * 37) % 40_000)
          var header = ByteWriter()
          header.write(UInt32(writer))
          header.write(UInt32(body.count))
          try pair.client.write(header.bytes, body)
        }
      }
    }
    var counts = [Int](repeating: 0, count: writers)
    for _ in 0..<writers * frames {
      var head = [UInt8](repeating: 0, count: 8)
      #expect(try pair.server.readExactly(into: &head))
      var reader = ByteReader(head)
      let (writer, length) = (Int(try reader.read(UInt32.self)), Int(try reader.read(UInt32.self)))
      var body = [UInt8](repeating: 0, count: length)
      #expect(try pair.server.readExactly(into: &body))
      #expect(body.allSatisfy { $0 == UInt8(writer) })
      counts[writer] += 1
    }
    #expect(counts == [Int](repeating: frames, count: writers))
    for queue in done { try #require(queue.take(deadline: .after(patience))).get() }
  }

  @Test func orderlyEndReadsAsZero() throws {
    let pair = try connected()
    try pair.client.write([1, 2, 3])
    pair.client.close()
    var bytes = [UInt8](repeating: 0, count: 10)
    #expect(try pair.server.readFully(into: &bytes) == 3)
    #expect(try !pair.server.readExactly(into: &bytes))
  }

  @Test func cutConnectionIsNoEnd() throws {
    let pair = try connected()
    try pair.client.write([1, 2, 3])
    pair.client.cancel()
    var bytes = [UInt8](repeating: 0, count: 10)
    let error = capture { () throws(ReplError) in try pair.server.readFully(into: &bytes) }.failure
    #expect(error?.kind == .transient)
  }

  @Test func endInTheMiddleOfWhatIsAwaitedIsAnError() throws {
    let pair = try connected()
    try pair.client.write([1, 2, 3])
    pair.client.close()
    var bytes = [UInt8](repeating: 0, count: 10)
    let error = capture { () throws(ReplError) in try pair.server.readExactly(into: &bytes) }.failure
    #expect(error?.kind == .transient)
    #expect(error?.cause.contains("3 of 10") == true)
  }

  @Test func cancelUnblocksReaderAndWriter() throws {
    let pair = try connected()
    let reading = try onThread { () throws(ReplError) -> Int in
      var bytes = [UInt8](repeating: 0, count: 1)
      return try pair.client.readFully(into: &bytes)
    }
    let started = BoundedQueue<Bool>(capacity: 1)
    let writing = try onThread { () throws(ReplError) -> Int in
      let block = [UInt8](repeating: 7, count: 1 << 20)
      // Nobody reads at the other end: this fills the system's buffers and then waits.
      for count in 0..<1024 {
        try pair.client.write(block)
        if count == 0 { started.put(true) }
      }
      return 1024
    }
    #expect(started.take(deadline: .after(patience)) == true)
    pair.client.cancel()
    pair.client.cancel()
    #expect(reading.take(deadline: .after(patience))?.failure?.kind == .cancelled)
    #expect(writing.take(deadline: .after(patience))?.failure?.kind == .cancelled)
    #expect(pair.client.isCancelled)
  }

  @Test func readTimesOutAndTheConnectionLives() throws {
    let pair = try connected()
    pair.server.setReadTimeout(.milliseconds(20))
    var bytes = [UInt8](repeating: 0, count: 1)
    #expect(capture { () throws(ReplError) in try pair.server.readExactly(into: &bytes) }.failure?.kind == .transient)
    pair.server.setReadTimeout(nil)
    try pair.client.write([9])
    #expect(try pair.server.readExactly(into: &bytes))
    #expect(bytes == [9])
  }

  @Test func writeTimesOutWhenNobodyReads() throws {
    let pair = try connected()
    pair.client.setWriteTimeout(.milliseconds(50))
    let block = [UInt8](repeating: 7, count: 64 << 20)
    #expect(capture { () throws(ReplError) in try pair.client.write(block) }.failure?.kind == .transient)
  }

  @Test func emptyReadsAndWritesAreNothing() throws {
    let pair = try connected()
    try pair.client.write([])
    var none: [UInt8] = []
    #expect(try pair.server.readFully(into: &none) == 0)
    try pair.client.write([5])
    var one: [UInt8] = [0]
    #expect(try pair.server.readExactly(into: &one))
    #expect(one == [5])
  }

  @Test func peerThatIsGoneFailsTheWriterWithoutASignal() throws {
    let pair = try connected()
    pair.server.cancel()
    let block = [UInt8](repeating: 7, count: 1 << 20)
    let error = capture { () throws(ReplError) in
      for _ in 0..<64 { try pair.client.write(block) }
    }.failure
    #expect(error?.kind == .transient)
  }
}
