import ReplModel

/// What two ends agreed on. Different settings are never an error: the smaller limit and the common features win.
public struct HelloNegotiation: Hashable, Sendable {
  public var minor: UInt16
  public var features: UInt64
  /// Largest chunk in bytes: a power of two.
  public var maxChunk: UInt32
  /// Bit n is the codec with raw value n; raw is always among them.
  public var codecs: UInt32
  public var peerCluster: String
  public var peerNode: String
  public var peerSoftware: String

  /// Compares both hellos.
  ///
  /// - Parameter authenticatedCluster: the cluster id in the peer's certificate.
  /// - Throws: another major version, an identity that is not the certificate's, our own cluster id, or a chunk size
  ///   below what the protocol asks of everyone.
  public init(own: Hello, peer: Hello, authenticatedCluster: String) throws(WireError) {
    guard peer.major == own.major else {
      throw WireError.otherMajor(peer.major, at: own.clusterID, own: own.major)
    }
    guard peer.clusterID == authenticatedCluster else {
      throw WireError(
        .unauthenticated, "says it is of cluster \(peer.clusterID), its certificate says \(authenticatedCluster)")
    }
    guard peer.clusterID != own.clusterID else {
      throw WireError(.unauthenticated, "is of our own cluster \(own.clusterID)")
    }
    let smallest = WireLimits.chunkSizes.lowerBound
    guard peer.maxChunk >= smallest, own.maxChunk >= smallest else {
      throw WireError(.malformedBody, "takes chunks of \(peer.maxChunk) bytes, at least \(smallest) are asked for")
    }
    minor = min(own.minor, peer.minor)
    features = own.features & peer.features
    maxChunk = Self.powerOfTwo(notAbove: min(own.maxChunk, peer.maxChunk, WireLimits.chunkSizes.upperBound))
    codecs = own.codecs & peer.codecs | (1 << UInt32(ChunkCodec.raw.rawValue))
    peerCluster = peer.clusterID
    peerNode = peer.node
    peerSoftware = peer.software
  }

  private static func powerOfTwo(notAbove value: UInt32) -> UInt32 {
    1 << UInt32(31 - value.leadingZeroBitCount)
  }
}
