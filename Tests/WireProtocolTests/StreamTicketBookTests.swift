import ReplModel
import Testing

@testable import WireProtocol

@Suite("Tickets of data streams")
struct StreamTicketBookTests {
  private let grant = StreamTicketBook.Grant(cluster: "east", session: Samples.session, branch: Samples.branch.id)

  private func book(_ seed: UInt64 = 1) throws -> (StreamTicketBook, StreamTicket) {
    var book = StreamTicketBook()
    var random = SplitMix(seed: seed)
    let ticket = try Samples.required(book.issue(grant, at: 100, lifetime: 50, using: &random))
    return (book, ticket)
  }

  @Test func isTakenOnce() throws {
    var (book, ticket) = try book()
    try book.redeem(ticket, for: grant, at: 149)
    #expect(reason { try book.redeem(ticket, for: grant, at: 149) } == .ticketRefused)
    #expect(book.count == 0)
  }

  @Test func expires() throws {
    var (book, ticket) = try book()
    #expect(reason { try book.redeem(ticket, for: grant, at: 150) } == .ticketRefused)
  }

  @Test("a session that starts has its tickets renewed, however long its plan took; others' stay as they are")
  func isRenewed() throws {
    var (book, ticket) = try book()
    book.renew(session: Samples.id(99), at: 10_000, most: 2, lifetime: 50)
    #expect(reason { try book.redeem(ticket, for: grant, at: 10_001) } == .ticketRefused)
    book.renew(session: Samples.session, at: 10_000, most: 2, lifetime: 50)
    #expect(reason { try book.redeem(ticket, for: grant, at: 10_050) } == .ticketRefused)
    try book.redeem(ticket, for: grant, at: 10_049)
  }

  @Test("of more tickets than there is memory for the last ones are void")
  func isRenewedInPart() throws {
    var (book, first) = try book()
    var generator = SplitMix(seed: 9)
    let second = try #require(book.issue(grant, at: 100, using: &generator))
    book.renew(session: Samples.session, at: 200, most: 1)
    #expect(book.count(at: 201) == 1 && book.count(at: 201, besides: Samples.session) == 0)
    #expect(reason { try book.redeem(second, for: grant, at: 201) } == .ticketRefused)
    try book.redeem(first, for: grant, at: 201)
  }

  @Test func isOfNoUseToAnybodyElseAndStaysForItsOwner() throws {
    var (book, ticket) = try book()
    var wrong: [StreamTicketBook.Grant] = [grant, grant, grant]
    wrong[0].cluster = "north"
    wrong[1].session = Samples.id(99)
    wrong[2].branch = Samples.id(98)
    for other in wrong { #expect(reason { try book.redeem(ticket, for: other, at: 101) } == .ticketRefused) }
    try book.redeem(ticket, for: grant, at: 102)
  }

  @Test func everyRefusalReadsTheSame() throws {
    var (book, ticket) = try book()
    var texts: Set<String> = []
    var other = grant
    other.session = Samples.id(99)
    let attempts: [(StreamTicket, StreamTicketBook.Grant)] = [
      (ticket, other), (try Samples.ticket, grant),
    ]
    for (shown, grant) in attempts {
      do {
        try book.redeem(shown, for: grant, at: 101)
      } catch {
        texts.insert(error.detail)
      }
    }
    #expect(texts.count == 1)
  }

  @Test func isRevokedWithItsSessionOrPeer() throws {
    var (book, ticket) = try book()
    book.revoke(session: Samples.id(5))
    book.revoke(cluster: "north")
    #expect(book.count == 1)
    var copy = book
    book.revoke(session: Samples.session)
    copy.revoke(cluster: "east")
    #expect(reason { try book.redeem(ticket, for: grant, at: 101) } == .ticketRefused)
    #expect(reason { try copy.redeem(ticket, for: grant, at: 101) } == .ticketRefused)
  }

  @Test func theBookIsBounded() throws {
    var book = StreamTicketBook()
    var random = SplitMix(seed: 7)
    let first = try Samples.required(book.issue(grant, at: 0, using: &random))
    var last = first
    for _ in 0..<StreamTicketBook.limit {
      last = try Samples.required(book.issue(grant, at: 0, using: &random))
    }
    #expect(book.count == StreamTicketBook.limit)
    #expect(reason { try book.redeem(first, for: grant, at: 1) } == .ticketRefused, "the oldest went")
    try book.redeem(last, for: grant, at: 1)
  }
}
