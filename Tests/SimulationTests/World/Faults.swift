import TestSupport

/// What the network does wrong, by chance and as a test asks. Used by one thread.
struct Faults {
  enum OfRequest { case none, cutBefore, cutAfter, twice }
  enum OfChunk { case none, lost, twice, flipped }

  /// Faults that may still happen.
  var budget = 0
  private var generator: SeededGenerator

  init(_ generator: SeededGenerator) { self.generator = generator }

  mutating func request(mayRepeat: Bool) -> OfRequest {
    guard budget > 0, generator.oneIn(8) else { return .none }
    budget -= 1
    let choices: [OfRequest] = mayRepeat ? [.cutBefore, .cutAfter, .twice] : [.cutBefore, .cutAfter]
    return choices.randomElement(using: &generator) ?? .none
  }

  mutating func chunk() -> OfChunk {
    guard budget > 0, generator.oneIn(20) else { return .none }
    budget -= 1
    return [OfChunk.lost, .twice, .flipped].randomElement(using: &generator) ?? .none
  }

  mutating func compresses() -> Bool { Bool.random(using: &generator) }
  mutating func bit(of count: Int) -> Int { Int.random(in: 0..<count * 8, using: &generator) }
  mutating func pause() -> Double { Double.random(in: 0.01...0.4, using: &generator) }
}
