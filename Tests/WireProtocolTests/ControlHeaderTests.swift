import Testing

@testable import WireProtocol

@Suite("Header of control frames")
struct ControlHeaderTests {
  private func header(
    type: UInt16 = 1, flags: ControlFrameHeader.Flags = [], length: UInt32 = 0
  ) -> ControlFrameHeader {
    ControlFrameHeader(type: type, flags: flags, length: length, requestID: 0xDDCC_BBAA)
  }

  @Test func roundTripsAndIsLittleEndian() throws {
    let value = header(type: 0x0102, flags: [.reply, .error], length: 8192)
    #expect(value.encode() == [0x46, 0x52, 2, 1, 3, 0, 0, 0, 0, 0x20, 0, 0, 0xAA, 0xBB, 0xCC, 0xDD])
    #expect(try ControlFrameHeader(bytes: value.encode()) == value)
  }

  @Test func everyFlippedBitOfTheFixedFieldsIsRefused() {
    let bytes = header().encode()
    for position in [0, 1, 6, 7] {
      for bit in 0..<8 {
        var wrong = bytes
        wrong[position] ^= 1 << bit
        #expect(reason { _ = try ControlFrameHeader(bytes: wrong) } == .malformedHeader)
      }
    }
  }

  @Test func flagsWithoutAMeaningAreRefused() {
    for flags: UInt16 in [2, 6, 8, 0x8000] {
      let value = header(flags: ControlFrameHeader.Flags(rawValue: flags))
      #expect(reason { _ = try ControlFrameHeader(bytes: value.encode()) } == .malformedHeader)
    }
  }

  @Test func otherLengthsThanSixteenAreRefused() {
    let bytes = header().encode()
    for count in 0..<16 {
      #expect(reason { _ = try ControlFrameHeader(bytes: Array(bytes[..<count])) } == .malformedHeader)
    }
    #expect(reason { _ = try ControlFrameHeader(bytes: bytes + [0]) } == .malformedHeader)
  }

  @Test func unknownTypeClosesUnlessOptional() throws {
    #expect(reason { _ = try ControlFrameHeader(bytes: header(type: 99).encode()) } == .unknownType)
    let optional = try ControlFrameHeader(bytes: header(type: 99, flags: .optional, length: 65536).encode())
    #expect(!optional.isKnown)
    #expect(
      reason { _ = try ControlFrameHeader(bytes: header(type: 99, flags: .optional, length: 65537).encode()) }
        == .tooLong)
  }

  @Test func limitsAreThoseOfTypeAndDirection() {
    for type in FrameType.allCases {
      for flags: ControlFrameHeader.Flags in [[], .reply, [.reply, .error]] {
        let limit = FrameType.bodyLimit(type: type.rawValue, flags: flags)
        #expect(limit <= ControlFrameHeader.bodyLimit)
        let fits = header(type: type.rawValue, flags: flags, length: limit)
        #expect(reason { _ = try ControlFrameHeader(bytes: fits.encode()) } == nil)
        let long = header(type: type.rawValue, flags: flags, length: limit + 1)
        #expect(reason { _ = try ControlFrameHeader(bytes: long.encode()) } == .tooLong)
      }
    }
  }
}
