import ReplModel
import WireProtocol

@testable import WireTransport

/// A cluster with its authority and one node.
struct Site: Sendable {
  let authority: CertificateAuthority
  let clusterID: String

  init(_ clusterID: String) throws {
    authority = try CertificateAuthority.ephemeral()
    self.clusterID = clusterID
  }

  var pin: PinnedAuthority { PinnedAuthority(clusterID: clusterID, caDER: authority.certificateDER) }

  func leaf() throws(ReplError) -> LeafIdentity { try authority.issueLeaf(clusterID: clusterID, node: "node-1") }

  /// Settings with one leaf for good and fixed pins.
  func settings(
    _ role: TLSRole, trusting pins: [PinnedAuthority], alpn: [String] = [WireLimits.controlProtocol],
    leaf: LeafIdentity? = nil, options: TLSOptions = TLSOptions()
  ) throws -> TLSSettings {
    let leaf = try leaf ?? self.leaf()
    return TLSSettings(role: role, alpn: alpn, trust: .pinnedAuthorities { pins }, options: options) {
      () throws(ReplError) in leaf
    }
  }
}

/// Two sites that trust each other, with the settings of a client at `here` and a server at `there`.
struct TwoSites: Sendable {
  let here: Site
  let there: Site
  let client: TLSSettings
  let server: TLSSettings

  init(options: TLSOptions = TLSOptions()) throws {
    here = try Site("here")
    there = try Site("there")
    client = try here.settings(.client, trusting: [there.pin], options: options)
    server = try there.settings(.server, trusting: [here.pin], options: options)
  }
}
