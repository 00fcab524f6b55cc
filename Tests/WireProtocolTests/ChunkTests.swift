import ReplModel
import Testing

@testable import WireProtocol

@Suite("Chunks")
struct ChunkTests {
  private let encoder = ChunkEncoder(maxChunk: 1 << 20)

  private func encode(_ raw: [UInt8], compress: Bool) -> (header: ChunkHeader, payload: [UInt8]) {
    raw.withUnsafeBytes { buffer in
      let chunk = encoder.encode(buffer, at: 1 << 20, compress: compress)
      return (chunk.header, Array(chunk.payload))
    }
  }

  private func text(_ count: Int) -> [UInt8] { (0..<count).map { UInt8($0 / 64 % 7) } }

  @Test(arguments: [1, 904, 4096, 65536, 1 << 20])
  func everySizeRoundTripsRawAndCompressed(size: Int) throws {
    var random = SplitMix(seed: UInt64(size))
    for raw in [text(size), random.bytes(size)] {
      for compress in [true, false] {
        let (header, payload) = encode(raw, compress: compress)
        #expect(header.rawLength == UInt32(size))
        #expect(header.payloadLength == UInt32(payload.count))
        try StreamLimits(volumeSize: UInt64((1 << 20) + size), maxChunk: 1 << 20, codecs: 3).check(header)
        #expect(try chunkBytes(header, payload: payload) == raw)
      }
    }
  }

  @Test func whatShrinksIsCompressedAndOnlyWhenAsked() {
    #expect(encode(text(65536), compress: true).header.codec == .lz4)
    #expect(encode(text(65536), compress: true).payload.count < 8192)
    #expect(encode(text(65536), compress: false).header.codec == .raw)
  }

  @Test func whatDoesNotShrinkGoesRaw() {
    var random = SplitMix(seed: 3)
    for size in [4096, 65536, 1 << 20] {
      #expect(encode(random.bytes(size), compress: true).header.codec == .raw)
    }
  }

  @Test func everyFlippedByteIsFound() throws {
    for compress in [true, false] {
      let (header, payload) = encode(text(4096), compress: compress)
      for position in payload.indices {
        var wrong = payload
        wrong[position] ^= 0x40
        let result = reason { _ = try chunkBytes(header, payload: wrong) }
        #expect(result == .digestMismatch || result == .badPayload, "byte \(position)")
      }
    }
  }

  @Test func truncatedPayloadsAreRefused() {
    let (header, payload) = encode(text(4096), compress: true)
    for count in 0..<payload.count {
      #expect(reason { _ = try chunkBytes(header, payload: Array(payload[..<count])) } == .badPayload)
    }
  }

  @Test func payloadThatDecompressesToAnotherLengthIsRefused() {
    let (header, payload) = encode(text(4096), compress: true)
    for length: UInt32 in [4095, 4097, 1 << 20] {
      var other = header
      other.rawLength = length
      #expect(reason { _ = try chunkBytes(other, payload: payload) } == .badPayload)
    }
  }

  @Test func roomThatIsTooSmallIsRefused() {
    let (header, payload) = encode(text(4096), compress: false)
    var raw = [UInt8](repeating: 0, count: 4095)
    let result = reason {
      try raw.withUnsafeMutableBytes { raw in
        try payload.withUnsafeBytes { try ChunkDecoder.decode(header, payload: $0, into: raw) }
      }
    }
    #expect(result == .badPayload)
  }

  @Test func rawPayloadAlreadyInPlaceIsOnlyChecked() throws {
    let (header, payload) = encode(text(4096), compress: false)
    var raw = payload
    try raw.withUnsafeMutableBytes { raw in
      try ChunkDecoder.decode(header, payload: UnsafeRawBufferPointer(raw), into: raw)
    }
    #expect(raw == payload)
  }
}
