import Testing

@testable import WireTransport

/// Who has a place on a port, and who must go.
@Suite struct PlaceTableTests {
  private func table(
    peers: Int = 4, perPeer: Int = 2, handshakes: Int = 3, anonymous: Int = 2, perHost: Int = 2
  ) -> PlaceTable {
    var limits = ListenerLimits()
    (limits.peers, limits.perPeer, limits.handshakes) = (peers, perPeer, handshakes)
    (limits.anonymous, limits.anonymousPerHost) = (anonymous, perHost)
    return PlaceTable(limits)
  }

  @Test("one handshake too many ends the oldest of the address that has most")
  func floodingAddress() {
    var table = table()
    let honest = table.enter(from: "a").key
    let flood = [table.enter(from: "b").key, table.enter(from: "b").key]
    #expect(table.enter(from: "b").evicted == flood[0])
    #expect(table.enter(from: "c").evicted == flood[1])
    #expect(table.identify(honest, as: .peer("west")) == .stays(evicting: nil))
  }

  @Test("a peer's place is nobody else's: strangers take none, another peer no more than its share")
  func sharesOfPeers() {
    var table = table()
    for _ in 0..<2 {
      #expect(table.identify(table.enter(from: "a").key, as: .peer("west")) == .stays(evicting: nil))
    }
    guard case .refused(let reason) = table.identify(table.enter(from: "a").key, as: .peer("west")) else {
      Issue.record("a third connection of one peer")
      return
    }
    #expect(reason.contains("2 connections"))
    for _ in 0..<100 { _ = table.enter(from: "stranger") }
    #expect(table.identify(table.enter(from: "b").key, as: .peer("east")) == .stays(evicting: nil))
  }

  @Test("all peers together have so many places")
  func allPeers() {
    var table = table(peers: 2)
    for peer in ["one", "two"] {
      #expect(table.identify(table.enter(from: "a").key, as: .peer(peer)) == .stays(evicting: nil))
    }
    guard case .refused = table.identify(table.enter(from: "a").key, as: .peer("three")) else {
      Issue.record("a third peer")
      return
    }
  }

  @Test("a peer without any finds a place though others fill all of them; one that has some does not")
  func placeOfALatePeer() {
    var table = table(peers: 5, perPeer: 3)
    let keys = ["one", "one", "two", "two", "two"].map { peer in
      let key = table.enter(from: "a").key
      #expect(table.identify(key, as: .peer(peer)) == .stays(evicting: nil))
      return key
    }
    #expect(table.identify(table.enter(from: "a").key, as: .peer("three")) == .stays(evicting: keys[2]))
    guard case .refused = table.identify(table.enter(from: "a").key, as: .peer("three")) else {
      Issue.record("a second connection at the cost of others")
      return
    }
    #expect(table.identify(table.enter(from: "a").key, as: .peer("four")) == .stays(evicting: keys[0]))
  }

  @Test(
    "addresses that one machine can choose are one",
    arguments: [
      ("2001:db8:1:2::1", "2001:db8:1:2:3:4:5:6", true), ("2001:db8:1:2::1", "2001:db8:1:3::1", false),
      ("::ffff:10.0.0.1", "::ffff:10.0.0.2", false), ("10.0.0.1", "10.0.0.2", false),
    ])
  func networks(_ one: String, _ other: String, _ same: Bool) throws {
    let networks = try [one, other].map { try SocketAddress.numeric(host: $0, port: 1).network }
    #expect((networks[0] == networks[1]) == same)
  }

  @Test("pairing has a few places of its own; one more ends the oldest, of the same address first")
  func pairingPlaces() {
    var table = table(anonymous: 3, perHost: 2)
    let keys = ["a", "a", "b"].map { table.enter(from: $0).key }
    for key in keys { #expect(table.identify(key, as: .anonymous) == .stays(evicting: nil)) }
    #expect(table.identify(table.enter(from: "a").key, as: .anonymous) == .stays(evicting: keys[0]))
    #expect(table.identify(table.enter(from: "b").key, as: .anonymous) == .stays(evicting: keys[1]))
  }

  @Test("a port without pairing lets nobody in who has no certificate of a cluster")
  func noPairing() {
    var table = table(anonymous: 0)
    guard case .refused = table.identify(table.enter(from: "a").key, as: .anonymous) else {
      Issue.record("a stranger on a data port")
      return
    }
  }

  @Test("a connection whose place was given away is not let in")
  func evictedMeanwhile() {
    var table = table(handshakes: 1)
    let first = table.enter(from: "a").key
    #expect(table.enter(from: "b").evicted == first)
    guard case .refused = table.identify(first, as: .peer("west")) else {
      Issue.record("an evicted handshake")
      return
    }
    table.leave(first)
    #expect(table.count == 1)
  }
}
