import ReplModel
import Testing

@testable import WireProtocol

@Suite("Documents of a peer")
struct DocumentBookTests {
  private let second: Int64 = 1_000_000_000

  private func parts(_ bytes: [UInt8], _ exchange: ExchangeID = Samples.exchange) -> [DocumentPart] {
    let parts = DocumentParts(total: UInt32(bytes.count))
    return (0..<UInt16(parts.count)).compactMap { index in
      parts.range(of: index).map {
        DocumentPart(exchange: exchange, topic: "t", total: parts.total, index: index, bytes: Array(bytes[$0]))
      }
    }
  }

  private func bytes(_ count: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: $0 * 7) } }

  @Test("An empty document is one empty part")
  func empty() throws {
    var book = DocumentBook()
    #expect(parts([]).count == 1)
    #expect(try book.take(parts([])[0], at: 0) == DocumentBook.Document(topic: "t", bytes: []))
  }

  @Test("A document comes together in order, and its answer goes out the same way")
  func longDocument() throws {
    var book = DocumentBook()
    let document = bytes(WireLimits.documentPart * 2 + 5)
    let all = parts(document)
    #expect(all.count == 3)
    #expect(try book.take(all[0], at: 0) == nil)
    #expect(try book.take(all[1], at: 0) == nil)
    #expect(try book.take(all[2], at: 0)?.bytes == document)
    var answer = book.answer(Samples.exchange, with: document, at: 0).bytes
    for index in UInt16(1)..<3 {
      answer += try book.fetch(AnswerRequest(exchange: Samples.exchange, index: index), at: 0).bytes
    }
    #expect(answer == document)
    #expect(book.count == 0)
  }

  @Test("The answer of one part ends the exchange")
  func shortAnswer() throws {
    var book = DocumentBook()
    _ = try book.take(parts([1])[0], at: 0)
    #expect(book.count == 1)
    #expect(book.answer(Samples.exchange, with: [2], at: 0) == AnswerPart(total: 1, index: 0, bytes: [2]))
    #expect(book.count == 0)
  }

  @Test("What is announced, answered and waits is bounded in bytes, all exchanges together")
  func bytesOfAll() throws {
    var book = DocumentBook()
    func announce(_ total: Int) -> ReplError.Kind? {
      let part = DocumentPart(
        exchange: .random(), topic: "t", total: UInt32(total), index: 0,
        bytes: [UInt8](repeating: 0, count: min(total, WireLimits.documentPart)))
      return kind { _ = try book.take(part, at: 0) }
    }
    _ = try book.take(parts([1])[0], at: 0)
    _ = book.answer(Samples.exchange, with: bytes(WireLimits.document - 1), at: 0)
    #expect(announce(WireLimits.document) == nil)
    #expect(announce(1) == nil)
    #expect(announce(1) == .transient)
  }

  @Test("A part that is not the next one ends the exchange")
  func outOfOrder() throws {
    let all = parts(bytes(WireLimits.documentPart * 3))
    var book = DocumentBook()
    #expect(kind { _ = try book.take(all[1], at: 0) } == .transient)
    _ = try book.take(all[0], at: 0)
    #expect(kind { _ = try book.take(all[2], at: 0) } == .protocolViolation)
    #expect(book.count == 0)
    _ = try book.take(all[0], at: 0)
    var other = all[1]
    other.topic = "u"
    #expect(kind { _ = try book.take(other, at: 0) } == .protocolViolation)
  }

  @Test("More exchanges than the limit are refused until some are over")
  func tooMany() throws {
    var book = DocumentBook()
    let long = bytes(WireLimits.documentPart + 1)
    for number in 0..<DocumentBook.limit {
      _ = try book.take(parts(long, ExchangeID(high: 1, low: UInt64(number)))[0], at: 0)
    }
    #expect(kind { _ = try book.take(parts([1])[0], at: 0) } == .transient)
    book.forget(ExchangeID(high: 1, low: 0))
    #expect(try book.take(parts([1])[0], at: 0) != nil)
  }

  @Test("What nobody goes on with expires, but not while it is worked on")
  func expiry() throws {
    var book = DocumentBook()
    let long = parts(bytes(WireLimits.documentPart + 1))
    _ = try book.take(long[0], at: 0)
    let working = ExchangeID(high: 1, low: 1)
    _ = try book.take(parts([1], working)[0], at: 0)
    #expect(kind { _ = try book.take(long[1], at: 121 * second) } == .transient)
    #expect(book.count == 1)
    let answer = bytes(WireLimits.documentPart + 1)
    _ = book.answer(working, with: answer, at: 121 * second)
    #expect(kind { _ = try book.fetch(AnswerRequest(exchange: working, index: 1), at: 300 * second) } == .transient)
    #expect(book.count == 0)
  }
}
