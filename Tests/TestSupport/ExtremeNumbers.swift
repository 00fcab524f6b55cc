/// Numbers that overflow, lie beside a boundary or mean nothing, for every integer of a binary form.
public enum ExtremeNumbers {
  public static let all: [UInt64] = [
    0, 1, 4095, 4096, 4097, 1 << 31, 1 << 32, 1 << 52, 1 << 53, (1 << 53) + 1, 1 << 62, UInt64(Int64.max), 1 << 63,
    .max - 4095, .max,
  ]

  /// `bytes` with each number at each place, little endian, in each width that fits.
  public static func variants(of bytes: [UInt8]) -> some Sequence<[UInt8]> {
    bytes.indices.lazy.flatMap { place in
      [1, 2, 4, 8].lazy.filter { place + $0 <= bytes.count }.flatMap { width in
        all.lazy.map { number in
          var wrong = bytes
          for index in 0..<width { wrong[place + index] = UInt8(truncatingIfNeeded: number >> (8 * UInt64(index))) }
          return wrong
        }
      }
    }
  }
}
