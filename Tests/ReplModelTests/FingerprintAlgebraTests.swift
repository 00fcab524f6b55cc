import ReplModel
import TestSupport
import Testing

@Suite struct FingerprintAlgebraTests {
  @Test func carriesAndBorrows() {
    let one = Fingerprint(low: 1, high: 0)
    let last = Fingerprint(low: .max, high: .max)
    #expect(last + one == .zero)
    #expect(Fingerprint.zero - one == last)
    #expect(Fingerprint(low: .max, high: 3) + one == Fingerprint(low: 0, high: 4))
    #expect(Fingerprint(low: 0, high: 4) - one == Fingerprint(low: .max, high: 3))
  }

  @Test(arguments: 0..<100 as Range<UInt64>) func isAGroup(seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    let values = (0..<3).map { _ in Fingerprint(low: generator.next(), high: generator.next()) }
    #expect(values[0] + values[1] == values[1] + values[0])
    #expect((values[0] + values[1]) + values[2] == values[0] + (values[1] + values[2]))
    #expect(values[0] + values[1] - values[1] == values[0])
    #expect(values[0] - values[0] == .zero)
  }

  @Test func textComesBack() {
    let value = Fingerprint(low: 0x0f, high: 0xff00)
    #expect(value.description == "000000000000ff00000000000000000f")
    #expect(Fingerprint(value.description) == value)
    #expect(Fingerprint("12") == nil)
  }

  @Test func aKeyHas192Bytes() {
    var generator = SeededGenerator(seed: 1)
    #expect(FingerprintKey.random(using: &generator).bytes.count == 192)
    #expect(FingerprintKey(bytes: [UInt8](repeating: 0, count: 191)) == nil)
  }
}
