/// SHA-256 and HMAC in plain Swift, for vectors only: the protocol is given its cryptography from outside.
enum SHA256 {
  private static let constants: [UInt32] = primes(64).map { fraction(cubeRoot: $0) }
  private static let start: [UInt32] = primes(8).map { fraction(squareRoot: $0) }

  static func hash(_ message: [UInt8]) -> [UInt8] {
    var padded = message + [0x80]
    while padded.count % 64 != 56 { padded.append(0) }
    padded += (0..<8).map { UInt8(truncatingIfNeeded: (UInt64(message.count) * 8) >> (56 - 8 * UInt64($0))) }
    var state = start
    for block in stride(from: 0, to: padded.count, by: 64) { mix(Array(padded[block..<block + 64]), into: &state) }
    return state.flatMap { word in (0..<4).map { UInt8(truncatingIfNeeded: word >> (24 - 8 * UInt32($0))) } }
  }

  static func hmac(key: [UInt8], message: [UInt8]) -> [UInt8] {
    let short = key.count > 64 ? hash(key) : key
    let full = short + [UInt8](repeating: 0, count: 64 - short.count)
    return hash(full.map { $0 ^ 0x5C } + hash(full.map { $0 ^ 0x36 } + message))
  }

  private static func mix(_ block: [UInt8], into state: inout [UInt32]) {
    var words = (0..<16).map { index in block[index * 4..<index * 4 + 4].reduce(UInt32(0)) { $0 << 8 | UInt32($1) } }
    for index in 16..<64 {
      let (early, late) = (words[index - 15], words[index - 2])
      let first = rotate(early, 7) ^ rotate(early, 18) ^ early >> 3
      let second = rotate(late, 17) ^ rotate(late, 19) ^ late >> 10
      words.append(words[index - 16] &+ first &+ words[index - 7] &+ second)
    }
    var v = state
    for index in 0..<64 {
      let choice = v[4] & v[5] ^ ~v[4] & v[6]
      let majority = v[0] & v[1] ^ v[0] & v[2] ^ v[1] & v[2]
      let sum = rotate(v[4], 6) ^ rotate(v[4], 11) ^ rotate(v[4], 25)
      let first = v[7] &+ sum &+ choice &+ constants[index] &+ words[index]
      let second = (rotate(v[0], 2) ^ rotate(v[0], 13) ^ rotate(v[0], 22)) &+ majority
      v = [first &+ second, v[0], v[1], v[2], v[3] &+ first, v[4], v[5], v[6]]
    }
    for index in 0..<8 { state[index] = state[index] &+ v[index] }
  }

  private static func rotate(_ word: UInt32, _ count: UInt32) -> UInt32 { word >> count | word << (32 - count) }

  private static func primes(_ count: Int) -> [UInt64] {
    var found: [UInt64] = []
    var candidate: UInt64 = 2
    while found.count < count {
      if found.allSatisfy({ candidate % $0 != 0 }) { found.append(candidate) }
      candidate += 1
    }
    return found
  }

  /// First 32 bits of the fraction of the square root: exact, by search.
  private static func fraction(squareRoot value: UInt64) -> UInt32 {
    search { root in
      let square = root.multipliedFullWidth(by: root)
      return (square.high, square.low) <= (value, 0)
    }
  }

  private static func fraction(cubeRoot value: UInt64) -> UInt32 {
    search { root in
      // root is below 2^35, its square below 2^70: compare root^3 with value * 2^96 in 128 bits.
      let cube = UInt128(root) * UInt128(root) * UInt128(root)
      return cube <= UInt128(value) << 96
    }
  }

  /// The largest root, scaled by 2^32, for which `fits` holds; its low half is the fraction.
  private static func search(_ fits: (UInt64) -> Bool) -> UInt32 {
    var root: UInt64 = 0
    for bit in (0..<37).reversed() where fits(root | 1 << UInt64(bit)) { root |= 1 << UInt64(bit) }
    return UInt32(truncatingIfNeeded: root)
  }
}
