public import ReplModel

/// A volume as the target knows it: the cluster it comes from and its id there.
public struct SourceVolume: Hashable, Sendable, Comparable, CustomStringConvertible {
  /// The source's cluster id, safe as a file name.
  public let cluster: String
  public let volume: VolumeID

  /// Longest cluster id, in bytes.
  public static let clusterLimit = 64

  /// Refuses a cluster id that is not 1 to 64 letters, digits, `.`, `_` and `-`, or that begins with a full stop.
  public init(cluster: String, volume: VolumeID) throws(ReplError) {
    guard Self.isValid(cluster: cluster) else {
      throw ReplError(
        .invalid, subject: "cluster id '\(cluster.prefix(80))'", cause: "cannot be used as a name",
        remedy: "use 1 to 64 letters, digits, '.', '_' and '-', not beginning with '.'")
    }
    self.cluster = cluster
    self.volume = volume
  }

  /// Parses ``directoryName``.
  init?(directoryName name: String) {
    guard let tilde = name.lastIndex(of: "~"), let volume = VolumeID(name[name.index(after: tilde)...]) else {
      return nil
    }
    try? self.init(cluster: String(name[..<tilde]), volume: volume)
  }

  public static func isValid(cluster: String) -> Bool {
    let bytes = cluster.utf8
    guard (1...clusterLimit).contains(bytes.count), bytes.first != UInt8(ascii: ".") else { return false }
    return bytes.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
        true
      default: false
      }
    }
  }

  /// `<cluster>~<volume>`: names the staging directory.
  public var directoryName: String { "\(cluster)~\(volume)" }
  public var description: String { "volume \(volume) of cluster \(cluster)" }

  public static func < (left: Self, right: Self) -> Bool {
    (left.cluster, left.volume) < (right.cluster, right.volume)
  }
}
