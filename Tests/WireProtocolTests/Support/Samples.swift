import ReplModel

@testable import WireProtocol

/// The values of the test vectors, as the page describes them.
enum Samples {
  static func id<Tag>(_ first: UInt8) -> Identifier<Tag> {
    let words = [UInt8](0..<16).map { UInt64(first &+ $0) }
    return Identifier(
      high: words[..<8].reduce(0) { $0 << 8 | $1 }, low: words[8...].reduce(0) { $0 << 8 | $1 })
  }

  static let volume: VolumeID = id(0x10)
  static let exchange: ExchangeID = id(0x90)
  static let session: SessionID = id(0x20)
  static let point: PointID = id(0x30)
  static let base: PointID = id(0x40)
  static let lineage: LineageID = id(0x50)
  static let branch = Branch(epoch: 1, id: id(0x60))
  static let group: GroupID = id(0x70)
  static let otherVolume: VolumeID = id(0x80)
  static let digest = Fingerprint(low: 0x0706_0504_0302_0100, high: 0x0F0E_0D0C_0B0A_0908)
  static let taken = Timestamp(nanoseconds: 1_700_000_000_000_000_000)
  static let keyBytes = (0..<192).map { UInt8(truncatingIfNeeded: $0 * 7 + 3) }
  static let blockA = (0..<4096).map { UInt8(truncatingIfNeeded: $0 * 31 + 7) }
  static let blockB = (0..<4096).map { UInt8(truncatingIfNeeded: $0 * 13 + 101) }
  static let secret = [UInt8](0x40..<0x60)
  static let binding = ChannelBinding(
    exporter: [UInt8](0xE0...0xFF), clientKey: [0x30, 3, 1, 2, 3], serverKey: [0x30, 2, 0x0A, 0x0B])
  static let certificate: [UInt8] = [0x30, 4, 5, 6, 7, 8]
  static let crypto = PairingCrypto(
    hmac: { SHA256.hmac(key: $0, message: $1) }, equalInConstantTime: { $0 == $1 })

  static var ticket: StreamTicket {
    get throws { try required(StreamTicket(bytes: [UInt8](0xA0..<0xC0))) }
  }
  static var key: FingerprintKey {
    get throws { try required(FingerprintKey(bytes: keyBytes)) }
  }

  struct Absent: Error {}
  static func required<Value>(_ value: Value?) throws -> Value {
    guard let value else { throw Absent() }
    return value
  }

  static let members = [GroupMember(volume: volume, size: 5000)]

  static var seal: Seal {
    Seal(
      point: point, volume: volume, lineage: lineage, branch: branch, base: base, generation: 7, size: 5000,
      fingerprint: Fingerprint(low: 0x27EB_74B0_A1E8_7643, high: 0x3FE5_C83F_9608_B3B7), nonZeroBlocks: 2,
      takenAt: taken, consistency: .volume, proof: .delta, group: group,
      members: members + [GroupMember(volume: otherVolume, size: 8192, missingReason: "image is missing")])
  }

  static var fullSeal: Seal {
    var seal = seal
    (seal.base, seal.proof, seal.members) = (nil, .full, members)
    return seal
  }

  static var begin: BeginSession {
    BeginSession(
      session: session, volume: volume, namespace: "shop", name: "db", lineage: lineage, key: nil, branch: branch,
      snapshot: point, generation: 7, size: 5000, takenAt: taken, consistency: .volume, kind: .delta,
      candidates: [BaseCandidate(point: base, fingerprint: digest, sumsOnly: false)], group: group,
      members: members, acceptShrink: false, streams: 2)
  }

  static func beginReply(
    _ outcome: BeginOutcome, address: String = "", maxChunk: UInt32 = 1 << 20, tickets: [StreamTicket] = []
  ) -> BeginReply {
    BeginReply(outcome: outcome, dataAddress: address, dataPort: 9010, maxChunk: maxChunk, tickets: tickets)
  }

  static let east = PairingIdentity(
    clusterID: "east", node: "node-1", software: "repl-agent 1.0", caCertificate: certificate, controlPort: 9001)
  static let west = PairingIdentity(
    clusterID: "west", node: "node-2", software: "repl-agent 1.0", caCertificate: certificate, controlPort: 9001)

  static func hello(
    major: UInt16 = Hello.protocolMajor, minor: UInt16 = 0, features: UInt64 = 0, cluster: String = "east",
    node: String = "node-1",
    maxChunk: UInt32 = 1 << 20, codecs: UInt32 = 3
  ) -> Hello {
    Hello(
      major: major, minor: minor, features: features, clusterID: cluster, node: node, software: "repl-agent 1.0",
      maxChunk: maxChunk, codecs: codecs)
  }
}
