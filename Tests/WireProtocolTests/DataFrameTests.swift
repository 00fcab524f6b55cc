import ReplModel
import Testing

@testable import WireProtocol

@Suite("Frames of the data streams")
struct DataFrameTests {
  private let limits = StreamLimits(volumeSize: (3 << 20) + 5000, maxChunk: 1 << 20, codecs: 3)

  private func chunk(
    _ offset: UInt64, _ raw: UInt32, payload: UInt32? = nil, codec: ChunkCodec = .raw
  ) -> ChunkHeader {
    ChunkHeader(
      offset: offset, rawLength: raw, payloadLength: payload ?? raw, codec: codec, digest: Samples.digest)
  }

  private func verdict(_ chunk: ChunkHeader, _ limits: StreamLimits) -> ReasonCode? {
    reason { try limits.check(try decodedHead(encoded(.chunk(chunk)))) }
  }

  @Test func chunksWithinTheVolumeAreTaken() {
    #expect(verdict(chunk(0, 4096), limits) == nil)
    #expect(verdict(chunk(0, 1 << 20), limits) == nil)
    #expect(verdict(chunk(1 << 20, 1 << 20, payload: 77, codec: .lz4), limits) == nil)
    #expect(verdict(chunk(3 << 20, 5000), limits) == nil, "the last block may be partial")
    #expect(verdict(chunk((3 << 20) + 4096, 904), limits) == nil)
  }

  @Test(
    arguments: [
      (1, 4096), (2048, 4096), (0, 100), (0, 0), (3 << 20, 8192), (3 << 20, 4000), (4 << 20, 4096),
      ((1 << 20) - 4096, 8192),
      (1 << 62, 4096), (UInt64.max - 4095, 4096), (0, (1 << 20) + 4096), ((3 << 20) + 8192, 4096),
    ] as [(UInt64, UInt32)])
  func chunksOutOfBoundsAreRefused(offset: UInt64, raw: UInt32) {
    let result = verdict(chunk(offset, raw), limits)
    #expect(result == .chunkOutOfBounds || (raw == 0 || raw > 1 << 20) && result == .tooLong)
  }

  @Test func chunksAboveTheAgreedSizeAreRefused() {
    let small = StreamLimits(volumeSize: 1 << 30, maxChunk: 65536, codecs: 3)
    #expect(verdict(chunk(0, 65536), small) == nil)
    #expect(verdict(chunk(0, 65536 + 4096), small) == .chunkOutOfBounds)
  }

  @Test func payloadFitsTheCodec() {
    #expect(verdict(chunk(0, 4096, payload: 4095), limits) == .badPayload)
    #expect(verdict(chunk(0, 4096, payload: 4097, codec: .lz4), limits) == .badPayload)
    #expect(verdict(chunk(0, 4096, payload: 4096, codec: .lz4), limits) == nil)
    let raw = StreamLimits(volumeSize: 1 << 30, maxChunk: 1 << 20, codecs: 1)
    #expect(verdict(chunk(0, 4096, payload: 10, codec: .lz4), raw) == .badPayload, "LZ4 was not agreed")
  }

  @Test func unknownCodecIsRefused() {
    var head = encoded(.chunk(chunk(0, 4096)))
    head[40] = 2
    #expect(reason { _ = try decodedHead(withCheck(head)) } == .badPayload)
  }

  @Test func zeroRunsMayCrossSegmentsButNotTheEnd() {
    func verdict(_ run: Extent) -> ReasonCode? { reason { try limits.check(try decodedHead(encoded(.zeroRun(run)))) } }
    #expect(verdict(Extent(offset: 4096, length: 2 << 20)) == nil)
    #expect(verdict(Extent(offset: 0, length: (3 << 20) + 5000)) == nil)
    #expect(verdict(Extent(offset: 0, length: 0)) == .chunkOutOfBounds)
    #expect(verdict(Extent(offset: 0, length: 5000)) == .chunkOutOfBounds)
    #expect(verdict(Extent(offset: 1, length: 4096)) == .chunkOutOfBounds)
    #expect(verdict(Extent(offset: 0, length: 4 << 20)) == .chunkOutOfBounds)
    #expect(verdict(Extent(offset: .max, length: .max)) == .chunkOutOfBounds)
  }

  @Test func unknownTypeClosesUnlessOptional() throws {
    var head = encoded(.attached)
    head[2] = 99
    #expect(reason { _ = try decodedHead(withCheck(head)) } == .unknownType)
    head[3] = 1
    head[5] = 0x10
    #expect(try decodedHead(withCheck(head)) == DataFrameHead(content: .skip(type: 99), payloadLength: 4096))
    head[6] = 0x10
    #expect(reason { _ = try decodedHead(withCheck(head)) } == .tooLong)
  }

  @Test func lengthsOtherThanTheTypesAreRefused() {
    var head = encoded(.zeroRun(Extent(offset: 0, length: 4096)))
    head[4] = 1
    #expect(reason { _ = try decodedHead(withCheck(head)) } == .tooLong)
    head = encoded(.attached)
    head.replaceSubrange(4..<8, with: [1, 4, 0, 0])
    #expect(reason { _ = try decodedHead(withCheck(head)) } == .tooLong, "a tail of 1,025 bytes")
    head = encoded(.chunk(chunk(0, 4096)))
    head.replaceSubrange(4..<8, with: [0xFF, 0xFF, 0xFF, 0xFF])
    #expect(reason { _ = try decodedHead(withCheck(head)) } == .tooLong)
  }

  /// What a newer minor version has put behind the frame is read and forgotten.
  @Test func smallFramesMayHaveATail() throws {
    for frame in [DataFrame.attached, .streamEnd(chunks: 1, zeroRuns: 2), .streamEndAcknowledged] {
      var head = encoded(frame)
      head.replaceSubrange(4..<8, with: [0, 4, 0, 0])
      let found = try decodedHead(withCheck(head))
      #expect(found.payloadLength == 1024 && found.isPayloadSkipped)
    }
    let ticket = try Samples.ticket
    var attach = encoded(.attach(session: Samples.session, ticket: ticket))
    attach[4] += 5
    attach = withCheck(Array(attach[..<48])) + attach[48...] + [1, 2, 3, 4, 5]
    #expect(try decoded(attach) == .attach(session: Samples.session, ticket: ticket))
  }

  @Test("a sign of life is an optional frame, so that any peer of this protocol reads past it")
  func keepAlive() throws {
    let bytes = encoded(.keepAlive)
    #expect(bytes.count == 48 && bytes[2] == 8 && bytes[3] == 1)
    #expect(try decodedHead(bytes) == DataFrameHead(content: .skip(type: 8), payloadLength: 0))
  }

  @Test func closeCarriesAReasonAndABoundedError() throws {
    let long = String(repeating: "x", count: 9000)
    let bytes = encoded(.close(ReplError(.noSpace, subject: long, cause: long, remedy: long)))
    #expect(bytes.count <= DataFrameCodec.bufferLength)
    let notice = try bytes[48...].withUnsafeBytes { try DataFrameCodec.decodeClose($0) }
    #expect(notice.reason == .failed)
    #expect(notice.error.kind == .noSpace)
  }

  @Test func tooSmallABufferIsLeftAlone() {
    var small = [UInt8](repeating: 7, count: 47)
    #expect(small.withUnsafeMutableBytes { DataFrameCodec.encode(.attached, into: $0) } == 0)
    #expect(small == [UInt8](repeating: 7, count: 47))
  }
}
