import ReplModel
import TestSupport
import Testing

@Suite struct SealCodingTests {
  private func random(_ generator: inout SeededGenerator) -> Seal {
    let reasons = ["source file is gone", "ist voll: grün", "", String(repeating: "x", count: 100)]
    return Seal(
      point: .random(using: &generator), volume: .random(using: &generator), lineage: .random(using: &generator),
      branch: Branch(epoch: generator.next(), id: .random(using: &generator)),
      base: generator.oneIn(2) ? nil : .random(using: &generator), generation: generator.next(), size: generator.next(),
      fingerprint: Fingerprint(low: generator.next(), high: generator.next()), nonZeroBlocks: generator.next(),
      takenAt: Timestamp(nanoseconds: Int64(bitPattern: generator.next())),
      consistency: Consistency.allCases.randomElement(using: &generator) ?? .volume,
      proof: Proof.allCases.randomElement(using: &generator) ?? .full, group: .random(using: &generator),
      members: (0..<Int.random(in: 0...4, using: &generator)).map { _ in
        GroupMember(
          volume: .random(using: &generator), size: generator.next(),
          missingReason: generator.oneIn(2) ? nil : reasons.randomElement(using: &generator))
      })
  }

  @Test(arguments: 0..<200 as Range<UInt64>) func aSealComesBack(seed: UInt64) throws {
    var generator = SeededGenerator(seed: seed)
    let seal = random(&generator)
    var reader = ByteReader(seal.encoded)
    let decoded = try Seal(from: &reader)
    try reader.finish()
    #expect(decoded == seal)
    #expect(decoded.encoded == seal.encoded)
  }

  @Test func everyTruncationIsAnError() {
    var generator = SeededGenerator(seed: 4)
    let bytes = random(&generator).encoded
    for count in 0..<bytes.count {
      #expect(throws: DecodingFailure.self, "\(count) bytes") {
        var reader = ByteReader(Array(bytes[..<count]))
        _ = try Seal(from: &reader)
      }
    }
  }

  @Test(arguments: 0..<300 as Range<UInt64>) func randomBytesAreNeverFatal(seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    var bytes = random(&generator).encoded
    for _ in 0..<Int.random(in: 1...8, using: &generator) {
      bytes[Int.random(in: 0..<bytes.count, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
    }
    var reader = ByteReader(bytes)
    _ = try? Seal(from: &reader)
  }

  @Test func otherVersionsAndAlgorithmsAreNamed() {
    var generator = SeededGenerator(seed: 4)
    for (place, word) in [(0, "version"), (1, "algorithm")] {
      var bytes = random(&generator).encoded
      bytes[place] = 2
      var reader = ByteReader(bytes)
      do {
        _ = try Seal(from: &reader)
        Issue.record("decoded")
      } catch {
        #expect(error.expected.contains(word) && error.expected.contains("2"))
      }
    }
  }

  @Test func tooManyMembersAreRefused() {
    var generator = SeededGenerator(seed: 4)
    var seal = random(&generator)
    seal.members = (0...Seal.memberLimit).map { GroupMember(volume: VolumeID(high: 0, low: UInt64($0)), size: 1) }
    let bytes = seal.encoded
    #expect(throws: DecodingFailure.self) {
      var reader = ByteReader(bytes)
      _ = try Seal(from: &reader)
    }
  }

  @Test func aLongReasonIsCutAndStillDecodes() throws {
    var generator = SeededGenerator(seed: 4)
    var seal = random(&generator)
    seal.members = [
      GroupMember(volume: VolumeID(high: 0, low: 1), size: 1, missingReason: String(repeating: "🐘", count: 500))
    ]
    var reader = ByteReader(seal.encoded)
    let decoded = try Seal(from: &reader)
    #expect(decoded.members[0].missingReason?.hasPrefix("🐘🐘") == true)
  }
}
