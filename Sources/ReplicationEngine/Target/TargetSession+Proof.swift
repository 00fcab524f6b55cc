import BlockDiff
import ReplModel
import WireProtocol
import Threads

/// How a session proves what was written against the sums of its source. A proof takes hours for a large volume: it runs
/// outside of the volume's turn, and whoever asks again joins it.
extension TargetSession {
  /// Admits a seal to be proven; the same one again joins its proof.
  ///
  /// - Returns: the answer if it is known: what was proven is not proven again.
  func admitProof(_ seal: Seal) throws(ReplError) -> SealReply? {
    switch outcome {
    case .prepared(let proven), .alreadySealed(let proven):
      if proven == seal, !isRepair { return .prepared }
    default: break
    }
    return try state.withLock { (state) throws(ReplError) -> SealReply? in
      if let verdict = state.verdict, verdict.seal == seal { return verdict.reply }
      if state.isEnded { throw ended }
      if state.order.phase == .sealing, state.order.seal == seal { return nil }
      try state.order.accept(.seal(seal))
      return state.order.phase == .sealing ? nil : .prepared
    }
  }

  /// Proves what was written against a seal that was admitted. After an error the session is over.
  ///
  /// - Parameter record: makes the outcome durable, before anybody else may touch the volume.
  func prove(
    _ seal: Seal, _ work: Work, record: (SealReply) throws(ReplError) -> Void
  ) throws(ReplError) -> SealReply {
    if let known = try beginProof(seal, work) { return known }
    defer { leaveProof() }
    do throws(ReplError) {
      let reply = isRepair ? try proveRepair(work) : try proveStaging(seal, work)
      try record(reply)
      // Only now: until it is recorded nobody is told.
      if case .prepared = reply, !isRepair { accept(equal: true) }
      state.withLock { $0.verdict = (seal, reply, false) }
      if case .mismatch(_, let final) = reply { SessionLog(logger: context.logger).unequal(self, final: final) }
      if isEnded { try? closeFiles() }
      return reply
    } catch {
      accept(equal: false)
      SessionLog(logger: context.logger).notProven(self, error)
      throw try afterFailedProof(error)
    }
  }

  /// Ends the session. What was staged onto a base that cannot be read is thrown away, and the base is suspect.
  private func afterFailedProof(_ error: ReplError) throws(ReplError) -> ReplError {
    state.withLock { $0.isEnded = true }
    defer { try? closeFiles() }
    let staging = state.withLock { $0.staging }
    guard let staging, let base = staging.identity.base, let failure = staging.baseWitness.failure else { return error }
    let answer = try UnreadableBase(context: context).suspect(base, of: source, failure)
    if answer.kind == .transient { state.withLock { $0.discardsAtEnd = true } }
    return answer
  }

  /// Somebody was given the answer to the last proof.
  func noteTold() { state.withLock { $0.verdict?.isTold = true } }

  /// The answer if another proof has found it meanwhile, else nil: from now on the files are the proof's.
  private func beginProof(_ seal: Seal, _ work: Work) throws(ReplError) -> SealReply? {
    let now = context.clock.ticks()
    return try state.withLock { (state) throws(ReplError) -> SealReply? in
      if let verdict = state.verdict, verdict.seal == seal { return verdict.reply }
      guard !state.isEnded, state.order.phase == .sealing, state.order.seal == seal else { throw ended }
      (state.proof, state.proofBegan) = (work, now)
      proving.change { $0 = true }
      work.expect(Self.bytesToProve(seal, state.order.plan))
      return nil
    }
  }

  /// Bytes that the sums of a volume and a seal take, but for very large volumes.
  private static func roomToSeal(_ size: UInt64) -> UInt64 { (64 << 10) + min(size >> 15, 1 << 20) }

  /// A delta reads old and new value of what is planned, a full proof every allocated block.
  private static func bytesToProve(_ seal: Seal, _ plan: StartSession?) -> UInt64 {
    guard seal.proof == .delta, let plan else { return seal.size }
    return plan.dataBytes.addingSaturating(plan.dataBytes)
  }

  private func leaveProof() {
    state.withLock { $0.proof = nil }
    proving.change { $0 = false }
  }

  private func proveStaging(_ seal: Seal, _ work: Work) throws(ReplError) -> SealReply {
    guard let staging = state.withLock({ $0.staging }) else { throw ended }
    let origin = BlockDiff.PointRecord.Origin(
      namespace: begin.namespace, name: begin.name, clockOffset: -(context.clockOffset(peer) ?? 0))
    let request = SealRequest(seal: seal, key: key, origin: origin, now: context.clock.now())
    noteReceived()
    try rooms.require(Self.roomToSeal(begin.size), in: volume.pool, for: source, label: label)
    let outcome = try withRoom { () throws(ReplError) in
      guard staging.isOpen else {
        throw ReplError(
          .transient, subject: label, cause: "room was missing at the last step of its seal",
          remedy: "begin the session again: what was staged is kept")
      }
      return try staging.seal(request) { (bytes) throws(ReplError) in try work.advance(bytes) }
    }
    switch outcome {
    case .prepared: return .prepared
    case .mismatch: return try mismatch(staging, work)
    }
  }

  private func proveRepair(_ work: Work) throws(ReplError) -> SealReply {
    guard let slot = state.withLock({ $0.repair }) else { throw ended }
    let isEqual = try slot.finish(key: key, now: context.clock.now()) { (bytes) throws(ReplError) in
      try work.advance(bytes)
    }
    accept(equal: isEqual)
    if !isEqual { state.withLock { $0.isEnded = true } }
    return isEqual ? .prepared : .mismatch(sums: [], final: true)
  }

  /// The first mismatch says where; the second ends the session, and what was staged is thrown away.
  private func mismatch(_ staging: StagingArea, _ work: Work) throws(ReplError) -> SealReply {
    guard !state.withLock({ $0.order.nextMismatchIsFinal }) else {
      try suspectBase(staging)
      accept(equal: false)
      state.withLock { ($0.isEnded, $0.discardsAtEnd) = (true, true) }
      return .mismatch(sums: [], final: true)
    }
    let table = try staging.stagedSegments()
    defer { try? table.close() }
    var sums: [SegmentSum] = []
    var touched = staging.touchedSegments()
    while sums.count < SealReply.mismatchLimit, let extent = try touched.next() {
      try work.advance(0)
      let segment = extent.offset / segmentSize
      sums.append(SegmentSum(segment: segment, sum: try table.sum(ofSegment: segment).fingerprint))
    }
    accept(equal: false)
    return .mismatch(sums: sums, final: false)
  }

  /// After a second mismatch nobody knows which side's base is wrong: ours is not used until it was read whole, and what
  /// the session touched is read in every image that may share it.
  private func suspectBase(_ staging: StagingArea) throws(ReplError) {
    guard let base = staging.identity.base else { return }
    let reason = "point \(begin.snapshot), which was built on it, did not match its source twice"
    let book = DamageBook(context: context)
    try book.suspect(base, of: source, because: reason)
    var touched = ExtentSet()
    var stream = staging.touchedSegments()
    while let extent = try stream.next() { touched.appendSorted(extent) }
    try book.doubt(SegmentSet(touching: touched), of: source, because: reason)
    context.events.post(
      namespace: volume.namespace, volume: volume.name, warning: true, "SealMismatch",
      "point \(begin.snapshot) did not match its source twice; base \(base) is suspect until a full read proves it")
  }

  private func accept(equal: Bool) {
    state.withLock { state in
      if state.order.phase == .sealing { try? state.order.accept(.proofDone(equal: equal)) }
    }
  }
}
