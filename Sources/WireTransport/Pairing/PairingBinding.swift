public import ReplModel
public import WireProtocol

extension PairingCrypto {
  /// The cryptography of libcrypto.
  ///
  /// The pairing machines take no errors from it: where libcrypto fails, the code is empty, and that equals nothing.
  public static let system = PairingCrypto(
    hmac: { (try? Crypto.hmacSHA256(key: $0, message: $1)) ?? [] },
    equalInConstantTime: { !$0.isEmpty && Crypto.equalConstantTime($0, $1) })
}

extension PairingToken {
  /// What the pairing machine of the client needs of the token.
  public var credential: PairingCredential { PairingCredential(clusterID: clusterID, secret: secret) }
}

extension TLSConnection {
  /// What ties a pairing to this very connection.
  ///
  /// - Parameter role: of this end.
  public func channelBinding(role: TLSRole) throws(ReplError) -> ChannelBinding {
    let exporter = try exporter(label: ChannelBinding.exporterLabel, length: ChannelBinding.exporterByteCount)
    return switch role {
    case .client: ChannelBinding(exporter: exporter, clientKey: localPublicKey, serverKey: peerPublicKey)
    case .server: ChannelBinding(exporter: exporter, clientKey: peerPublicKey, serverKey: localPublicKey)
    }
  }
}
