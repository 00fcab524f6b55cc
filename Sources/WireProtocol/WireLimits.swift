import ReplModel

/// Limits of the protocol that belong to no single message. A value beyond one makes its message malformed.
public enum WireLimits {
  /// Names of the application protocols (ALPN).
  public static let controlProtocol = "repl-ctl/1"
  public static let dataProtocol = "repl-data/1"
  public static let pairingProtocol = "repl-pair/1"

  /// Largest volume in bytes, and so the largest end of an extent: what a signed 64-bit file offset can name.
  public static let volumeSize = UInt64(Int64.max)
  /// Instants lie between 1970 and this one (the year 2116), in nanoseconds, so that differences never overflow.
  public static let instant: Int64 = 1 << 62
  /// Largest generation and epoch. Nobody counts so far, and counting on from any of them cannot overflow.
  public static let counter: UInt64 = 1 << 53
  /// Node names, namespaces, volume names and addresses, in bytes.
  public static let name = 253
  /// Cluster ids, in bytes.
  public static let clusterID = ClusterID.limit
  /// Software versions, in bytes of UTF-8.
  public static let software = 128
  /// Reasons such as the one for a full copy, in bytes of UTF-8.
  public static let reason = 512
  /// Parts of an error, in bytes of UTF-8; a longer one is cut by the sender.
  public static let errorSubject = 1024
  public static let errorCause = 4096
  public static let errorRemedy = 1024
  /// A certificate in DER, in bytes.
  public static let certificate = 16384
  /// Tail of a data frame, in bytes: what a newer minor version may put into or after its payload. The tail of a body on
  /// a control or pairing connection has the limit of its frame.
  public static let dataTail: UInt32 = 1024
  /// Damaged segments in one inventory reply, all points together.
  public static let inventoryDamage = 65536
  /// A document of a control plane and its answer, in bytes, all parts together.
  public static let document = 8 << 20
  /// A part of one, in bytes; all but the last are of this size.
  public static let documentPart = 512 << 10
  /// The topic of a document, in bytes of UTF-8.
  public static let documentTopic = 64
  /// Damaged segments in one answer to a verification.
  public static let verifyDamage = 4096

  /// Smallest and largest chunk any end may name, in bytes.
  public static let chunkSizes: ClosedRange<UInt32> = 65536...UInt32(segmentSize)
}
