import AgentService
import BlockDiff
import ReplModel
import WireProtocol
import Threads

/// Takes documents of peers' control planes and has ours answer them.
///
/// Called on the request threads of a control connection, which may block; the data path has threads of its own.
final class DocumentDesk: Sendable {
  /// Documents of one peer that are answered at once: so that others of its requests find a thread.
  static let concurrent = 2
  /// Documents of all peers together that are answered at once: each is many times as large once it is read. The last place
  /// is for a peer that has none yet.
  static let concurrentOfAll = 4
  /// How long an answer may take.
  static let standardLimit: Duration = .seconds(600)

  private struct Peer {
    var book = DocumentBook()
    /// Tasks that work on documents, also those whose time is over and that have not ended yet.
    var working = 0
  }

  private let peers = Locked<[String: Peer]>([:])
  private let responder = Locked<(any PeerDocumentResponder)?>(nil)
  private let elapsed: ElapsedClock
  private let limit: Duration

  init(elapsed: ElapsedClock = .system, limit: Duration = DocumentDesk.standardLimit) {
    self.elapsed = elapsed
    self.limit = limit
  }

  /// Says who answers; nil: documents are refused.
  func answer(with responder: (any PeerDocumentResponder)?) { self.responder.withLock { $0 = responder } }

  /// - Parameter connection: what the part came over: the work on a document ends with it, since its answer could not be
  ///   sent any more.
  func take(_ part: DocumentPart, from cluster: String, over connection: AsyncBridge) throws(ReplError) -> DocumentReply
  {
    guard let responder = responder.withLock({ $0 }) else {
      throw ReplError(
        .transient, subject: "document \(part.topic)", cause: "the control plane of this agent is not ready",
        remedy: "try again")
    }
    guard let document = try change(cluster, { (peer) throws(ReplError) in try peer.book.take(part, at: now) }) else {
      return .taken
    }
    do throws(ReplError) {
      try begin(cluster, part.topic)
    } catch {
      forget(part.exchange, of: cluster)
      throw error
    }
    do throws(ReplError) {
      let answer = try answer(document, from: cluster, over: connection, responder)
      return .answer(change(cluster) { $0.book.answer(part.exchange, with: answer, at: now) })
    } catch {
      forget(part.exchange, of: cluster)
      throw error
    }
  }

  private func begin(_ cluster: String, _ topic: String) throws(ReplError) {
    try peers.withLock { (peers) throws(ReplError) in
      let ofAll = peers.values.reduce(0) { $0 + $1.working }
      guard let working = peers[cluster]?.working, working < Self.concurrent,
        ofAll < (working == 0 ? Self.concurrentOfAll : Self.concurrentOfAll - 1)
      else {
        throw ReplError(
          .transient, subject: "document \(topic)", cause: "too many documents at once", remedy: "try again")
      }
      peers[cluster]?.working += 1
    }
  }

  func fetch(_ request: AnswerRequest, from cluster: String) throws(ReplError) -> AnswerPart {
    try change(cluster) { (peer) throws(ReplError) in try peer.book.fetch(request, at: now) }
  }

  private func answer(
    _ document: DocumentBook.Document, from cluster: String, over connection: AsyncBridge,
    _ responder: any PeerDocumentResponder
  ) throws(ReplError) -> [UInt8] {
    let question = PeerDocument(topic: document.topic, body: document.bytes)
    let answer = try connection.run(
      "document \(document.topic)", limit: limit, ended: { [self] in change(cluster) { $0.working -= 1 } }
    ) { () async throws(ReplError) in try await responder.answer(question, from: cluster) }
    guard answer.count <= WireLimits.document else {
      throw ReplError(
        .bug, subject: "document \(document.topic)", cause: "has an answer of \(answer.count) bytes")
    }
    return answer
  }

  private func forget(_ exchange: ExchangeID, of cluster: String) { change(cluster) { $0.book.forget(exchange) } }

  private func change<Value>(
    _ cluster: String, _ body: (inout Peer) throws(ReplError) -> Value
  ) throws(ReplError) -> Value {
    try peers.withLock { (peers) throws(ReplError) in
      var peer = peers.removeValue(forKey: cluster) ?? Peer()
      defer { if peer.working > 0 || peer.book.count > 0 { peers[cluster] = peer } }
      return try body(&peer)
    }
  }

  private func change<Value>(_ cluster: String, _ body: (inout Peer) -> Value) -> Value {
    peers.withLock { peers in
      var peer = peers.removeValue(forKey: cluster) ?? Peer()
      defer { if peer.working > 0 || peer.book.count > 0 { peers[cluster] = peer } }
      return body(&peer)
    }
  }

  /// Nanoseconds of a clock that never goes back.
  private var now: Int64 { Int64(clamping: elapsed.now()) }
}
