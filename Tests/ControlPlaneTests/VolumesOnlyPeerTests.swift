import APIModel
import ReplModel
import ReplicationEngine
import Testing

@testable import KubeModel
@testable import KubeServer
@testable import ReplAgent
@testable import StorkControllers

@Suite("A peer that takes no objects is as good for volumes")
struct VolumesOnlyPeerTests {
  private static let error = ReplError(
    .unsupported, subject: "peer west", cause: "takes no documents of a control plane", remedy: "update the peer")

  private static func travelling(_ kinds: [ResourceKind]) -> [TravellingObject] {
    kinds.map { TravellingObject(object: $0.object(namespace: "shop", name: "x")) }
  }

  @Test("volumes and claims alone lack nothing, and it is said that only they went")
  func volumes() {
    let outcome = ResourceMigrator.without(
      Self.travelling([.persistentVolume, .persistentVolumeClaim]), Self.error)
    #expect(outcome.results.isEmpty)
    #expect(outcome.note?.contains("only volumes were migrated") == true)
    #expect(MigrationStatus.finalStatus(outcome) == .successful)
  }

  @Test("anything else that was to travel has failed")
  func others() {
    let outcome = ResourceMigrator.without(
      Self.travelling([.persistentVolume, .persistentVolumeClaim, .configMap]), Self.error)
    #expect(outcome.results.map(\.kind) == ["ConfigMap"])
    #expect(MigrationStatus.finalStatus(outcome) == .partialSuccess)
  }
}
