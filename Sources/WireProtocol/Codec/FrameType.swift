/// Numbers of the frames on control and pairing connections. A request and its reply share one; the reply flag tells
/// them apart. Numbers are never given a new meaning.
public enum FrameType: UInt16, Sendable, CaseIterable {
  case hello = 1
  case heartbeat = 2
  case inventory = 3
  case beginSession = 4
  case startSession = 5
  case resumeExtents = 6
  case segmentSums = 7
  case sealSession = 8
  case commitGroup = 9
  case confirmGroup = 10
  case abortSession = 11
  case queryPoint = 12
  case verifyPoint = 13
  case unpair = 14
  case sendDocument = 15
  case fetchAnswer = 16
  case volumeNotice = 17
  /// The sender closes the connection; never answered. The body is a ``CloseNotice``.
  case close = 255
  /// On pairing connections only.
  case pairHello = 257
  /// On pairing connections only.
  case pairProof = 258

  /// Whether a request of the type may be answered with how far the work is, instead of waited for.
  public var mayTakeLong: Bool {
    switch self {
    case .beginSession, .startSession, .resumeExtents, .segmentSums, .sealSession, .commitGroup, .abortSession,
      .verifyPoint, .volumeNotice:
      true
    default: false
    }
  }

  /// Largest body in bytes of a frame of this type; what is not known but optional may have 64 KiB.
  public static func bodyLimit(type: UInt16, flags: ControlFrameHeader.Flags) -> UInt32 {
    guard let known = FrameType(rawValue: type) else { return 64 << 10 }
    if flags.contains(.error) { return 8 << 10 }
    if flags.contains(.underWay) { return 4 << 10 }
    return flags.contains(.reply) ? known.replyLimit : known.requestLimit
  }

  private var requestLimit: UInt32 {
    switch self {
    case .beginSession, .sealSession, .sendDocument: 1 << 20
    case .close: 8 << 10
    case .pairProof: 32 << 10
    default: 4 << 10
    }
  }

  private var replyLimit: UInt32 {
    switch self {
    case .inventory, .beginSession, .queryPoint, .verifyPoint, .sendDocument, .fetchAnswer: 1 << 20
    case .sealSession: 2 << 20
    case .resumeExtents, .segmentSums: 128 << 10
    case .commitGroup: 32 << 10
    case .pairProof: 32 << 10
    default: 4 << 10
    }
  }
}
