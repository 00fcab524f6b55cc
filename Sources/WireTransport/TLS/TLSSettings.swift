public import ReplModel
import Threads

/// How one side of some connections behaves: protocols and trust, identity, limits. Shared by a listener's connections
/// or by all connections to one peer; safe on every thread.
public final class TLSSettings: Sendable {
  /// Gives the identity to use for the next handshake; called at each, so leafs rotate without a restart.
  public typealias IdentityProvider = @Sendable () throws(ReplError) -> LeafIdentity

  public let role: TLSRole
  public let applications: [TLSApplication]
  public let options: TLSOptions
  private let identity: IdentityProvider
  private let current = Locked<(identity: LeafIdentity, context: TLSContext)?>(nil)

  /// - Parameter applications: most wanted first. A client offers all; a server takes the first of its own that is
  ///   offered.
  public init(
    role: TLSRole, applications: [TLSApplication], options: TLSOptions = TLSOptions(),
    identity: @escaping IdentityProvider
  ) {
    self.role = role
    self.applications = applications
    self.options = options
    self.identity = identity
  }

  /// Protocols that all have one trust.
  public convenience init(
    role: TLSRole, alpn: [String], trust: TLSTrust, options: TLSOptions = TLSOptions(),
    identity: @escaping IdentityProvider
  ) {
    self.init(
      role: role, applications: alpn.map { TLSApplication(name: $0, trust: trust) }, options: options,
      identity: identity)
  }

  /// Makes every ticket issued so far worthless. Called on revocation of a peer; a new identity does it by itself.
  /// Connections that are up are not touched: whoever revokes cancels them.
  public func invalidateTickets() { current.withLock { $0 = nil } }

  /// The trust of a protocol; nil when it is none of ours.
  func trust(for application: String) -> TLSTrust? {
    applications.first { $0.name == application }?.trust
  }

  /// The context of the identity to use now. A context is never changed; its ticket key dies with it.
  func context() throws(ReplError) -> TLSContext {
    let wanted = try identity()
    return try current.withLock { current throws(ReplError) in
      if let current, current.identity == wanted { return current.context }
      let context = try TLSContext(settings: self, identity: wanted)
      current = (wanted, context)
      return context
    }
  }
}
