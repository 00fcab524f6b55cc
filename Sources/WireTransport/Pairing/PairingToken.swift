public import ReplModel

/// What the target's operator hands to the source's: whom to trust, and a secret to be known by.
///
/// Text form, one line of base64url: version 1 (1 byte), SHA-256 of the target authority's SPKI (32), secret (32),
/// length of the cluster id (1) and the id, then the first 4 bytes of the SHA-256 of all before.
public struct PairingToken: Hashable, Sendable, CustomReflectable {
  private static let version: UInt8 = 1
  private static let checkLength = 4
  /// Longest text form in characters.
  static let textLimit = 512

  /// SHA-256 of the SPKI of the target's certificate authority.
  public let authorityHash: [UInt8]
  /// Known only to the two operators and their agents. Never sent, never logged.
  public let secret: [UInt8]
  /// The target's cluster id.
  public let clusterID: String

  /// - Throws: `.invalid` unless hash and secret have 32 bytes and the cluster id can stand in a certificate.
  public init(authorityHash: [UInt8], secret: [UInt8], clusterID: String) throws(ReplError) {
    guard authorityHash.count == 32, secret.count == 32, PeerIdentity.isName(clusterID) else {
      throw Self.refusal("its parts are not of the right form")
    }
    self.authorityHash = authorityHash
    self.secret = secret
    self.clusterID = clusterID
  }

  /// A fresh token of this cluster.
  public static func make(authority: CertificateAuthority, clusterID: String) throws(ReplError) -> PairingToken {
    try PairingToken(authorityHash: authority.spkiHash, secret: Crypto.random(32), clusterID: clusterID)
  }

  /// The one line an operator copies. A secret: print it only where it was asked for.
  public func text() throws(ReplError) -> String {
    var bytes = [Self.version] + authorityHash + secret
    bytes.append(UInt8(clamping: clusterID.utf8.count))
    bytes += clusterID.utf8
    return Base64URL.encode(bytes + (try Self.check(bytes)))
  }

  /// Reads the text form; spaces and line ends around it do not matter.
  ///
  /// - Throws: `.invalid`, saying what is wrong without repeating the token.
  public init(parsing text: String) throws(ReplError) {
    let bytes = try Self.decode(text)
    guard bytes.first == Self.version else {
      throw Self.refusal("it has version \(bytes.first ?? 0), this agent knows version \(Self.version)")
    }
    guard bytes.count >= 66 + Self.checkLength, bytes.count == 66 + Int(bytes[65]) + Self.checkLength else {
      throw Self.refusal("it is cut off or has something added")
    }
    let content = Array(bytes.dropLast(Self.checkLength))
    guard try Self.check(content) == Array(bytes.suffix(Self.checkLength)) else {
      throw Self.refusal("its checksum is wrong: a character is missing or mistyped")
    }
    guard let clusterID = String(validating: content[66...], as: UTF8.self) else {
      throw Self.refusal("its cluster id is not text")
    }
    try self.init(authorityHash: Array(content[1..<33]), secret: Array(content[33..<65]), clusterID: clusterID)
  }

  private static func decode(_ text: String) throws(ReplError) -> [UInt8] {
    guard text.utf8.count <= textLimit + 64 else { throw refusal("it is longer than any token") }
    let isSpace = { (byte: UInt8) in byte == 32 || (9...13).contains(byte) }
    let trimmed = Array(text.utf8.drop(while: isSpace).reversed().drop(while: isSpace).reversed())
    guard !trimmed.isEmpty else { throw refusal("it is empty") }
    do throws(Base64URL.Failure) {
      return try Base64URL.decode(String(decoding: trimmed, as: UTF8.self))
    } catch {
      switch error {
      case .character(let position): throw refusal("character \(position) is not of the base64url alphabet")
      case .truncated: throw refusal("it is cut off")
      }
    }
  }

  private static func check(_ bytes: [UInt8]) throws(ReplError) -> [UInt8] {
    Array(try Crypto.sha256(bytes).prefix(checkLength))
  }

  private static func refusal(_ cause: String) -> ReplError {
    ReplError(
      .invalid, subject: "pairing token", cause: cause,
      remedy: "copy the whole line that 'replctl pair token' printed on the target")
  }

  /// Without the secret: dumps and failed expectations print this.
  public var customMirror: Mirror { Mirror(self, children: ["clusterID": clusterID]) }
}

extension PairingToken: CustomStringConvertible {
  /// Without the secret.
  public var description: String { "pairing token of cluster \(clusterID)" }
}
