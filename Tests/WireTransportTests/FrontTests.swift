import Glibc
import ReplModel
import Testing

import TestSupport
@testable import WireTransport
import Threads

/// A front before a Unix socket that echoes what it is sent, and sends it back once more at the end.
private final class Fronted {
  let directory: String
  let authority: FrontAuthority
  let front: TLSFront
  private let echo: Socket
  private let stop = CancelSignal()
  private let thread: WorkerThread

  init(clock: @escaping @Sendable () -> Int64 = wallClock) throws {
    directory = try Self.makeDirectory()
    let path = directory + "/api.sock"
    let echo = try Self.listen(path)
    let stop = stop
    self.echo = echo
    thread = try WorkerThread(name: "echo") { Self.serve(echo, until: stop) }
    authority = try FrontAuthority(directory: directory + "/api", clusterID: "site-a", node: "n1", clock: clock)
    front = try TLSFront(addresses: ["127.0.0.1"], port: 0, upstream: path, authority: authority)
  }

  deinit {
    front.stop()
    stop.cancel()
    thread.join()
    for name in ["/api/ca.key", "/api/ca.crt", "/api.sock"] { unlink(directory + name) }
    rmdir(directory + "/api")
    rmdir(directory)
  }

  static func makeDirectory() throws -> String {
    var template = Array("/tmp/front-test.XXXXXX".utf8CString)
    let made = try #require(mkdtemp(&template))
    return String(cString: made)
  }

  private static func listen(_ path: String) throws -> Socket {
    let socket = try Socket.stream(family: AF_UNIX)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    let bound = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(socket.descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    try #require(bound == 0 && Glibc.listen(socket.descriptor, 64) == 0)
    return socket
  }

  /// One connection after the other: all bytes back until its end, then `end`.
  private static func serve(_ socket: Socket, until stop: CancelSignal) {
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while stop.wait(for: socket.descriptor, events: POLLIN, until: .never) == .ready {
      let client = Socket(accept(socket.descriptor, nil, nil))
      while true {
        let count = recv(client.descriptor, &buffer, buffer.count, 0)
        guard count > 0 else { break }
        var done = 0
        while done < count {
          let sent = buffer[done..<count].withUnsafeBytes { send(client.descriptor, $0.baseAddress, $0.count, 0) }
          guard sent > 0 else { break }
          done += sent
        }
      }
      client.sendAll(Array("end".utf8))
    }
  }

  /// A client that trusts the front's authority.
  func connect(_ identity: LeafIdentity) throws -> TLSConnection {
    let pin = PinnedAuthority(clusterID: "site-a", caDER: authority.certificateDER)
    let settings = TLSSettings(role: .client, alpn: ["http/1.1"], trust: .pinnedAuthorities { [pin] }) { () in identity
    }
    let connection = try TLSConnection.connect(
      host: "127.0.0.1", port: front.port, settings: settings, timeout: patience)
    connection.setReadTimeout(patience)
    return connection
  }
}

/// Reads to the end.
private func all(_ connection: TLSConnection) throws -> String {
  var bytes = [UInt8](repeating: 0, count: 1 << 16)
  let count = try connection.readFully(into: &bytes)
  return String(decoding: bytes[..<count], as: UTF8.self)
}

@Suite("TLS front of the local socket")
struct FrontTests {
  @Test("a client of its authority is connected through, and its half-close too")
  func connectsThrough() throws {
    let fronted = try Fronted()
    let connection = try fronted.connect(try fronted.authority.makeClient())
    #expect(connection.alpn == "http/1.1")
    #expect(connection.peerIdentity == PeerIdentity(clusterID: "site-a", node: "n1"))
    try connection.write(Array("hello".utf8))
    var first = [UInt8](repeating: 0, count: 5)
    #expect(try connection.readExactly(into: &first))
    connection.endSending()
    #expect(try all(connection) == "end")
  }

  @Test("megabytes go both ways at once and arrive whole")
  func carriesMuch() throws {
    let fronted = try Fronted()
    let connection = try fronted.connect(try fronted.authority.makeClient())
    let sent = pattern(8 << 20, seed: 7)
    let writing = try onThread { () throws(ReplError) in try connection.write(sent) }
    var received = [UInt8](repeating: 0, count: sent.count)
    #expect(try connection.readExactly(into: &received))
    #expect(received == sent)
    _ = try writing.take(deadline: .after(patience))?.get()
  }

  @Test("many clients that are silent cost the others nothing")
  func manyIdle() throws {
    let fronted = try Fronted()
    let address = try SocketAddress.numeric(host: "127.0.0.1", port: fronted.front.port)
    let silent = try (0..<200).map { _ in try connectedSocket(to: address) }
    let connection = try fronted.connect(try fronted.authority.makeClient())
    try connection.write([1])
    var byte: [UInt8] = [0]
    #expect(try connection.readExactly(into: &byte))
    #expect(silent.count == 200)
  }

  @Test("a certificate of another authority is answered with 401 in HTTP")
  func foreignCertificate() throws {
    let fronted = try Fronted()
    let foreign = try CertificateAuthority.ephemeral().issueLeaf(clusterID: "site-a", node: "n1")
    let connection = try fronted.connect(foreign)
    try connection.write(Array("GET /api HTTP/1.1\r\nHost: x\r\n\r\n".utf8))
    let answer = try all(connection)
    #expect(answer.hasPrefix("HTTP/1.1 401 Unauthorized\r\n"))
    #expect(answer.contains(#""reason":"Unauthorized","code":401"#))
  }

  @Test("the server's own certificate opens nothing, and neither does one that has expired")
  func wrongCertificates() throws {
    let fronted = try Fronted()
    let now = wallClock()
    let expired = try fronted.authority.issueClient(notBefore: now - 7_200, notAfter: now - 3_600)
    for identity in [try fronted.authority.makeServer(now), expired] {
      let connection = try fronted.connect(identity)
      try connection.write([1])
      #expect(try all(connection).hasPrefix("HTTP/1.1 401 "))
    }
  }

  @Test("plain HTTP gets an answer in plain HTTP")
  func plainHTTP() throws {
    let fronted = try Fronted()
    let socket = try connectedSocket(to: try SocketAddress.numeric(host: "127.0.0.1", port: fronted.front.port))
    socket.sendAll(Array("GET / HTTP/1.1\r\n\r\n".utf8))
    let answer = String(decoding: socket.receiveAll(), as: UTF8.self)
    #expect(answer.hasPrefix("HTTP/1.0 400 Bad Request\r\n"))
    #expect(answer.hasSuffix("Client sent an HTTP request to an HTTPS server.\n"))
  }

  @Test("an API that does not answer is 503, and says when to try again: clients wait only then")
  func noUpstream() throws {
    let directory = try Fronted.makeDirectory()
    let fronted = try Fronted()
    let front = try TLSFront(
      addresses: ["127.0.0.1"], port: 0, upstream: directory + "/none.sock", authority: fronted.authority)
    defer {
      front.stop()
      rmdir(directory)
    }
    let pin = PinnedAuthority(clusterID: "site-a", caDER: fronted.authority.certificateDER)
    let identity = try fronted.authority.makeClient()
    let settings = TLSSettings(role: .client, alpn: ["http/1.1"], trust: .pinnedAuthorities { [pin] }) { () in identity
    }
    let connection = try TLSConnection.connect(host: "127.0.0.1", port: front.port, settings: settings)
    connection.setReadTimeout(patience)
    try connection.write([1])
    let answer = try all(connection)
    #expect(answer.hasPrefix("HTTP/1.1 503 ") && answer.contains("\r\nRetry-After: 1\r\n"))
  }

  @Test(
    "no address but those of the loopback interface is taken", arguments: ["0.0.0.0", "::", "127.0.0.2", "10.0.0.1"])
  func loopbackOnly(_ address: String) throws {
    let fronted = try Fronted()
    let error = #expect(throws: ReplError.self) {
      _ = try TLSFront(addresses: [address], port: 0, upstream: "/none", authority: fronted.authority)
    }
    #expect(error?.kind == .invalid)
  }

  @Test("a port that is taken is said to be")
  func portInUse() throws {
    let fronted = try Fronted()
    let error = #expect(throws: ReplError.self) {
      _ = try TLSFront(
        addresses: ["127.0.0.1"], port: fronted.front.port, upstream: "/none", authority: fronted.authority)
    }
    #expect(error?.kind == .refused)
  }

  @Test("the authority stays over restarts; its key is for the owner only")
  func authorityStays() throws {
    let fronted = try Fronted()
    let again = try FrontAuthority(directory: fronted.directory + "/api", clusterID: "site-a", node: "n1")
    #expect(again.certificateDER == fronted.authority.certificateDER)
    var status = stat()
    #expect(stat(fronted.directory + "/api/ca.key", &status) == 0 && status.st_mode & 0o777 == 0o600)
    #expect(stat(fronted.directory + "/api", &status) == 0 && status.st_mode & 0o777 == 0o700)
  }

  @Test("the server's certificate is replaced when a third of its time is left")
  func serverIsRenewed() throws {
    let now = Locked<Int64>(wallClock())
    let fronted = try Fronted(clock: { now.withLock { $0 } })
    let first = try fronted.authority.context().publicKey
    now.withLock { $0 += 19 * 86_400 }
    #expect(try fronted.authority.context().publicKey == first)
    now.withLock { $0 += 2 * 86_400 }
    #expect(try fronted.authority.context().publicKey != first)
  }
}
