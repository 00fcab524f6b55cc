import ReplModel

extension PairHello: WireCodable {
  func encode(into writer: inout ByteWriter) {
    writer.write(major)
    writer.write(minor)
    writer.writeRaw(token.bytes)
    writer.write(clusterID)
    writer.write(node)
    writer.write(software)
    writer.write(controlPort)
  }

  /// Of another major version only the version is read: the rest may look different.
  init(from reader: inout ByteReader) throws(DecodingFailure) {
    let (major, minor): (UInt16, UInt16) = (try reader.read(), try reader.read())
    guard major == Hello.protocolMajor else {
      self.init(major: major, minor: minor, token: .none, clusterID: "", node: "", software: "", controlPort: 0)
      return
    }
    let token = Array(try reader.readRaw(PairingTokenID.byteCount, "token id"))
    self.init(
      major: major, minor: minor, token: PairingTokenID(bytes: token) ?? .none, clusterID: try reader.readClusterID(),
      node: try reader.readHost(), software: try reader.readText(limit: WireLimits.software),
      controlPort: try reader.read())
  }
}

extension PairProof: WireCodable {
  func encode(into writer: inout ByteWriter) {
    writer.writeRaw(proof)
    writer.writeBlob(caCertificate)
  }

  init(from reader: inout ByteReader) throws(DecodingFailure) {
    self.init(
      proof: Array(try reader.readRaw(Self.byteCount, "proof")),
      caCertificate: try reader.readBlob(limit: WireLimits.certificate))
  }
}

extension PairingRequest {
  /// Type and body of the frame.
  public func encode() -> (type: UInt16, body: [UInt8]) {
    switch self {
    case .hello(let message): (FrameType.pairHello.rawValue, message.body)
    case .proof(let message): (FrameType.pairProof.rawValue, message.body)
    }
  }

  /// Reads the body of a request.
  ///
  /// - Throws: `unknownType` or `outOfOrder` for what is no request of a pairing connection, else `malformedBody`.
  public init(type: UInt16, body: [UInt8]) throws(WireError) {
    switch try PairingReply.known(type) {
    case .pairHello: self = .hello(try PairHello(body: body, "pairHello request"))
    case .pairProof: self = .proof(try PairProof(body: body, "pairProof request"))
    case let other: throw WireError(.outOfOrder, "\(other) is not a request of a pairing connection")
    }
  }
}

extension PairingReply {
  /// Flags and body of the frame; its type is the request's.
  public func encode() -> (flags: ControlFrameHeader.Flags, body: [UInt8]) {
    switch self {
    case .hello(let message): (.reply, message.body)
    case .proof(let message): (.reply, message.body)
    case .refused(let error): ([.reply, .error], error.body)
    }
  }

  /// Reads the body of a reply.
  ///
  /// - Throws: `unknownType` or `outOfOrder` for what is no reply of a pairing connection, else `malformedBody`.
  public init(type: UInt16, body: [UInt8], flags: ControlFrameHeader.Flags) throws(WireError) {
    let known = try Self.known(type)
    guard flags.contains(.reply) else { throw WireError(.outOfOrder, "\(known) is not marked as a reply") }
    if flags.contains(.error) {
      self = .refused(try ReplError(body: body, "\(known) reply"))
      return
    }
    switch known {
    case .pairHello: self = .hello(try PairHello(body: body, "pairHello reply"))
    case .pairProof: self = .proof(try PairProof(body: body, "pairProof reply"))
    default: throw WireError(.outOfOrder, "\(known) is not a reply of a pairing connection")
    }
  }

  static func known(_ type: UInt16) throws(WireError) -> FrameType {
    guard let known = FrameType(rawValue: type) else {
      throw WireError(.unknownType, "\(type) is not the type of a pairing message")
    }
    return known
  }
}
