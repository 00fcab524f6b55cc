/// Random numbers that a test can repeat: SplitMix64. Print ``seed`` when a test fails.
public struct SeededGenerator: RandomNumberGenerator, Sendable, CustomStringConvertible {
  public let seed: UInt64
  private var state: UInt64

  public init(seed: UInt64) {
    self.seed = seed
    state = seed
  }

  public mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var word = state
    word = (word ^ (word >> 30)) &* 0xbf58_476d_1ce4_e5b9
    word = (word ^ (word >> 27)) &* 0x94d0_49bb_1331_11eb
    return word ^ (word >> 31)
  }

  /// A generator of its own for another purpose, so that drawing more here does not change what is drawn there.
  public mutating func fork() -> SeededGenerator { SeededGenerator(seed: next()) }

  /// True once in `count` times on average.
  public mutating func oneIn(_ count: Int) -> Bool { Int.random(in: 0..<max(count, 1), using: &self) == 0 }

  public var description: String { "seed \(seed)" }
}
