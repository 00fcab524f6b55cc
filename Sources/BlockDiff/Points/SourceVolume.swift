public import ReplModel

/// A volume as the target knows it: the cluster it comes from and its id there.
public struct SourceVolume: Hashable, Sendable, Comparable, CustomStringConvertible {
  /// The source's cluster id, safe as a file name.
  public let cluster: String
  public let volume: VolumeID

  /// Refuses a cluster id that is none (``ReplModel/ClusterID``).
  public init(cluster: String, volume: VolumeID) throws(ReplError) {
    guard ClusterID.isValid(cluster) else {
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

  /// `<cluster>~<volume>`: names the staging directory.
  public var directoryName: String { "\(cluster)~\(volume)" }
  public var description: String { "volume \(volume) of cluster \(cluster)" }

  public static func < (left: Self, right: Self) -> Bool {
    (left.cluster, left.volume) < (right.cluster, right.volume)
  }
}
