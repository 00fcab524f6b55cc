import ReplModel
import WireProtocol

/// Tells a peer what is kept for it. Blocks.
struct NoticeSender: Sendable {
  let context: SourceContext

  /// Sends every notice kept for the peer and forgets those it has answered.
  ///
  /// - Throws: what the first failure says; the rest stays for the next time.
  func send(over link: any PeerLink) throws(ReplError) {
    for record in try context.database.read({ try NoticeRecord.all($0, peer: link.cluster) }) {
      let _: Void = try link.ask(.volumeNotice(record.notice)) { if case .volumeNotice = $0 { () } else { nil } }
      try context.database.write { try record.delete($0) }
    }
  }
}
