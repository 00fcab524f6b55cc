/// Which texts may be ids of clusters: they become directories, keys and lines of logs.
public enum ClusterID {
  /// Longest one, in bytes.
  public static let limit = 64

  /// Whether it is 1 to 64 letters, digits, `.`, `_` and `-`, not beginning with a full stop.
  public static func isValid(_ text: String) -> Bool {
    let bytes = text.utf8
    guard (1...limit).contains(bytes.count), bytes.first != UInt8(ascii: ".") else { return false }
    return bytes.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
        true
      default: false
      }
    }
  }
}
