import ReplModel

extension ControlRequest {
  /// The type of the frame that carries it.
  public var frameType: FrameType {
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
    case .confirmGroup(let message): message
    case .abortSession(let message): message
    case .queryPoint(let message): message
    case .verifyPoint(let message): message
    case .unpair(let message): message
    case .sendDocument(let message): message
    case .fetchAnswer(let message): message
    case .volumeNotice(let message): message
    }
  }

  /// Type and body of the frame; the header is ``ControlFrameHeader``.
  public func encode() -> (type: UInt16, body: [UInt8]) { (frameType.rawValue, message.body) }

  /// Reads the body of a request.
  ///
  /// - Throws: `unknownType` for a type that is no request of a control connection, else `malformedBody`.
  public init(type: UInt16, body: [UInt8]) throws(WireError) {
    guard let known = FrameType(rawValue: type) else {
      throw WireError(.unknownType, "\(type) is not the type of a request")
    }
    let what = "\(known) request"
    switch known {
    case .hello: self = .hello(try Hello(body: body, what))
    case .heartbeat: self = .heartbeat(try Heartbeat(body: body, what))
    case .inventory: self = .inventory(try InventoryRequest(body: body, what))
    case .beginSession: self = .beginSession(try BeginSession(body: body, what))
    case .startSession: self = .startSession(try StartSession(body: body, what))
    case .resumeExtents: self = .resumeExtents(try ResumeExtentsRequest(body: body, what))
    case .segmentSums: self = .segmentSums(try SegmentSumsRequest(body: body, what))
    case .sealSession: self = .sealSession(try SealSession(body: body, what))
    case .commitGroup: self = .commitGroup(try CommitGroup(body: body, what))
    case .confirmGroup: self = .confirmGroup(try ConfirmGroup(body: body, what))
    case .abortSession: self = .abortSession(try AbortSession(body: body, what))
    case .queryPoint: self = .queryPoint(try QueryPoint(body: body, what))
    case .verifyPoint: self = .verifyPoint(try VerifyPoint(body: body, what))
    case .unpair: self = .unpair(try Unpair(body: body, what))
    case .sendDocument: self = .sendDocument(try DocumentPart(body: body, what))
    case .fetchAnswer: self = .fetchAnswer(try AnswerRequest(body: body, what))
    case .volumeNotice: self = .volumeNotice(try VolumeNotice(body: body, what))
    case .close, .pairHello, .pairProof:
      throw WireError(.outOfOrder, "\(known) is not a request of a control connection")
    }
  }
}
