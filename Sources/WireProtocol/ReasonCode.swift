public import ReplModel

/// Why a connection closes, as a number that travels. Numbers are never given a new meaning; one that only a newer peer
/// knows is kept.
public struct ReasonCode: Hashable, Sendable, RawRepresentable, CustomStringConvertible {
  public let rawValue: UInt16
  public init(rawValue: UInt16) { self.rawValue = rawValue }

  /// Nothing is wrong; the sender needs the connection no more.
  public static let done = ReasonCode(rawValue: 1)
  /// Magic, flags, reserved bytes or the header check are wrong.
  public static let malformedHeader = ReasonCode(rawValue: 2)
  /// A frame type that is neither known nor optional.
  public static let unknownType = ReasonCode(rawValue: 3)
  /// A length above the limit of its type.
  public static let tooLong = ReasonCode(rawValue: 4)
  /// A body that does not decode.
  public static let malformedBody = ReasonCode(rawValue: 5)
  /// Another major version of the protocol.
  public static let unsupportedVersion = ReasonCode(rawValue: 6)
  /// A message that is not legal at this place.
  public static let outOfOrder = ReasonCode(rawValue: 7)
  /// Certificate, cluster id or pairing is not what it must be.
  public static let unauthenticated = ReasonCode(rawValue: 8)
  /// A data stream's ticket is unknown, used, expired or for somebody else.
  public static let ticketRefused = ReasonCode(rawValue: 9)
  /// A chunk or zero run beyond the volume, not aligned, too long or across a segment boundary.
  public static let chunkOutOfBounds = ReasonCode(rawValue: 10)
  /// A chunk's bytes do not have its digest.
  public static let digestMismatch = ReasonCode(rawValue: 11)
  /// A chunk's payload does not decompress to its raw length.
  public static let badPayload = ReasonCode(rawValue: 12)
  /// Nothing arrived for too long.
  public static let timedOut = ReasonCode(rawValue: 13)
  /// The agent stops; try again later.
  public static let shuttingDown = ReasonCode(rawValue: 14)
  /// A failure at the sender of the code; its error says which.
  public static let failed = ReasonCode(rawValue: 15)
  /// The session was ended on request.
  public static let cancelled = ReasonCode(rawValue: 16)
  /// The state of an object forbids it; the error names it.
  public static let refused = ReasonCode(rawValue: 17)

  private static let names = [
    "done",
    "malformedHeader",
    "unknownType",
    "tooLong",
    "malformedBody",
    "unsupportedVersion",
    "outOfOrder",
    "unauthenticated",
    "ticketRefused",
    "chunkOutOfBounds",
    "digestMismatch",
    "badPayload",
    "timedOut",
    "shuttingDown",
    "failed",
    "cancelled",
    "refused",
  ]

  /// Every code this version knows, in the order of their numbers, which count from 1.
  public static var known: [ReasonCode] { names.indices.map { ReasonCode(rawValue: UInt16($0 + 1)) } }

  public var description: String {
    let index = Int(rawValue) - 1
    return Self.names.indices.contains(index) ? Self.names[index] : "unknown reason \(rawValue)"
  }

  /// The kind of error a close with this reason is for whoever receives it without more.
  public var errorKind: ReplError.Kind {
    switch self {
    case .done, .timedOut, .shuttingDown, .failed, .ticketRefused: .transient
    case .unauthenticated: .unauthenticated
    case .digestMismatch, .badPayload: .damaged
    case .cancelled: .cancelled
    case .malformedHeader, .unknownType, .tooLong, .malformedBody, .unsupportedVersion, .outOfOrder, .chunkOutOfBounds:
      .protocolViolation
    default: .refused
    }
  }

  /// The reason that goes with an error when none was named.
  public init(for kind: ReplError.Kind) {
    switch kind {
    case .protocolViolation: self = .outOfOrder
    case .unauthenticated: self = .unauthenticated
    case .cancelled: self = .cancelled
    case .refused, .diverged, .notFound, .invalid, .exists: self = .refused
    default: self = .failed
    }
  }

  var remedy: String? {
    switch self {
    case .unsupportedVersion: "run the same major version of repl-agent on both sides"
    case .unauthenticated: "check that both sides are paired and their certificates are current"
    default: nil
    }
  }
}
