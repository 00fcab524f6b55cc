import BlockDiff
import ReplModel
import TestSupport
import Threads
import WireProtocol
import WireTransport

@testable import ReplicationEngine

/// An agent's trust, without the rest of it.
final class TrustedSite: Sendable {
  let configuration: EngineConfiguration
  let database: AgentDatabase
  let trust: TrustStore
  private let directory: TemporaryDirectory

  init(_ cluster: String) throws {
    directory = try TemporaryDirectory()
    try LinuxStorage().makeDirectory(directory.path + "/pki")
    configuration = EngineConfiguration(
      clusterID: cluster, node: "node", stateDirectory: directory.path, pools: [], allowedPaths: [])
    database = try AgentDatabase.inMemory()
    trust = try TrustStore(configuration: configuration, database: database, clock: SystemClock())
  }

  func pin(_ other: TrustedSite) throws {
    let record = PeerRecord(
      cluster: other.configuration.clusterID, node: "node", authority: other.trust.authority.certificateDER,
      host: "127.0.0.1", port: 1)
    try database.write { try record.save($0) }
  }

  func settings(_ role: TLSRole) -> TLSSettings {
    TLSSettings(
      role: role, alpn: [WireLimits.controlProtocol],
      trust: .pinnedAuthorities { [trust] in trust.pinnedAuthorities() }
    ) { [trust] () throws(ReplError) in try trust.identity() }
  }

  func connection(
    to cluster: String, port: UInt16, silence: Duration = Liveness.clientSilence
  ) -> PeerAgent {
    let connection = PeerConnection(
      cluster: cluster, host: "127.0.0.1", port: port, configuration: configuration, trust: trust,
      clock: SystemClock(), silence: silence)
    return PeerAgent(connection, clock: SystemClock())
  }

  /// A connection that lives as an agent's does: heartbeats go over it while others wait for an answer.
  func livingConnection(to cluster: String, port: UInt16) throws -> PeerAgent {
    let link = connection(to: cluster, port: port)
    _ = try WorkerThread(name: "heartbeat") { [weak link] in
      while let link {
        _ = try? link.heartbeat()
        SystemClock().sleep(seconds: 1)
      }
    }
    return link
  }
}
