/// What a volume is at this site.
public enum VolumeRole: String, Hashable, Sendable, Codable {
  /// It is written here and replicated to peers.
  case source
  /// Points of it are received here.
  case target
  /// It was received here and is written here now.
  case promoted
  /// It was written here and is no more.
  case demoted
}
