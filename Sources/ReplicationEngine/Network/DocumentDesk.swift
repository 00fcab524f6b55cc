import BlockDiff
import ReplModel
import Synchronization
import WireProtocol
import WireTransport

/// Takes documents of peers' control planes and has ours answer them.
///
/// Called on the request threads of a control connection, which may block; the data path has threads of its own.
final class DocumentDesk: Sendable {
  /// Documents of one peer that are answered at once: so that others of its requests find a thread.
  static let concurrent = 2
  /// How long an answer may take.
  static let limit: Duration = .seconds(600)

  private struct Peer {
    var book = DocumentBook()
    var working = 0
  }

  private let peers = Mutex<[String: Peer]>([:])
  private let responder = Mutex<(any PeerDocumentResponder)?>(nil)
  private let bridge = AsyncBridge()
  private let elapsed: ElapsedClock

  init(elapsed: ElapsedClock = .system) { self.elapsed = elapsed }

  /// Says who answers; nil: documents are refused.
  func answer(with responder: (any PeerDocumentResponder)?) { self.responder.withLock { $0 = responder } }

  /// Lets go whoever waits for an answer.
  func stop() { bridge.stop() }

  func take(_ part: DocumentPart, from cluster: String) throws(ReplError) -> DocumentReply {
    guard let responder = responder.withLock({ $0 }) else {
      throw ReplError(
        .transient, subject: "document \(part.topic)", cause: "the control plane of this agent is not ready",
        remedy: "try again")
    }
    guard let document = try change(cluster, { (peer) throws(ReplError) in try peer.book.take(part, at: now) }) else {
      return .taken
    }
    do throws(ReplError) {
      try change(cluster) { (peer) throws(ReplError) in
        guard peer.working < Self.concurrent else {
          throw ReplError(
            .transient, subject: "document \(part.topic)", cause: "too many documents at once", remedy: "try again")
        }
        peer.working += 1
      }
    } catch {
      forget(part.exchange, of: cluster)
      throw error
    }
    defer { change(cluster) { $0.working -= 1 } }
    do throws(ReplError) {
      let answer = try answer(document, from: cluster, responder)
      return .answer(change(cluster) { $0.book.answer(part.exchange, with: answer, at: now) })
    } catch {
      forget(part.exchange, of: cluster)
      throw error
    }
  }

  func fetch(_ request: AnswerRequest, from cluster: String) throws(ReplError) -> AnswerPart {
    try change(cluster) { (peer) throws(ReplError) in try peer.book.fetch(request, at: now) }
  }

  private func answer(
    _ document: DocumentBook.Document, from cluster: String, _ responder: any PeerDocumentResponder
  ) throws(ReplError) -> [UInt8] {
    let question = PeerDocument(topic: document.topic, body: document.bytes)
    let answer = try bridge.run("document \(document.topic)", limit: Self.limit) { () async throws(ReplError) in
      try await responder.answer(question, from: cluster)
    }
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

/// Sends documents to the control plane of a peer and fetches the answers.
struct DocumentExchange: Sendable {
  let link: any PeerLink

  func run(_ document: PeerDocument) throws(ReplError) -> [UInt8] {
    let subject = "document \(document.topic)"
    guard (1...WireLimits.documentTopic).contains(document.topic.utf8.count) else {
      throw ReplError(
        .invalid, subject: subject, cause: "its topic has not 1 to \(WireLimits.documentTopic) bytes")
    }
    guard document.body.count <= WireLimits.document else {
      throw ReplError(
        .invalid, subject: subject,
        cause: "has \(document.body.count) bytes, at most \(WireLimits.document) can be sent")
    }
    let exchange = ExchangeID.random()
    return try fetch(exchange, first: try send(document, exchange))
  }

  private func send(_ document: PeerDocument, _ exchange: ExchangeID) throws(ReplError) -> AnswerPart {
    let parts = DocumentParts(total: UInt32(clamping: document.body.count))
    for index in 0..<UInt16(clamping: parts.count) {
      guard let range = parts.range(of: index) else { break }
      let part = DocumentPart(
        exchange: exchange, topic: document.topic, total: parts.total, index: index,
        bytes: Array(document.body[range]))
      let limit = part.isLast ? Double(DocumentDesk.limit.components.seconds) + 60 : RequestTimeout.short
      let reply = try link.ask(.sendDocument(part), timeout: limit) {
        if case .sendDocument(let reply) = $0 { reply } else { nil }
      }
      switch reply {
      case .answer(let first) where part.isLast: return first
      case .taken where !part.isLast: continue
      default: throw violation("answered a part that was not the last, or did not answer the last one")
      }
    }
    throw violation("took no part of a document")
  }

  private func fetch(_ exchange: ExchangeID, first: AnswerPart) throws(ReplError) -> [UInt8] {
    guard first.index == 0 else { throw violation("began its answer with part \(first.index)") }
    var answer = first.bytes
    for index in 1..<UInt16(clamping: max(1, DocumentParts(total: first.total).count)) {
      let part = try link.ask(.fetchAnswer(AnswerRequest(exchange: exchange, index: index))) {
        if case .fetchAnswer(let part) = $0 { part } else { nil }
      }
      guard part.index == index, part.total == first.total else { throw violation("sent another part than asked for") }
      answer += part.bytes
    }
    return answer
  }

  private func violation(_ cause: String) -> ReplError {
    ReplError(.protocolViolation, subject: "peer \(link.cluster)", cause: cause)
  }
}
