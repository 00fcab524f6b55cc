import CStorageShims
import Glibc
import ReplModel
import Testing

import TestSupport
@testable import WireTransport

@Suite struct PeerIdentityTests {
  @Test func uriReadsBackToTheSameIdentity() {
    let identity = PeerIdentity(clusterID: "site-a.example", node: "node_1~x")
    #expect(identity.uri == "repl-agent://site-a.example/node_1~x")
    #expect(PeerIdentity(uri: identity.uri) == identity)
  }

  @Test(arguments: [
    "", "repl-agent://", "repl-agent://a", "repl-agent://a/", "repl-agent:///n", "repl-agent://a/n/x",
    "repl-agent://a/n?x", "repl-agent://a%2e/n", "REPL-AGENT://a/n", "https://a/n", "repl-agent://ä/n",
    "repl-agent://a/" + String(repeating: "n", count: 254),
  ])
  func otherURIsAreNobody(uri: String) { #expect(PeerIdentity(uri: uri) == nil) }
}

@Suite struct CertificateAuthorityTests {
  @Test func secondLoadGivesTheSameAuthority() throws {
    try withTemporaryDirectory { directory in
      let first = try CertificateAuthority.loadOrCreate(directory: directory)
      let second = try CertificateAuthority.loadOrCreate(directory: directory)
      #expect(first.certificateDER == second.certificateDER)
      #expect(first.spkiHash == second.spkiHash)
      #expect(first.spkiHash.count == 32)
      var status = stat()
      #expect(stat(directory + "/ca.key", &status) == 0)
      #expect(status.st_mode & 0o777 == 0o600)
      #expect(stat(directory + "/ca.key.new", &status) != 0)
    }
  }

  @Test func crashBetweenKeyAndCertificateKeepsTheAuthority() throws {
    try withTemporaryDirectory { directory in
      let first = try CertificateAuthority.loadOrCreate(directory: directory)
      unlink(directory + "/ca.crt")
      let second = try CertificateAuthority.loadOrCreate(directory: directory)
      #expect(first.spkiHash == second.spkiHash)
    }
  }

  @Test("an authority's certificate is valid at any time, and one that is not is made anew from the same key")
  func authorityOfAWrongClock() throws {
    try withTemporaryDirectory { directory in
      let files = AuthorityFiles(directory: directory)
      let key = try PKI.generateKey()
      let future = wallClock() + 10 * 365 * 86400
      let wrong = try CertificateAuthority.makeCertificate(key: key, validity: (future, future + 86400))
      try files.writeKey(key)
      try files.writeCertificate(wrong)
      let authority = try CertificateAuthority.loadOrCreate(directory: directory)
      let details = try PKI.inspect(authority.certificateDER)
      #expect((details.not_before, details.not_after) == CertificateAuthority.validity)
      let pin = PinnedAuthority(clusterID: "a", caDER: wrong)
      #expect(pin.hasKey(of: authority.certificateDER))
      #expect(pin.hasKey(hash: authority.spkiHash))
      #expect(try CertificateAuthority.loadOrCreate(directory: directory).certificateDER == authority.certificateDER)
      #expect(try !pin.hasKey(of: CertificateAuthority.ephemeral().certificateDER))
    }
  }

  @Test func lostKeyIsNeverReplacedInSilence() throws {
    try withTemporaryDirectory { directory in
      _ = try CertificateAuthority.loadOrCreate(directory: directory)
      unlink(directory + "/ca.key")
      let error = capture { () throws(ReplError) in
        try CertificateAuthority.loadOrCreate(directory: directory)
      }.failure
      #expect(error?.kind == .damaged)
      #expect(access(directory + "/ca.key", F_OK) != 0)
    }
  }

  @Test func keyThatOthersMayReadIsRefused() throws {
    try withTemporaryDirectory { directory in
      _ = try CertificateAuthority.loadOrCreate(directory: directory)
      chmod(directory + "/ca.key", 0o640)
      let error = capture { () throws(ReplError) in
        try CertificateAuthority.loadOrCreate(directory: directory)
      }.failure
      #expect(error?.kind == .refused)
      #expect(error?.remedy?.contains("chmod 600") == true)
    }
  }

  @Test func certificateOfAnotherKeyIsDamage() throws {
    try withTemporaryDirectory { directory in
      _ = try CertificateAuthority.loadOrCreate(directory: directory)
      unlink(directory + "/ca.crt")
      try AuthorityFiles(directory: directory).writeCertificate(CertificateAuthority.ephemeral().certificateDER)
      let error = capture { () throws(ReplError) in
        try CertificateAuthority.loadOrCreate(directory: directory)
      }.failure
      #expect(error?.kind == .damaged)
    }
  }

  @Test func missingDirectoryIsNamed() {
    let error = capture { () throws(ReplError) in
      try CertificateAuthority.loadOrCreate(directory: "/nonexistent/authority")
    }.failure
    #expect(error?.kind == .io)
    #expect(error?.subject.contains("/nonexistent/authority") == true)
  }

  @Test func leafCarriesIdentityBothPurposesAndAnHourInThePast() throws {
    let authority = try CertificateAuthority.ephemeral()
    let leaf = try authority.issueLeaf(clusterID: "a", node: "n", now: 1_800_000_000)
    let details = try PKI.inspect(leaf.certificateChain[0])
    #expect(details.onlyURI == "repl-agent://a/n")
    #expect(details.purposes == PKI.serverPurpose | PKI.clientPurpose)
    #expect(details.not_before == 1_800_000_000 - 3600)
    #expect(details.not_after == 1_800_000_000 + 30 * 86400)
    #expect(details.authority == false)
    #expect(leaf.certificateChain[1] == authority.certificateDER)
    #expect(try leaf.notAfter() == details.not_after)
  }

  @Test(arguments: ["", "a/b", "a b", "ä", String(repeating: "x", count: 254)])
  func namesThatCannotStandInACertificateAreRefused(name: String) throws {
    let authority = try CertificateAuthority.ephemeral()
    #expect(
      capture { () throws(ReplError) in try authority.issueLeaf(clusterID: name, node: "n") }.failure?.kind == .invalid)
    #expect(
      capture { () throws(ReplError) in try authority.issueLeaf(clusterID: "a", node: name) }.failure?.kind == .invalid)
  }

  @Test func printingAnIdentityShowsNoKey() throws {
    let leaf = try CertificateAuthority.ephemeral().issueLeaf(clusterID: "a", node: "n")
    var dumped = ""
    dump(leaf, to: &dumped)
    #expect(!dumped.contains("PRIVATE"))
    #expect(!dumped.contains("\(leaf.privateKeyPEM[0]), \(leaf.privateKeyPEM[1])"))
    #expect(!String(describing: leaf).contains("BEGIN"))
  }

  @Test func authorityOfAPeerIsCheckedBeforeItIsPinned() throws {
    let authority = try CertificateAuthority.ephemeral()
    let leaf = try authority.issueLeaf(clusterID: "a", node: "n")
    let pinned = try PinnedAuthority.checked(
      clusterID: "a", caDER: authority.certificateDER, spkiHash: authority.spkiHash)
    #expect(pinned.caDER == authority.certificateDER)
    let refusals: [(der: [UInt8], hash: [UInt8]?)] = [
      (leaf.certificateChain[0], nil), ([1, 2, 3], nil), (authority.certificateDER + [0], nil),
      (authority.certificateDER, [UInt8](repeating: 0, count: 32)),
      (try LeafIdentity.selfSigned().certificateChain[0], nil),
    ]
    for refusal in refusals {
      let result = capture { () throws(ReplError) in
        try PinnedAuthority.checked(clusterID: "a", caDER: refusal.der, spkiHash: refusal.hash)
      }
      #expect(result.failure?.kind == .unauthenticated)
    }
  }
}

@Suite struct CryptoTests {
  @Test func digestsAreTheKnownOnes() throws {
    let hex = { (bytes: [UInt8]) in bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined() }
    #expect(
      hex(try Crypto.sha256([])) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    #expect(
      hex(try Crypto.sha256(Array("abc".utf8))) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    // RFC 4231, test case 2.
    #expect(
      hex(try Crypto.hmacSHA256(key: Array("Jefe".utf8), message: Array("what do ya want for nothing?".utf8)))
        == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
  }

  @Test func comparisonSeesEveryDifference() {
    let bytes = pattern(32, seed: 1)
    #expect(Crypto.equalConstantTime(bytes, bytes))
    #expect(!Crypto.equalConstantTime(bytes, Array(bytes.dropLast())))
    for index in bytes.indices {
      var other = bytes
      other[index] ^= 1
      #expect(!Crypto.equalConstantTime(bytes, other))
    }
  }
}
