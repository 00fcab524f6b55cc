import CStorageShims
import Threads

/// Sessions of one peer that a client may resume, at most eight, newest first. Each is offered once.
///
/// Use one per peer and protocol, and clear it when trust changes; a new identity of this end forgets them by itself.
/// Safe on every thread.
public final class TLSSessionStore: Sendable {
  private let current = Locked<(context: TLSContext, sessions: StoredSessions)?>(nil)

  public init() {}

  /// Forgets every session.
  public func clear() { current.withLock { $0 = nil } }

  /// The sessions made with this context, and so with its identity: a server takes a resumed peer for whom it was at
  /// first. Connections of an earlier context keep what arrives to themselves.
  func sessions(of context: TLSContext) -> StoredSessions {
    current.withLock { current in
      if let current, current.context === context { return current.sessions }
      let sessions = StoredSessions()
      current = (context, sessions)
      return sessions
    }
  }
}

/// Owns a css_tls_sessions.
///
/// `@unchecked Sendable`: what is behind the pointer has a lock of its own.
final class StoredSessions: @unchecked Sendable {
  /// Nil only when there was no memory: nothing is resumed then.
  let pointer: OpaquePointer?

  init() { pointer = css_tls_sessions_new() }

  deinit { if let pointer { css_tls_sessions_free(pointer) } }
}
