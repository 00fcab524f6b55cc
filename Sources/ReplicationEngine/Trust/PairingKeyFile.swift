import BlockDiff
import ReplModel
import WireTransport

/// The self-signed key this agent pairs with, in `pki/pairing.key` (0600): the token belongs to it from its first proof
/// on, so it outlives a crash between proof and record.
enum PairingKeyFile {
  static func loadOrCreate(directory: String) throws(ReplError) -> LeafIdentity {
    let storage = LinuxStorage()
    let path = directory + "/pairing.key"
    if try storage.exists(path), let stored = parse(try storage.readFile(path, limit: 64 << 10)) { return stored }
    let fresh = try LeafIdentity.selfSigned(validity: .seconds(3650 * 86400))
    var writer = ByteWriter()
    writer.writeBlob(fresh.privateKeyPEM)
    writer.writeList(fresh.certificateChain) { $0.writeBlob($1) }
    try storage.writeFileDurably(path, writer.bytes)
    return fresh
  }

  /// A damaged file is replaced: only a token in the middle of its first use notices.
  private static func parse(_ bytes: [UInt8]) -> LeafIdentity? {
    var reader = ByteReader(bytes)
    guard let key = try? reader.readBlob(limit: 32 << 10),
      let chain = try? reader.readList(
        limit: 4, { (reader) throws(DecodingFailure) in try reader.readBlob(limit: 16 << 10) }),
      (try? reader.finish()) != nil
    else { return nil }
    return LeafIdentity(certificateChain: chain, privateKeyPEM: key)
  }
}
