public import ReplModel

/// What a source tells of one of its volumes outside of a session. Said again until it is answered.
public struct VolumeNotice: Hashable, Sendable {
  public enum Content: Hashable, Sendable {
    /// The volume is the source's no more: its points are orphaned and age out.
    case deleted
    /// Points of later generations than this one rest on changes that may have been missed, except those with a full
    /// proof.
    case doubted(after: UInt64, reason: String)
  }

  public var volume: VolumeID
  public var content: Content

  public init(volume: VolumeID, content: Content) {
    self.volume = volume
    self.content = content
  }
}
