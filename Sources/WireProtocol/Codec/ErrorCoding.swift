public import ReplModel

extension ReplError: WireCodable {
  func encode(into writer: inout ByteWriter) {
    writer.write(kind.rawValue)
    writer.writeCut(subject, limit: WireLimits.errorSubject)
    writer.writeCut(cause, limit: WireLimits.errorCause)
    writer.writeOptional(remedy) { $0.writeCut($1, limit: WireLimits.errorRemedy) }
  }

  /// A kind only a newer peer knows becomes `refused`: nothing is retried that was not understood.
  init(from reader: inout ByteReader) throws(DecodingFailure) {
    let number: UInt16 = try reader.read()
    let subject = try reader.readText(limit: WireLimits.errorSubject)
    let cause = try reader.readText(limit: WireLimits.errorCause)
    let remedy = try reader.readOptional { reader throws(DecodingFailure) in
      try reader.readText(limit: WireLimits.errorRemedy)
    }
    if let kind = Kind(rawValue: number) {
      self.init(kind, subject: subject, cause: cause, remedy: remedy)
    } else {
      self.init(.refused, subject: subject, cause: "unknown kind \(number): \(cause)", remedy: remedy)
    }
  }
}

/// The last frame of a connection: why its sender closes it.
public struct CloseNotice: Hashable, Sendable {
  public var reason: ReasonCode
  public var error: ReplError

  public init(reason: ReasonCode, error: ReplError) {
    self.reason = reason
    self.error = error
  }

  /// The notice for an error found on the wire; `subject` names the connection.
  public init(_ error: WireError, subject: String) {
    self.init(reason: error.reason, error: error.asReplError(subject: subject))
  }

  /// The body of a ``FrameType/close`` frame and the payload of a data stream's close.
  public func encode() -> [UInt8] { body }

  public init(bytes: [UInt8]) throws(WireError) { try self.init(body: bytes, "close") }

  /// The error for the end that receives the notice. What another major version says of ours is put so that it names
  /// the peer; `subject` does.
  public func received(from subject: String) -> ReplError {
    guard reason == .unsupportedVersion else { return error }
    return ReplError(
      .protocolViolation, subject: subject,
      cause:
        "refuses protocol \(Hello.protocolMajor), which this agent speaks; it says: \(error.subject) \(error.cause)",
      remedy: error.remedy ?? reason.remedy)
  }
}

extension CloseNotice: WireCodable {
  func encode(into writer: inout ByteWriter) {
    writer.write(reason.rawValue)
    error.encode(into: &writer)
  }

  init(from reader: inout ByteReader) throws(DecodingFailure) {
    reason = ReasonCode(rawValue: try reader.read())
    error = try ReplError(from: &reader)
  }
}
