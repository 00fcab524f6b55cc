import BlockDiff
import Glibc
import ReplModel
import ReplicationEngine

/// What the machine says of a configuration that is right by itself: `run` would fail over it, or do less than meant.
struct ConfigurationCheck {
  let configuration: AgentConfiguration

  /// What keeps the agent from starting.
  var errors: [ReplError] { configuration.engine.pools.compactMap(missing) + [foreignAddress].compactMap(\.self) }

  /// What it would do less well.
  var warnings: [String] { reflinkWarnings + retentionWarnings }

  /// Points that are always kept are more than were asked for.
  private var retentionWarnings: [String] {
    let retention = configuration.engine.retention
    guard retention.keepLast < retention.floor else { return [] }
    return [
      "retention.count is \(retention.keepLast): the newest \(retention.floor) points of each volume are always kept"
    ]
  }

  private var reflinkWarnings: [String] {
    configuration.engine.pools.filter { missing($0) == nil && !hasReflinks($0.path) }.map {
      "pool \($0.name): \($0.path) is neither on XFS nor on btrfs: it can hold no recovery points, and its volumes are read "
        + "whole each cycle"
    }
  }

  private func missing(_ pool: PoolConfiguration) -> ReplError? {
    var facts = stat()
    guard stat(pool.path, &facts) == 0 else {
      return ReplError(
        .notFound, subject: "pool \(pool.name)", cause: "\(pool.path): \(String(cString: strerror(errno)))",
        remedy: "make the directory, or mount its file system")
    }
    guard facts.st_mode & S_IFMT == S_IFDIR else {
      return ReplError(.invalid, subject: "pool \(pool.name)", cause: "\(pool.path) is no directory")
    }
    return nil
  }

  private func hasReflinks(_ path: String) -> Bool {
    guard let directory = try? LinuxStorage().open(path, .read) else { return true }
    defer { try? directory.close() }
    return switch try? directory.fileSystem() {
    case .xfs, .btrfs, nil: true
    case .other: false
    }
  }

  /// An address that no interface of this machine has.
  private var foreignAddress: ReplError? {
    let address = configuration.engine.listenAddress
    var hints = addrinfo()
    hints.ai_flags = AI_NUMERICHOST | AI_PASSIVE
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    var found: UnsafeMutablePointer<addrinfo>?
    guard getaddrinfo(address, "0", &hints, &found) == 0, let found else { return nil }
    defer { freeaddrinfo(found) }
    let descriptor = socket(found.pointee.ai_family, found.pointee.ai_socktype, 0)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    guard bind(descriptor, found.pointee.ai_addr, found.pointee.ai_addrlen) != 0, errno == EADDRNOTAVAIL else {
      return nil
    }
    return ReplError(
      .invalid, subject: "listen.address", cause: "\(address) is no address of this machine",
      remedy: "name one that `ip address` shows, or '::' for all")
  }
}
