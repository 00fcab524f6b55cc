import CStorageShims

/// Sessions of one peer that a client may resume, at most eight, newest first. Each is offered once.
///
/// Use one per peer and protocol; clear it when trust or the own identity changes. Safe on every thread.
///
/// `@unchecked Sendable`: the store behind the pointer has a lock of its own.
public final class TLSSessionStore: @unchecked Sendable {
  let pointer: OpaquePointer?

  public init() { pointer = css_tls_sessions_new() }

  deinit { if let pointer { css_tls_sessions_free(pointer) } }

  /// Forgets every session.
  public func clear() { if let pointer { css_tls_sessions_clear(pointer) } }
}
