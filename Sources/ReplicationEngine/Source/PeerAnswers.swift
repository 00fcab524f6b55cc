import ReplModel
import WireProtocol

/// Compares what a target answers with what it was asked: a target decides among what it was offered, and nothing else.
struct PeerAnswers: Sendable {
  /// Cluster id of the target.
  let peer: String

  /// - Throws: `.protocolViolation` for a choice that was not offered, or streams that cannot be.
  func check(_ reply: BeginReply, to request: BeginSession) throws(ReplError) {
    switch reply.outcome {
    case .base(let point):
      guard request.candidates.contains(where: { $0.point == point }) else {
        throw violation("chose base \(point), which was not offered")
      }
    case .compareWith(let point):
      guard request.kind != .full else { throw violation("wants to compare with \(point) where all is to be copied") }
    case .full, .alreadySealed, .prepared, .proving: break
    }
    guard reply.tickets.count <= max(1, Int(request.streams)) else {
      throw violation("granted \(reply.tickets.count) data streams, asked for were \(request.streams)")
    }
    guard WireLimits.chunkSizes.contains(reply.maxChunk), UInt64(reply.maxChunk) % blockSize == 0 else {
      throw violation("wants chunks of at most \(reply.maxChunk) bytes")
    }
    guard reply.tickets.isEmpty || reply.dataPort != 0 else { throw violation("named 0 as its data port") }
  }

  /// - Throws: `.protocolViolation` unless the group consists of exactly these points.
  func check(_ reply: CommitReply, points: [PointID]) throws(ReplError) {
    guard Set(reply.points) == Set(points) else { throw violation("published other points than the group has") }
  }

  /// - Parameters:
  ///   - named: where the target wants the data; empty: where the control connection goes.
  ///   - own: what the target is known by: its configured host, and the address the control connection goes to.
  /// - Throws: `.protocolViolation` for the address of somebody else.
  func check(dataAddress named: String, own: [String]) throws(ReplError) {
    guard named.isEmpty || own.contains(where: { $0.lowercased() == named.lowercased() }) else {
      throw violation("wants its data at \(named), which is not an address of its own")
    }
  }

  /// - Parameters:
  ///   - page: what the target says is durable, from `position` on.
  ///   - size: of the volume, in bytes.
  /// - Throws: `.protocolViolation` unless it is ascending, disjoint, of whole blocks and within the volume, and gets on.
  func check(resume page: [Extent], from position: UInt64, size: UInt64) throws(ReplError) {
    guard page.count <= ResumeExtentsRequest.pageLimit else {
      throw violation("sent \(page.count) durable extents at once")
    }
    var end = position
    for extent in page {
      guard extent.length > 0, extent.offset >= end, extent.offset < size, extent.length <= size - extent.offset,
        extent.offset % blockSize == 0, extent.length % blockSize == 0 || extent.end == size
      else { throw violation("says that \(extent) is durable, of a volume of \(size) bytes, after \(end)") }
      end = extent.end
    }
  }

  private func violation(_ what: String) -> ReplError {
    ReplError(
      .protocolViolation, subject: "peer \(peer)", cause: what, remedy: "both sites run the same release of repl-agent")
  }
}
