import CStorageShims
import Glibc
import ReplModel
import Threads

/// Owns a css_tls and waits where it must. One thread per direction at most; the caller sees to it.
///
/// `@unchecked Sendable`: css_tls locks its own state; see css_tls.h.
final class TLSSession: @unchecked Sendable {
  private let pointer: OpaquePointer
  private let context: TLSContext
  private let sessions: StoredSessions?
  private let check: Unmanaged<PeerCheck>
  private let socket: Socket
  private let cancelSignal: CancelSignal
  private let subject: String
  private let keyUpdateRecords: UInt64

  init(
    context: TLSContext, settings: TLSSettings, socket: Socket, sessions: TLSSessionStore?, check: PeerCheck,
    cancelSignal: CancelSignal, subject: String
  ) throws(ReplError) {
    self.context = context
    self.sessions = sessions?.sessions(of: context)
    self.socket = socket
    self.cancelSignal = cancelSignal
    self.subject = subject
    keyUpdateRecords = settings.options.keyUpdateRecords
    self.check = Unmanaged.passRetained(check)
    var error = css_tls_error()
    let made = css_tls_new(
      context.pointer, socket.descriptor, self.sessions?.pointer, settings.options.bufferSize, Self.judge,
      self.check.toOpaque(), &error)
    guard let made else {
      self.check.release()
      throw ReplError(.transient, subject: subject, cause: error.message)
    }
    pointer = made
  }

  deinit {
    css_tls_free(pointer)
    check.release()
  }

  /// libssl's question about the peer's certificates, on the thread of the handshake.
  private static let judge: css_tls_verify = { context, chain, count, name, nameLength in
    guard let context else { return CSS_PKI_MALFORMED }
    let check = Unmanaged<PeerCheck>.fromOpaque(context).takeUnretainedValue()
    let certificates = UnsafeBufferPointer(start: chain, count: count).map { slice in
      Array(UnsafeBufferPointer(start: slice.data, count: slice.length))
    }
    let application = UnsafeBufferPointer(start: name, count: nameLength).map { UInt8(bitPattern: $0) }
    return check.judge(chain: certificates, application: String(decoding: application, as: UTF8.self))
  }

  func handshake(until deadline: Deadline) throws(ReplError) {
    while true {
      var error = css_tls_error()
      let status = css_tls_handshake(pointer, &error)
      // Also after a failure: what is pending then is the alert that tells the peer why.
      if status == CSS_TLS_FAILED {
        _ = try? flush(until: min(deadline, .after(.seconds(1))))
        throw failure(error)
      }
      try flush(until: deadline)
      if status == CSS_TLS_DONE { return }
      if status == CSS_TLS_CLOSED { throw ReplError(.transient, subject: subject, cause: "the peer hung up") }
      if status == CSS_TLS_WANT_READ { try fill(until: deadline) }
    }
  }

  /// Up to `buffer.count` bytes, at least one; 0 at the orderly end.
  func read(into buffer: UnsafeMutableRawBufferPointer, until deadline: Deadline) throws(ReplError) -> Int {
    guard let start = buffer.baseAddress, !buffer.isEmpty else { return 0 }
    while true {
      var error = css_tls_error()
      var count = 0
      switch css_tls_read(pointer, start, buffer.count, &count, &error) {
      case CSS_TLS_DONE: return count
      case CSS_TLS_CLOSED: return 0
      case CSS_TLS_WANT_READ: try fill(until: deadline)
      case CSS_TLS_WANT_WRITE: try wait(POLLOUT | POLLIN, until: deadline)
      default: throw failure(error)
      }
    }
  }

  /// Encrypts all of `buffer`. What does not fill the output buffer stays there until ``flush(until:)``.
  func write(_ buffer: UnsafeRawBufferPointer, until deadline: Deadline) throws(ReplError) {
    guard let start = buffer.baseAddress else { return }
    var done = 0
    while done < buffer.count {
      var error = css_tls_error()
      var count = 0
      switch css_tls_write(pointer, start + done, buffer.count - done, &count, keyUpdateRecords, &error) {
      case CSS_TLS_DONE: done += count
      case CSS_TLS_WANT_WRITE: try flush(until: deadline)
      case CSS_TLS_WANT_READ, CSS_TLS_CLOSED:
        throw ReplError(.transient, subject: subject, cause: "the connection is closed")
      default: throw failure(error)
      }
    }
  }

  /// Sends what is pending.
  func flush(until deadline: Deadline) throws(ReplError) {
    while true {
      var error = css_tls_error()
      switch css_tls_flush(pointer, &error) {
      case CSS_TLS_DONE: return
      case CSS_TLS_WANT_WRITE: try wait(POLLOUT, until: deadline)
      default: throw failure(error)
      }
    }
  }

  var hasOutput: Bool { css_tls_has_output(pointer) }

  func closeNotify() { css_tls_close_notify(pointer) }

  /// One receive, waited for.
  func fill(until deadline: Deadline) throws(ReplError) {
    while true {
      var error = css_tls_error()
      switch css_tls_fill(pointer, &error) {
      case CSS_TLS_DONE: return
      case CSS_TLS_WANT_READ: try wait(POLLIN, until: deadline)
      default: throw failure(error)
      }
    }
  }

  private func wait(_ events: Int32, until deadline: Deadline) throws(ReplError) {
    switch cancelSignal.wait(for: socket.descriptor, events: events, until: deadline) {
    case .ready: return
    case .cancelled: throw ReplError(.cancelled, subject: subject, cause: "the connection was closed on this side")
    case .timedOut: throw ReplError(.transient, subject: subject, cause: "the time for it is over")
    }
  }

  private func failure(_ error: css_tls_error) -> ReplError {
    if cancelSignal.isCancelled {
      return ReplError(.cancelled, subject: subject, cause: "the connection was closed on this side")
    }
    return ReplError(tls: error, subject: subject)
  }
}

extension TLSSession {
  var application: String {
    var name = [CChar](repeating: 0, count: 256)
    let length = css_tls_application(pointer, &name)
    return String(decoding: name.prefix(length).map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  var isResumed: Bool { css_tls_resumed(pointer) }
  var keyUpdates: UInt64 { css_tls_key_updates(pointer) }
  var publicKey: [UInt8] { context.publicKey }

  func peerCertificate() -> [UInt8]? {
    var bytes = css_bytes()
    return css_tls_peer_certificate(pointer, &bytes) ? bytes.takeArray() : nil
  }

  func export(label: String, context: [UInt8], length: Int) throws(ReplError) -> [UInt8] {
    var error = css_tls_error()
    var output = [UInt8](repeating: 0, count: max(1, length))
    let done = withSlice(context) { context in
      css_tls_export(pointer, label, label.utf8.count, context, &output, length, &error)
    }
    guard done else { throw ReplError(.bug, subject: subject, cause: error.message) }
    return Array(output.prefix(length))
  }
}
