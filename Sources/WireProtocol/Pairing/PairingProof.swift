import ReplModel

/// What ties a pairing to its TLS connection. All three are what this very connection used.
public struct ChannelBinding: Hashable, Sendable {
  /// Label of the TLS exporter (RFC 8446 section 7.5); it is used without a context.
  public static let exporterLabel = "EXPERIMENTAL repl-agent pairing 1"
  /// Bytes taken from the exporter.
  public static let exporterByteCount = 32
  /// The exporter's bytes.
  public var exporter: [UInt8]
  /// SubjectPublicKeyInfo (DER) of the client's certificate.
  public var clientKey: [UInt8]
  /// SubjectPublicKeyInfo (DER) of the server's leaf certificate.
  public var serverKey: [UInt8]

  public init(exporter: [UInt8], clientKey: [UInt8], serverKey: [UInt8]) {
    self.exporter = exporter
    self.clientKey = clientKey
    self.serverKey = serverKey
  }
}

/// The cryptography the pairing machines are given.
public struct PairingCrypto: Sendable {
  /// HMAC-SHA-256 of the message with the key: 32 bytes.
  public var hmac: @Sendable (_ key: [UInt8], _ message: [UInt8]) -> [UInt8]
  /// Compares in a time that depends on the lengths only.
  public var equalInConstantTime: @Sendable (_ left: [UInt8], _ right: [UInt8]) -> Bool

  public init(
    hmac: @escaping @Sendable (_ key: [UInt8], _ message: [UInt8]) -> [UInt8],
    equalInConstantTime: @escaping @Sendable (_ left: [UInt8], _ right: [UInt8]) -> Bool
  ) {
    self.hmac = hmac
    self.equalInConstantTime = equalInConstantTime
  }
}

/// What a token says to the side that was given it.
public struct PairingCredential: Hashable, Sendable {
  /// The cluster that made the token.
  public var clusterID: String
  /// Never sent and never logged.
  public var secret: [UInt8]

  public init(clusterID: String, secret: [UInt8]) {
    self.clusterID = clusterID
    self.secret = secret
  }
}

/// The public name of a token: what the client says so that the server finds it, and what tells nothing of the secret.
public struct PairingTokenID: Hashable, Sendable {
  public static let byteCount = 16
  /// What HMAC runs over to make the name, in UTF-8.
  public static let label = "repl-pair/1 token id"
  public let bytes: [UInt8]

  /// Names no token: 16 zero bytes.
  static let none = PairingTokenID(unchecked: [UInt8](repeating: 0, count: byteCount))

  private init(unchecked bytes: [UInt8]) { self.bytes = bytes }

  /// Nil unless exactly ``byteCount`` bytes are given.
  public init?(bytes: [UInt8]) {
    guard bytes.count == Self.byteCount else { return nil }
    self.bytes = bytes
  }

  /// The first 16 bytes of HMAC-SHA-256 of ``label`` with the secret as the key.
  public init(secret: [UInt8], crypto: PairingCrypto) {
    bytes = Array(crypto.hmac(secret, Array(Self.label.utf8)).prefix(Self.byteCount))
  }
}

/// Who makes a proof; its byte keeps one end's proof from being sent back as the other's.
public enum PairingRole: UInt8, Sendable {
  case client = 1
  case server = 2
}

/// The message both ends run HMAC over: the role's byte, then each part with its length in front as UInt32.
public enum PairingTranscript {
  public static func bytes(
    role: PairingRole, binding: ChannelBinding, clientCluster: String, serverCluster: String
  ) -> [UInt8] {
    var writer = ByteWriter()
    writer.write(role.rawValue)
    writer.writeBlob(binding.exporter)
    writer.writeBlob(binding.clientKey)
    writer.writeBlob(binding.serverKey)
    writer.write(clientCluster)
    writer.write(serverCluster)
    return writer.bytes
  }
}

/// This agent as it shows itself to a peer it pairs with.
public struct PairingIdentity: Hashable, Sendable {
  public var clusterID: String
  public var node: String
  public var software: String
  /// This cluster's CA certificate in DER.
  public var caCertificate: [UInt8]
  public var controlPort: UInt16

  public init(clusterID: String, node: String, software: String, caCertificate: [UInt8], controlPort: UInt16) {
    self.clusterID = clusterID
    self.node = node
    self.software = software
    self.caCertificate = caCertificate
    self.controlPort = controlPort
  }

  func hello(token: PairingTokenID) -> PairHello {
    PairHello(
      major: Hello.protocolMajor, minor: Hello.protocolMinor, token: token, clusterID: clusterID, node: node,
      software: software, controlPort: controlPort)
  }
}

/// What a pairing yields: the peer and its CA to pin.
public struct PairedPeer: Hashable, Sendable {
  public var clusterID: String
  public var node: String
  public var software: String
  /// The peer's CA certificate in DER. Its form is for the caller to check before it is pinned.
  public var caCertificate: [UInt8]
  public var controlPort: UInt16

  init(_ hello: PairHello, caCertificate: [UInt8]) {
    clusterID = hello.clusterID
    node = hello.node
    software = hello.software
    self.caCertificate = caCertificate
    controlPort = hello.controlPort
  }
}
