import BlockDiff
import ReplModel
import WireProtocol

/// What the target says is durable already, page by page.
final class ResumeStream: ExtentStream {
  private let link: any PeerLink
  private let session: SessionID
  /// Of the volume, in bytes.
  private let size: UInt64
  private var page: ArraySlice<Extent> = []
  private var position: UInt64 = 0
  private var isAtEnd = false

  init(link: any PeerLink, session: SessionID, size: UInt64) {
    self.link = link
    self.session = session
    self.size = size
  }

  func next() throws(ReplError) -> Extent? {
    if page.isEmpty, !isAtEnd {
      let request = ResumeExtentsRequest(session: session, offset: position)
      let reply = try link.ask(.resumeExtents(request)) {
        if case .resumeExtents(let reply) = $0 { reply } else { nil }
      }
      try PeerAnswers(peer: link.cluster).check(resume: reply.extents, from: position, size: size)
      page = reply.extents[...]
      isAtEnd = page.isEmpty
      position = page.last?.end ?? position
    }
    return page.popFirst()
  }
}
