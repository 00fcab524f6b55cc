public import ReplModel

/// The documents of one peer that are on their way in, being answered, or whose answer is on its way out. Pure; instants
/// are passed in. Its memory is bounded: so many exchanges, of so many bytes each, and one that nobody goes on with
/// expires.
public struct DocumentBook: Sendable {
  /// Exchanges of one peer at once.
  public static let limit = 4
  /// Bytes of all of them, announced documents and answers that wait to be fetched: two of the largest.
  public static let byteLimit = 2 * WireLimits.document
  /// Nanoseconds after which one that nobody goes on with is forgotten: two minutes.
  public static let lifetime: Int64 = 120 * 1_000_000_000

  /// A whole document.
  public struct Document: Hashable, Sendable {
    public var topic: String
    public var bytes: [UInt8]
  }

  private struct Arriving {
    var topic: String
    var total: UInt32
    var next: UInt16 = 0
    var bytes: [UInt8] = []
  }

  private enum State {
    case arriving(Arriving)
    /// Somebody works on the answer to a document of so many bytes.
    case working(Int)
    case answered([UInt8])

    var bytes: Int {
      switch self {
      case .arriving(let document): Int(document.total)
      case .working(let count): count
      case .answered(let answer): answer.count
      }
    }
  }

  private var exchanges: [ExchangeID: (state: State, touched: Int64)] = [:]

  public init() {}

  /// Exchanges that are not over.
  public var count: Int { exchanges.count }

  /// Takes a part; gives the document when it was the last.
  ///
  /// - Throws: `.transient` for too many at once or one that is not known (any more), `.protocolViolation` for a part
  ///   that is not the next.
  public mutating func take(_ part: DocumentPart, at now: Int64) throws(ReplError) -> Document? {
    removeExpired(at: now)
    var arriving: Arriving
    switch exchanges[part.exchange]?.state {
    case .arriving(let known): arriving = known
    case nil:
      guard part.index == 0 else { throw unknown(part.exchange) }
      let bytes = exchanges.values.reduce(Int(part.total)) { $0 + $1.state.bytes }
      guard exchanges.count < Self.limit, bytes <= Self.byteLimit else {
        throw ReplError(
          .transient, subject: "document \(part.topic)", cause: "too many documents at once", remedy: "try again")
      }
      arriving = Arriving(topic: part.topic, total: part.total)
    case .working, .answered: throw outOfOrder(part.exchange)
    }
    guard part.index == arriving.next, part.topic == arriving.topic, part.total == arriving.total else {
      exchanges[part.exchange] = nil
      throw outOfOrder(part.exchange)
    }
    // Dropped first, so that the bytes are unique while they grow and not copied.
    exchanges[part.exchange] = nil
    arriving.bytes += part.bytes
    arriving.next += 1
    exchanges[part.exchange] = (part.isLast ? .working(arriving.bytes.count) : .arriving(arriving), now)
    return part.isLast ? Document(topic: arriving.topic, bytes: arriving.bytes) : nil
  }

  /// Records the answer and gives its first part; the exchange is over if that is all of it.
  public mutating func answer(_ exchange: ExchangeID, with bytes: [UInt8], at now: Int64) -> AnswerPart {
    let parts = DocumentParts(total: UInt32(clamping: bytes.count))
    exchanges[exchange] = parts.count > 1 ? (.answered(bytes), now) : nil
    return AnswerPart(total: parts.total, index: 0, bytes: Array(bytes.prefix(WireLimits.documentPart)))
  }

  /// There will be no answer.
  public mutating func forget(_ exchange: ExchangeID) { exchanges[exchange] = nil }

  /// A further part of an answer; with the last one the exchange is over.
  public mutating func fetch(_ request: AnswerRequest, at now: Int64) throws(ReplError) -> AnswerPart {
    removeExpired(at: now)
    guard case .answered(let bytes) = exchanges[request.exchange]?.state else { throw unknown(request.exchange) }
    let parts = DocumentParts(total: UInt32(clamping: bytes.count))
    guard let range = parts.range(of: request.index) else { throw outOfOrder(request.exchange) }
    exchanges[request.exchange] = Int(request.index) + 1 == parts.count ? nil : (.answered(bytes), now)
    return AnswerPart(total: parts.total, index: request.index, bytes: Array(bytes[range]))
  }

  /// What is being worked on stays: its worker has a time limit of its own.
  private mutating func removeExpired(at now: Int64) {
    exchanges = exchanges.filter { entry in
      if case .working = entry.value.state { return true }
      return now - entry.value.touched < Self.lifetime
    }
  }

  private func unknown(_ exchange: ExchangeID) -> ReplError {
    ReplError(
      .transient, subject: "document \(exchange)", cause: "is not known here (any more)",
      remedy: "send it again from its first part")
  }

  private func outOfOrder(_ exchange: ExchangeID) -> ReplError {
    ReplError(.protocolViolation, subject: "document \(exchange)", cause: "a part that is not the next one")
  }
}
