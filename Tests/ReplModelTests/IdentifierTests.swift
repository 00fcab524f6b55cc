import ReplModel
import TestSupport
import Testing

@Suite struct IdentifierTests {
  @Test func textAndBytesComeBack() {
    var generator = SeededGenerator(seed: 1)
    for _ in 0..<100 {
      let id = VolumeID.random(using: &generator)
      #expect(VolumeID(id.description) == id)
      #expect(VolumeID(bytes: id.bytes) == id)
      #expect(id.description.count == 32 && id.bytes.count == 16)
    }
  }

  @Test func theTextIsTheBytesInHexadecimal() {
    let id = PointID(high: 0x0001_0203_0405_0607, low: 0x0809_0a0b_0c0d_0eff)
    #expect(id.description == "000102030405060708090a0b0c0d0eff")
    #expect(id.bytes == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 255])
  }

  @Test(arguments: [
    "", "0", "000102030405060708090a0b0c0d0ef", "000102030405060708090a0b0c0d0efff", "g00102030405060708090a0b0c0d0eff",
    " 00102030405060708090a0b0c0d0eff", "+00102030405060708090a0b0c0d0eff", "0x0102030405060708090a0b0c0d0eff",
  ])
  func otherTextIsNoIdentifier(text: String) { #expect(VolumeID(text) == nil) }

  @Test func otherCountsOfBytesAreNoIdentifier() {
    for count in [0, 15, 17] { #expect(VolumeID(bytes: [UInt8](repeating: 1, count: count)) == nil) }
  }

  @Test func orderIsTheOrderOfTheText() {
    var generator = SeededGenerator(seed: 2)
    let ids = (0..<100).map { _ in VolumeID.random(using: &generator) }
    #expect(ids.sorted().map(\.description) == ids.map(\.description).sorted())
  }

  @Test func randomOnesDiffer() {
    #expect(Set((0..<1000).map { _ in SessionID.random() }).count == 1000)
  }
}
