import AgentService
import ReplModel
import WireProtocol

/// Sends documents to the control plane of a peer and fetches the answers.
struct DocumentExchange: Sendable {
  /// Seconds until the last part of a document is answered: what the peer has for it, and the way.
  static let standardLimit = Double(DocumentDesk.standardLimit.components.seconds) + 60

  let link: any PeerLink
  private let answerLimit: Double
  private let partLimit: Double

  /// - Parameter limit: seconds that any one request of the exchange may take; nil: as long as the peer may.
  init(link: any PeerLink, limit: Double? = nil) {
    self.link = link
    answerLimit = min(limit ?? Self.standardLimit, Self.standardLimit)
    partLimit = min(answerLimit, RequestTimeout.short)
  }

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
      let reply = try link.ask(.sendDocument(part), timeout: part.isLast ? answerLimit : partLimit) {
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
      let part = try link.ask(.fetchAnswer(AnswerRequest(exchange: exchange, index: index)), timeout: partLimit) {
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
