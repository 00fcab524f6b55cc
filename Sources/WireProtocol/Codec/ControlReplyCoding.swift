import ReplModel

extension UnderWay: WireCodable {
  func encode(into writer: inout ByteWriter) {
    writer.write(bytesDone)
    writer.write(bytesTotal)
  }

  init(from reader: inout ByteReader) throws(DecodingFailure) {
    self.init(bytesDone: try reader.readSize(), bytesTotal: try reader.readSize())
  }
}

/// A reply's body that has no fields.
private struct Nothing: WireCodable {
  func encode(into writer: inout ByteWriter) {}
  init() {}
  init(from reader: inout ByteReader) throws(DecodingFailure) {}
}

extension ControlReply {
  /// The type of the frame that carries it; nil for what has the type of its request whatever that is.
  public var frameType: FrameType? {
    switch self {
    case .hello: .hello
    case .heartbeat: .heartbeat
    case .inventory: .inventory
    case .beginSession: .beginSession
    case .startSession: .startSession
    case .resumeExtents: .resumeExtents
    case .segmentSums: .segmentSums
    case .sealSession: .sealSession
    case .commitGroup: .commitGroup
    case .confirmGroup: .confirmGroup
    case .abortSession: .abortSession
    case .queryPoint: .queryPoint
    case .verifyPoint: .verifyPoint
    case .unpair: .unpair
    case .sendDocument: .sendDocument
    case .fetchAnswer: .fetchAnswer
    case .volumeNotice: .volumeNotice
    case .underWay, .refused: nil
    }
  }

  /// The flags of the frame that carries it.
  public var flags: ControlFrameHeader.Flags {
    switch self {
    case .refused: [.reply, .error]
    case .underWay: [.reply, .underWay]
    default: .reply
    }
  }

  private var message: any WireCodable {
    switch self {
    case .hello(let message): message
    case .heartbeat(let message): message
    case .inventory(let message): message
    case .beginSession(let message): message
    case .startSession(let message): message
    case .resumeExtents(let message): message
    case .segmentSums(let message): message
    case .sealSession(let message): message
    case .commitGroup(let message): message
    case .confirmGroup, .abortSession, .unpair, .volumeNotice: Nothing()
    case .queryPoint(let message): message
    case .verifyPoint(let message): message
    case .sendDocument(let message): message
    case .fetchAnswer(let message): message
    case .underWay(let message): message
    case .refused(let error): error
    }
  }

  /// Flags and body of the frame; its type is the request's.
  public func encode() -> (flags: ControlFrameHeader.Flags, body: [UInt8]) { (flags, message.body) }

  /// Reads the body of a reply.
  ///
  /// - Throws: `unknownType` or `outOfOrder` for what is no reply of a control connection, else `malformedBody`.
  public init(type: UInt16, body: [UInt8], flags: ControlFrameHeader.Flags) throws(WireError) {
    guard let known = FrameType(rawValue: type) else {
      throw WireError(.unknownType, "\(type) is not the type of a reply")
    }
    let what = "\(known) reply"
    guard flags.contains(.reply) else { throw WireError(.outOfOrder, "\(known) is not marked as a reply") }
    if flags.contains(.error) {
      self = .refused(try ReplError(body: body, what))
      return
    }
    if flags.contains(.underWay) {
      guard known.mayTakeLong else { throw WireError(.outOfOrder, "\(known) is never under way") }
      self = .underWay(try UnderWay(body: body, what))
      return
    }
    switch known {
    case .hello: self = .hello(try Hello(body: body, what))
    case .heartbeat: self = .heartbeat(try HeartbeatReply(body: body, what))
    case .inventory: self = .inventory(try InventoryReply(body: body, what))
    case .beginSession: self = .beginSession(try BeginReply(body: body, what))
    case .startSession: self = .startSession(try StartReply(body: body, what))
    case .resumeExtents: self = .resumeExtents(try ResumeExtentsReply(body: body, what))
    case .segmentSums: self = .segmentSums(try SegmentSumsReply(body: body, what))
    case .sealSession: self = .sealSession(try SealReply(body: body, what))
    case .commitGroup: self = .commitGroup(try CommitReply(body: body, what))
    case .confirmGroup: self = try Self.empty(.confirmGroup, body, what)
    case .abortSession: self = try Self.empty(.abortSession, body, what)
    case .queryPoint: self = .queryPoint(try QueryPointReply(body: body, what))
    case .verifyPoint: self = .verifyPoint(try VerifyReply(body: body, what))
    case .unpair: self = try Self.empty(.unpair, body, what)
    case .sendDocument: self = .sendDocument(try DocumentReply(body: body, what))
    case .fetchAnswer: self = .fetchAnswer(try AnswerPart(body: body, what))
    case .volumeNotice: self = try Self.empty(.volumeNotice, body, what)
    case .close, .pairHello, .pairProof:
      throw WireError(.outOfOrder, "\(known) is not a reply of a control connection")
    }
  }

  private static func empty(_ reply: ControlReply, _ body: [UInt8], _ what: String) throws(WireError) -> ControlReply {
    _ = try Nothing(body: body, what)
    return reply
  }
}
