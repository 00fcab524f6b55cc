import APIModel
import KubeModel
import Glibc
import Hummingbird
import NIOCore

/// The context of a request: its connection, to ask who is at the other end.
struct PeerContext: RequestContext {
  var coreContext: CoreRequestContextStorage
  let channel: any Channel

  init(source: ApplicationRequestContextSource) {
    coreContext = .init(source: source)
    channel = source.channel
  }
}

/// Who may use the socket: root, the agent's own user, and members of its group.
///
/// The file's mode says the same; this holds also when the mode was changed by accident.
struct PeerAccess: Sendable {
  /// The group that may; nil when there is none on this machine.
  var group: gid_t?

  /// The kernel's `struct ucred`.
  private struct Credentials: Sendable {
    var pid: pid_t
    var uid: uid_t
    var gid: gid_t
  }

  private static let groupName = "repl-agent"
  /// Supplementary groups that are looked at; a peer with more is judged by its user and primary group.
  private typealias Groups = InlineArray<1_024, gid_t>

  /// By the name of the group on this machine.
  static func standard() -> PeerAccess {
    var entry = Glibc.group()
    var found: UnsafeMutablePointer<Glibc.group>?
    var buffer = [CChar](repeating: 0, count: 16_384)
    guard getgrnam_r(groupName, &entry, &buffer, buffer.count, &found) == 0, found != nil else {
      return PeerAccess(group: nil)
    }
    return PeerAccess(group: entry.gr_gid)
  }

  /// Refuses a peer that is none of these; the process that opened the connection. Connections other than Unix sockets are
  /// judged elsewhere, and of no known process.
  func check(_ channel: any Channel) async throws -> pid_t? {
    guard let provider = Self.unixSocket(channel) else { return nil }
    let peer = try await Self.credentials(provider)
    if peer.uid == 0 || peer.uid == geteuid() { return peer.pid }
    if let group {
      if peer.gid == group { return peer.pid }
      if await groups(provider).contains(group) { return peer.pid }
    }
    throw StatusError(403, "Forbidden", "user \(peer.uid) may not use this agent: not root and not in its group")
  }

  private static func unixSocket(_ channel: any Channel) -> (any SocketOptionProvider)? {
    guard channel.localAddress?.protocol == .unix || channel.remoteAddress?.protocol == .unix else { return nil }
    return channel as? any SocketOptionProvider
  }

  private static func credentials(_ provider: any SocketOptionProvider) async throws -> Credentials {
    try await provider.unsafeGetSocketOption(
      level: NIOBSDSocket.OptionLevel(rawValue: SOL_SOCKET), name: NIOBSDSocket.Option(rawValue: SO_PEERCRED)
    ).get()
  }

  private func groups(_ provider: any SocketOptionProvider) async -> [gid_t] {
    let peerGroups: Int32 = 59
    let future: EventLoopFuture<Groups> = provider.unsafeGetSocketOption(
      level: NIOBSDSocket.OptionLevel(rawValue: SOL_SOCKET), name: NIOBSDSocket.Option(rawValue: peerGroups))
    guard let found = try? await future.get() else { return [] }
    // The option fills from the front and the rest is zero, which as a group is root's and never the one looked for.
    return found.indices.map { found[$0] }.filter { $0 != 0 }
  }
}
