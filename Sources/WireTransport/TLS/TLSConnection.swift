import Glibc
public import ReplModel
import Synchronization
public import Threads

/// A TLS 1.3 connection with blocking calls, for dedicated threads.
///
/// One thread may read while another writes; several that read, or several that write, take turns call by call.
/// ``cancel()`` may come from any thread. The socket is closed when the last reference goes.
public final class TLSConnection: Sendable {
  /// The protocol agreed on.
  public let alpn: String
  /// Cluster and node of the peer; nil only for a pairing client.
  public let peerIdentity: PeerIdentity?
  /// The peer's public key: DER of SubjectPublicKeyInfo.
  public let peerPublicKey: [UInt8]
  /// The authority the peer's certificate was checked against, DER; nil for a pairing client.
  public let peerAuthorityDER: [UInt8]?
  /// This end's public key: DER of SubjectPublicKeyInfo.
  public let localPublicKey: [UInt8]
  /// Whether the handshake took up an earlier session.
  public let isResumed: Bool
  public let remoteAddress: SocketAddress
  public let localAddress: SocketAddress

  private let session: TLSSession
  private let socket: Socket
  private let cancelSignal: CancelSignal
  /// Held by whoever reads; whether the peer's end was met.
  private let reading = Turn(false)
  /// Held by whoever writes; whether the end was sent.
  private let writing = Turn(false)
  private let readTimeout = Atomic<Int64>(0)
  private let writeTimeout = Atomic<Int64>(0)
  /// Nanoseconds of a ``Deadline``.
  private let absolute = Atomic<UInt64>(.max)

  /// Runs the handshake over a connected socket.
  init(
    socket: Socket, settings: TLSSettings, sessions: TLSSessionStore?, cancelSignal: CancelSignal, deadline: Deadline
  ) throws(ReplError) {
    guard let remote = socket.remoteAddress, let local = socket.localAddress else {
      throw ReplError(.transient, subject: "connection", cause: "the peer is gone already")
    }
    let subject = "peer \(remote)"
    socket.tune(stallTimeout: settings.options.stallTimeout)
    let check = PeerCheck(settings: settings, subject: subject)
    let session = try TLSSession(
      context: try settings.context(), settings: settings, socket: socket, sessions: sessions, check: check,
      cancelSignal: cancelSignal, subject: subject)
    let peer = try Self.handshake(session, check, socket, subject: subject, until: deadline)
    (self.session, self.socket, self.cancelSignal) = (session, socket, cancelSignal)
    (remoteAddress, localAddress) = (remote, local)
    (alpn, isResumed) = (session.application, session.isResumed)
    (peerIdentity, peerPublicKey, peerAuthorityDER) = (peer.identity, peer.publicKey, peer.authorityDER)
    localPublicKey = session.publicKey
  }

  /// Reads what is there, waiting for at least one byte.
  ///
  /// - Returns: the count of bytes; 0 at the orderly end of what the peer sends.
  /// - Throws: `.cancelled` after ``cancel()`` or ``close()``, `.transient` when the connection is cut or the read
  ///   timeout passes, `.unauthenticated` when the peer refuses this end's certificate.
  public func read(into buffer: UnsafeMutableRawBufferPointer) throws(ReplError) -> Int {
    try reading.take { ended throws(ReplError) in try readSome(into: buffer, &ended) }
  }

  /// Fills the whole buffer.
  ///
  /// - Returns: false when the stream ended in order before the first byte.
  /// - Throws: as ``read(into:)``; `.transient` also when the stream ends in the middle.
  public func readExactly(into buffer: UnsafeMutableRawBufferPointer) throws(ReplError) -> Bool {
    let count = try readFully(into: buffer)
    guard count == 0 || count == buffer.count else {
      throw ReplError(
        .transient, subject: "peer \(remoteAddress)", cause: "the stream ended after \(count) of \(buffer.count) bytes")
    }
    return count == buffer.count
  }

  /// Fills the buffer as far as the stream goes.
  ///
  /// - Returns: the count of bytes, less than the buffer has only when the stream ended in order.
  ///
  /// - Parameter deadline: for all of it; each wait has no more than the read timeout too.
  public func readFully(
    into buffer: UnsafeMutableRawBufferPointer, until deadline: Deadline = .never
  ) throws(ReplError) -> Int {
    try reading.take { ended throws(ReplError) in
      var done = 0
      while done < buffer.count {
        let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[done...])
        let count = try readSome(into: rest, until: deadline, &ended)
        if count == 0 { break }
        done += count
      }
      return done
    }
  }

  private func readSome(
    into buffer: UnsafeMutableRawBufferPointer, until limit: Deadline = .never, _ ended: inout Bool
  ) throws(ReplError) -> Int {
    guard !ended, !buffer.isEmpty else { return 0 }
    let idle = min(limit, end(readTimeout))
    while true {
      let deadline = min(idle, introduction)
      do throws(ReplError) {
        let count = try session.read(into: buffer, until: deadline)
        ended = count == 0
        return count
      } catch {
        // The end of an introduction may have been lifted while this read waited.
        guard error.kind == .transient, deadline.isOver, !min(idle, introduction).isOver else { throw error }
      }
    }
  }

  /// Sends all bytes; returns when the system has taken them.
  ///
  /// When it fails because the peer is gone, reading on tells why: what the peer sent last may be waiting there.
  public func write(_ buffer: UnsafeRawBufferPointer) throws(ReplError) {
    try write(buffer, UnsafeRawBufferPointer(start: nil, count: 0))
  }

  /// Sends a header and a payload one right after the other, without copying them together. No other write comes
  /// between them.
  public func write(
    _ header: UnsafeRawBufferPointer, _ payload: UnsafeRawBufferPointer
  ) throws(ReplError) {
    try writing.take { ended throws(ReplError) in
      guard !ended else {
        throw ReplError(.cancelled, subject: "peer \(remoteAddress)", cause: "sending was ended on this side")
      }
      let deadline = min(introduction, end(writeTimeout))
      try session.write(header, until: deadline)
      try session.write(payload, until: deadline)
      try session.flush(until: deadline)
    }
  }

  /// Sends a few bytes if that needs no waiting: nobody else writes, and the system has room. Otherwise nothing is sent.
  ///
  /// - Returns: whether they were sent.
  public func writeAtOnce(_ buffer: UnsafeRawBufferPointer) throws(ReplError) -> Bool {
    let sent = try writing.take(until: .after(.zero)) { ended throws(ReplError) in
      guard !ended, socket.hasRoom else { return false }
      try session.write(buffer, until: .after(.zero))
      try session.flush(until: .after(.zero))
      return true
    }
    return sent ?? false
  }

  /// As ``write(_:_:)-(UnsafeRawBufferPointer,_)``, from arrays.
  public func write(_ header: [UInt8], _ payload: [UInt8] = []) throws(ReplError) {
    try header.withUnsafeBufferPointer { header throws(ReplError) in
      try payload.withUnsafeBufferPointer { payload throws(ReplError) in
        try write(UnsafeRawBufferPointer(header), UnsafeRawBufferPointer(payload))
      }
    }
  }

  /// As ``readExactly(into:)-(UnsafeMutableRawBufferPointer)``, into an array of the wanted size.
  public func readExactly(into bytes: inout [UInt8]) throws(ReplError) -> Bool {
    try bytes.withUnsafeMutableBufferPointer { buffer throws(ReplError) in
      try readExactly(into: UnsafeMutableRawBufferPointer(buffer))
    }
  }

  /// As ``readFully(into:)-(UnsafeMutableRawBufferPointer)``, into an array of the wanted size.
  public func readFully(into bytes: inout [UInt8], until deadline: Deadline = .never) throws(ReplError) -> Int {
    try bytes.withUnsafeMutableBufferPointer { buffer throws(ReplError) in
      try readFully(into: UnsafeMutableRawBufferPointer(buffer), until: deadline)
    }
  }

  /// Keying material of this connection (RFC 8446, section 7.5), the same at both ends.
  public func exporter(label: String, context: [UInt8] = [], length: Int) throws(ReplError) -> [UInt8] {
    try session.export(label: label, context: context, length: length)
  }

  /// How often this end took a new sending key.
  public var keyUpdates: UInt64 { session.keyUpdates }

  /// Longest wait of one read for something to arrive; nil for ever, which it is at first.
  public func setReadTimeout(_ timeout: Duration?) { store(timeout, in: readTimeout) }

  /// Longest time of one write; nil for ever, which it is at first (the stall timeout holds always).
  public func setWriteTimeout(_ timeout: Duration?) { store(timeout, in: writeTimeout) }

  /// Instant by which every read and write must have ended, whatever their timeouts; never at first, and at an accepted
  /// connection after ``TLSOptions/introductionTimeout``. A later one also holds for a read in progress, an earlier one for
  /// calls that begin after this one.
  public func setDeadline(_ deadline: Deadline) { absolute.store(deadline.nanoseconds, ordering: .relaxed) }

  /// Ends both directions at once; calls in progress fail with `.cancelled`. From any thread, any number of times.
  public func cancel() {
    cancelSignal.cancel()
    socket.shutDown()
  }

  /// Whether ``cancel()`` or ``close()`` was called.
  public var isCancelled: Bool { cancelSignal.isCancelled }

  /// Tells the peer that nothing more comes, then ends this side. Reads in progress fail with `.cancelled`.
  public func close() {
    sendEnd()
    cancelSignal.cancel()
  }

  /// As ``close()``, but first takes in and drops what the peer still sends, for at most `limit` or until it closes:
  /// a socket closed with unread bytes would be reset, and the peer might lose what was sent last.
  public func close(lingering limit: Duration) {
    sendEnd()
    let deadline = Deadline.after(limit)
    _ = reading.take(until: .after(.zero)) { _ in drain(until: deadline) }
    cancelSignal.cancel()
  }

  /// Tells the peer that nothing more comes; reading goes on.
  public func endSending() { sendEnd() }

  private func drain(until deadline: Deadline) {
    withUnsafeTemporaryAllocation(byteCount: 16 << 10, alignment: 16) { buffer in
      while !deadline.isOver, let count = try? session.read(into: buffer, until: deadline), count > 0 {}
    }
  }

  /// A writer that is stuck keeps the end from being sent; the peer then sees a cut connection.
  private func sendEnd() {
    let sent: Void? = writing.take(until: .after(.zero)) { ended in
      guard !ended else { return }
      ended = true
      session.closeNotify()
      _ = try? session.flush(until: .after(.seconds(1)))
    }
    if sent == nil { cancel() } else { socket.shutDownWriting() }
  }

  private var introduction: Deadline { Deadline(nanoseconds: absolute.load(ordering: .relaxed)) }

  private func end(_ timeout: borrowing Atomic<Int64>) -> Deadline {
    let nanoseconds = timeout.load(ordering: .relaxed)
    return nanoseconds == 0 ? .never : .after(.nanoseconds(nanoseconds))
  }

  private func store(_ timeout: Duration?, in place: borrowing Atomic<Int64>) {
    let nanoseconds = timeout.map { max(1, Int64(clamping: Int128($0.attoseconds / 1_000_000_000))) } ?? 0
    place.store(nanoseconds, ordering: .relaxed)
  }
}

extension TLSConnection {
  private static func handshake(
    _ session: TLSSession, _ check: PeerCheck, _ socket: Socket, subject: String, until deadline: Deadline
  ) throws(ReplError) -> VerifiedPeer {
    do throws(ReplError) {
      try session.handshake(until: deadline)
      return try judged(session, check, subject: subject)
    } catch {
      // Whose place was given to another is told nothing.
      if error.kind != .cancelled { socket.letRead() }
      // Our own reason says more than libssl's report of it.
      if case .failure(let refusal)? = check.result, error.kind != .cancelled { throw refusal }
      throw error
    }
  }

  /// The check of the handshake. A resumed session brought no certificates: those of its first handshake are judged
  /// again, for the protocol spoken now. Pairing is never resumed.
  private static func judged(
    _ session: TLSSession, _ check: PeerCheck, subject: String
  ) throws(ReplError) -> VerifiedPeer {
    let application = session.application
    guard !application.isEmpty else {
      throw ReplError(.protocolViolation, subject: subject, cause: "no protocol was agreed on")
    }
    if session.isResumed {
      guard let leaf = session.peerCertificate() else {
        throw ReplError(.unauthenticated, subject: subject, cause: "the resumed session names no peer")
      }
      _ = check.judge(chain: [leaf], application: application)
    }
    guard let result = check.result else {
      throw ReplError(.unauthenticated, subject: subject, cause: "the peer showed no certificate")
    }
    let peer = try result.get()
    guard !session.isResumed || peer.identity != nil else {
      throw ReplError(.unauthenticated, subject: subject, cause: "pairing cannot be resumed")
    }
    return peer
  }
}
