import CStorageShims
import ReplModel

/// The TLS side of one connection to the front, without waiting: each call does what can be done at once.
/// For one thread.
final class FrontSession {
  /// What libssl asks about a client's certificate. Any certificate passes the handshake: whoever shows a wrong one is
  /// told so in HTTP, which clients explain better to people than an alert.
  private final class Judge {
    let authority: FrontAuthority
    var isTrusted = false
    init(_ authority: FrontAuthority) { self.authority = authority }
  }

  private let pointer: OpaquePointer
  private let context: TLSContext
  private let judge: Unmanaged<Judge>

  /// Bytes held per direction; as few as the records allow, since there may be hundreds of connections.
  private static let bufferSize = 32 << 10
  /// Records under one key: see TLSOptions.
  private static let keyUpdateRecords: UInt64 = 1 << 22

  /// - Parameter descriptor: the connected, non-blocking socket; it stays the caller's and must outlive the session.
  init(authority: FrontAuthority, descriptor: Int32) throws(ReplError) {
    context = try authority.context()
    judge = Unmanaged.passRetained(Judge(authority))
    var error = css_tls_error()
    let made = css_tls_new(
      context.pointer, descriptor, nil, Self.bufferSize, Self.ask, judge.toOpaque(), &error)
    guard let made else {
      judge.release()
      throw ReplError(.transient, subject: "loopback listener", cause: error.message)
    }
    pointer = made
  }

  deinit {
    css_tls_free(pointer)
    judge.release()
  }

  private static let ask: css_tls_verify = { context, chain, count, _, _ in
    guard let context, count > 0 else { return CSS_PKI_MALFORMED }
    let judge = Unmanaged<Judge>.fromOpaque(context).takeUnretainedValue()
    let leaf = Array(UnsafeBufferPointer(start: chain[0].data, count: chain[0].length))
    judge.isTrusted = judge.authority.vouches(for: leaf)
    return CSS_PKI_TRUSTED
  }

  /// Whether the client showed a certificate of the front's authority. Known once the handshake is done.
  var isTrusted: Bool { judge.takeUnretainedValue().isTrusted }

  var hasOutput: Bool { css_tls_has_output(pointer) }

  func handshake() -> css_tls_status {
    var error = css_tls_error()
    return css_tls_handshake(pointer, &error)
  }

  /// Decrypts what is at hand.
  func read(into buffer: UnsafeMutableRawBufferPointer) -> (status: css_tls_status, count: Int) {
    guard let start = buffer.baseAddress else { return (CSS_TLS_FAILED, 0) }
    var error = css_tls_error()
    var count = 0
    let status = css_tls_read(pointer, start, buffer.count, &count, &error)
    return (status, count)
  }

  /// Encrypts and sends; the count of bytes taken over, nil when the connection is broken.
  func write(_ bytes: UnsafeRawBufferPointer) -> Int? {
    guard let start = bytes.baseAddress else { return 0 }
    var done = 0
    while done < bytes.count {
      var error = css_tls_error()
      var count = 0
      switch css_tls_write(pointer, start + done, bytes.count - done, &count, Self.keyUpdateRecords, &error) {
      case CSS_TLS_DONE: done += count
      case CSS_TLS_WANT_WRITE:
        guard let sent = flush() else { return nil }
        if !sent { return done }
      default: return nil
      }
    }
    return flush() == nil ? nil : done
  }

  /// Sends what is pending: whether all of it went out, nil when the connection is broken.
  func flush() -> Bool? {
    var error = css_tls_error()
    switch css_tls_flush(pointer, &error) {
    case CSS_TLS_DONE: return true
    case CSS_TLS_WANT_WRITE: return false
    default: return nil
    }
  }

  /// Receives: whether something came (the end counts), nil when the connection is broken.
  func fill() -> Bool? {
    var error = css_tls_error()
    switch css_tls_fill(pointer, &error) {
    case CSS_TLS_DONE: return true
    case CSS_TLS_WANT_READ: return false
    default: return nil
    }
  }

  func closeNotify() { css_tls_close_notify(pointer) }
}
