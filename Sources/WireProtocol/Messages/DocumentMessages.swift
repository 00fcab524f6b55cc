public import ReplModel

/// A part of a document of one control plane for another. Parts come in order, each but the last of
/// ``WireLimits/documentPart`` bytes; what is in them, the protocol does not know.
public struct DocumentPart: Hashable, Sendable {
  /// Names this document until its answer is fetched; chosen by the sender.
  public var exchange: ExchangeID
  /// What the receiver is asked for, 1 to ``WireLimits/documentTopic`` bytes.
  public var topic: String
  /// Bytes of the whole document, at most ``WireLimits/document``.
  public var total: UInt32
  /// From 0.
  public var index: UInt16
  public var bytes: [UInt8]
  public init(exchange: ExchangeID, topic: String, total: UInt32, index: UInt16, bytes: [UInt8]) {
    self.exchange = exchange
    self.topic = topic
    self.total = total
    self.index = index
    self.bytes = bytes
  }

  /// Whether no other part follows.
  public var isLast: Bool { DocumentParts(total: total).count == Int(index) + 1 }
}

/// The answer to a part: wait for the next one, or the first part of the document's answer.
public enum DocumentReply: Hashable, Sendable {
  case taken
  case answer(AnswerPart)
}

/// Asks for a further part of an answer.
public struct AnswerRequest: Hashable, Sendable {
  public var exchange: ExchangeID
  /// From 1: part 0 came with the reply to the document's last part.
  public var index: UInt16
  public init(exchange: ExchangeID, index: UInt16) {
    self.exchange = exchange
    self.index = index
  }
}

/// A part of an answer, of the same size as those of documents.
public struct AnswerPart: Hashable, Sendable {
  /// Bytes of the whole answer.
  public var total: UInt32
  public var index: UInt16
  public var bytes: [UInt8]
  public init(total: UInt32, index: UInt16, bytes: [UInt8]) {
    self.total = total
    self.index = index
    self.bytes = bytes
  }
}

/// How a document is cut. An empty one is one empty part.
public struct DocumentParts: Hashable, Sendable {
  public var total: UInt32
  public init(total: UInt32) { self.total = total }

  public var count: Int { max(1, (Int(total) + WireLimits.documentPart - 1) / WireLimits.documentPart) }

  /// The bytes of the document that a part holds; nil for a part it does not have.
  public func range(of index: UInt16) -> Range<Int>? {
    guard index < count else { return nil }
    let start = Int(index) * WireLimits.documentPart
    return start..<min(start + WireLimits.documentPart, Int(total))
  }
}
