import ReplModel
import TestSupport
import Testing

@Suite struct ByteCodingTests {
  private func sample() -> [UInt8] {
    var writer = ByteWriter()
    writer.write(UInt8(1))
    writer.write(UInt16(0x0203))
    writer.write(UInt32(0x0405_0607))
    writer.write(Int64(-2))
    writer.write(true)
    writer.write("grün")
    writer.writeBlob([9, 8, 7])
    writer.write(PointID(high: 1, low: 2))
    writer.write(Fingerprint(low: 3, high: 4))
    writer.writeOptional(UInt8(5)) { $0.write($1) }
    writer.writeOptional(UInt8?.none) { $0.write($1) }
    writer.writeList([UInt16(1), 2, 3]) { $0.write($1) }
    return writer.bytes
  }

  private func decode(_ bytes: [UInt8]) throws(DecodingFailure) {
    var reader = ByteReader(bytes)
    let first: UInt8 = try reader.read()
    let second: UInt16 = try reader.read()
    let third: UInt32 = try reader.read()
    let fourth: Int64 = try reader.read()
    #expect(first == 1 && second == 0x0203 && third == 0x0405_0607 && fourth == -2)
    let flag = try reader.readBool()
    let text = try reader.readString(limit: 10)
    let blob = try reader.readBlob(limit: 3)
    #expect(flag && text == "grün" && blob == [9, 8, 7])
    let id: PointID = try reader.readIdentifier()
    let sum = try reader.readFingerprint()
    #expect(id == PointID(high: 1, low: 2) && sum == Fingerprint(low: 3, high: 4))
    let present = try reader.readOptional { (reader) throws(DecodingFailure) in try reader.read(UInt8.self) }
    let absent = try reader.readOptional { (reader) throws(DecodingFailure) in try reader.read(UInt8.self) }
    let list = try reader.readList(limit: 3) { (reader) throws(DecodingFailure) in try reader.read(UInt16.self) }
    #expect(present == 5 && absent == nil && list == [1, 2, 3])
    try reader.finish()
  }

  @Test func whatIsWrittenIsRead() throws { try decode(sample()) }

  @Test func integersAreLittleEndian() { #expect(Array(sample()[..<7]) == [1, 3, 2, 7, 6, 5, 4]) }

  @Test func everyTruncationIsAnError() {
    let bytes = sample()
    for count in 0..<bytes.count {
      #expect(throws: DecodingFailure.self, "\(count) bytes") { try decode(Array(bytes[..<count])) }
    }
    #expect(throws: DecodingFailure.self) { try decode(bytes + [0]) }
  }

  @Test func limitsHoldBeforeMemoryIsTaken() {
    var writer = ByteWriter()
    writer.write(UInt32.max)
    for _ in 0..<3 { writer.write(UInt64.max) }
    let bytes = writer.bytes
    #expect(throws: DecodingFailure.self) {
      var reader = ByteReader(bytes)
      _ = try reader.readBlob(limit: 1 << 20)
    }
    #expect(throws: DecodingFailure.self) {
      var reader = ByteReader(bytes)
      _ = try reader.readBlob(limit: .max)
    }
    #expect(throws: DecodingFailure.self) {
      var reader = ByteReader(bytes)
      _ = try reader.readString(limit: 1 << 20)
    }
    #expect(throws: DecodingFailure.self) {
      var reader = ByteReader(bytes)
      _ = try reader.readList(limit: .max) { (reader) throws(DecodingFailure) in try reader.read(UInt64.self) }
    }
    #expect(throws: DecodingFailure.self) {
      var reader = ByteReader(bytes)
      _ = try reader.readList(limit: 2) { (reader) throws(DecodingFailure) in try reader.read(UInt64.self) }
    }
  }

  @Test func otherThanZeroAndOneIsNoTruthValue() {
    #expect(throws: DecodingFailure.self) {
      var reader = ByteReader([2])
      _ = try reader.readBool()
    }
  }

  @Test func textMustBeUTF8() {
    #expect(throws: DecodingFailure.self) {
      var reader = ByteReader([2, 0, 0, 0, 0xc3, 0x28])
      _ = try reader.readString(limit: 10)
    }
  }

  @Test func theFailureNamesThePlace() {
    var reader = ByteReader([1, 2, 3][1...])
    _ = try? reader.read(UInt8.self)
    #expect(reader.failure("a cat").offset == 1)
    #expect(reader.failure("a cat").description == "at byte 1: expected a cat")
  }
}
