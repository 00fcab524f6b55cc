import CStorageShims
import ReplModel
import Testing

@testable import WireProtocol

@Suite("Vectors of docs/wire-protocol.md")
struct GoldenVectorTests {
  let page: [String: [UInt8]]
  init() throws { page = try VectorPage.vectors(in: "docs/wire-protocol.md") }

  @Test func everyRequestEncodesToItsVectorAndBack() throws {
    for (name, request) in try NamedFrames.requests() {
      let encoded = request.encode()
      let frame = NamedFrames.frame(encoded.type, [], encoded.body)
      #expect(frame == page[name], "\(name)")
      #expect(try ControlRequest(type: encoded.type, body: encoded.body) == request, "\(name)")
    }
  }

  @Test func everyReplyEncodesToItsVectorAndBack() throws {
    for (name, reply) in try NamedFrames.replies() {
      let encoded = reply.encode()
      let type = try Samples.required(reply.frameType).rawValue
      #expect(NamedFrames.frame(type, encoded.flags, encoded.body) == page[name], "\(name)")
      #expect(try ControlReply(type: type, body: encoded.body, flags: encoded.flags) == reply, "\(name)")
    }
  }

  @Test func workUnderWayEncodesToItsVectorAndBack() throws {
    let (flags, body) = NamedFrames.underWay.encode()
    let frame = NamedFrames.frame(FrameType.sealSession.rawValue, flags, body)
    #expect(frame == page["seal-session-under-way"])
    #expect(try ControlReply(type: FrameType.sealSession.rawValue, body: body, flags: flags) == NamedFrames.underWay)
    #expect(
      reason { _ = try ControlReply(type: FrameType.hello.rawValue, body: body, flags: flags) } == .outOfOrder,
      "what does not take long is never under way")
  }

  @Test func refusalAndCloseEncodeToTheirVectors() throws {
    let refusal = ControlReply.refused(NamedFrames.refusal).encode()
    #expect(NamedFrames.frame(FrameType.beginSession.rawValue, refusal.flags, refusal.body) == page["refusal"])
    let notice = CloseNotice(
      reason: .shuttingDown, error: ReplError(.transient, subject: "agent", cause: "stops"))
    #expect(NamedFrames.frame(FrameType.close.rawValue, [], notice.encode(), id: 0) == page["close"])
    #expect(try CloseNotice(bytes: notice.encode()) == notice)
  }

  @Test func pairingMessagesEncodeToTheirVectors() throws {
    let id = PairingTokenID(secret: Samples.secret, crypto: Samples.crypto)
    #expect(id.bytes == page["pairing-token-id"])
    for (role, name) in [(PairingRole.client, "client"), (.server, "server")] {
      let transcript = PairingTranscript.bytes(
        role: role, binding: Samples.binding, clientCluster: "east", serverCluster: "west")
      #expect(transcript == page["pairing-transcript-\(name)"])
      let proof = PairProof(
        proof: SHA256.hmac(key: Samples.secret, message: transcript), caCertificate: Samples.certificate)
      let body = role == .client ? PairingRequest.proof(proof).encode().body : PairingReply.proof(proof).encode().body
      let vector = role == .client ? "pair-proof" : "pair-proof-reply"
      #expect(NamedFrames.frame(258, role == .client ? [] : .reply, body) == page[vector])
    }
    let request = PairingRequest.hello(Samples.east.hello(token: id)).encode()
    #expect(NamedFrames.frame(request.type, [], request.body) == page["pair-hello"])
    let reply = PairingReply.hello(Samples.west.hello(token: id)).encode()
    #expect(NamedFrames.frame(257, reply.flags, reply.body) == page["pair-hello-reply"])
  }

  @Test func dataFramesEncodeToTheirVectorsAndBack() throws {
    let raw = Array(Samples.blockB[..<904])
    let chunk = ChunkHeader(
      offset: 4096, rawLength: 904, payloadLength: 904, codec: .raw, digest: raw.withUnsafeBytes { chunkDigest($0) })
    let error = ReplError(.damaged, subject: "stream", cause: "the bytes do not have their digest, at offset 4096")
    let frames: [(String, DataFrame, [UInt8])] = [
      ("attach", .attach(session: Samples.session, ticket: try Samples.ticket), []),
      ("attached", .attached, []),
      ("chunk-raw", .chunk(chunk), raw),
      ("zero-run", .zeroRun(Extent(offset: 1 << 20, length: 3 << 20)), []),
      ("stream-end", .streamEnd(chunks: 2, zeroRuns: 1), []),
      ("stream-end-acknowledged", .streamEndAcknowledged, []),
      ("close", .close(error), []),
    ]
    for (name, frame, payload) in frames {
      let bytes = encoded(frame, reason: .digestMismatch)
      #expect(bytes + payload == page["data-\(name)"], "\(name)")
      #expect(try decoded(bytes + payload) == frame, "\(name)")
    }
  }

  @Test func compressedVectorDecodes() throws {
    let bytes = try Samples.required(page["data-chunk-lz4"])
    let head = try bytes.withUnsafeBytes { try DataFrameCodec.decodeHeader($0) }
    guard case .chunk(let chunk) = head.content else { throw Samples.Absent() }
    #expect(chunk.offset == 1 << 20)
    #expect(chunk.codec == .lz4)
    #expect(try chunkBytes(chunk, payload: Array(bytes[48...])) == [UInt8](repeating: 0x41, count: 4096))
  }

  @Test func sealEncodesToItsVector() throws {
    #expect(Samples.seal.encoded == page["seal"])
  }

  @Test(arguments: ["zeros", "a", "a-at-1", "ab", "ba", "partial", "far"])
  func fingerprintsAreThoseOfTheVectors(name: String) throws {
    let zero = [UInt8](repeating: 0, count: 4096)
    let (a, b) = (Samples.blockA, Samples.blockB)
    let padded = Array(b[..<904]) + [UInt8](repeating: 0, count: 4096 - 904)
    let volumes = [
      "zeros": zero + zero + zero, "a": a, "a-at-1": zero + a, "ab": a + b, "ba": b + a, "partial": a + padded,
      "far": a,
    ]
    let data = try Samples.required(volumes[name])
    var (sum, count) = (css_hash128(), UInt64(0))
    data.withUnsafeBytes { data in
      Samples.keyBytes.withUnsafeBytes { key in
        guard let start = data.baseAddress, let key = key.baseAddress else { return }
        css_fingerprint_blocks(start, data.count / 4096, name == "far" ? (1 << 32) + 5 : 0, key, &sum, &count)
      }
    }
    var writer = ByteWriter()
    writer.write(Fingerprint(low: sum.low, high: sum.high))
    #expect(writer.bytes == page["fingerprint-\(name)"])
  }

  @Test func swappedBlocksHaveAnotherFingerprint() {
    #expect(page["fingerprint-ab"] != page["fingerprint-ba"])
  }

  @Test func everyVectorOfThePageIsChecked() throws {
    var names = Set(try NamedFrames.requests().keys).union(try NamedFrames.replies().keys)
    names.formUnion(["refusal", "close", "seal", "seal-session-under-way", "pairing-token-id"])
    names.formUnion(["client", "server"].map { "pairing-transcript-\($0)" })
    names.formUnion(["pair-hello", "pair-hello-reply", "pair-proof", "pair-proof-reply"])
    names.formUnion(["zeros", "a", "a-at-1", "ab", "ba", "partial", "far"].map { "fingerprint-\($0)" })
    let data = [
      "attach", "attached", "chunk-raw", "chunk-lz4", "zero-run", "stream-end", "stream-end-acknowledged", "close",
    ]
    names.formUnion(data.map { "data-\($0)" })
    #expect(Set(page.keys) == names)
  }
}
