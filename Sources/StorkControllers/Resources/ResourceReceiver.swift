import APIModel
import KubeModel
import ReplModel
import AgentService

/// The receiving end: applies what a peer's control plane sends, under this end's rules.
struct ResourceReceiver: PeerDocumentResponder {
  private let store: any KubeStore
  private let service: any ReplicationService

  init(store: any KubeStore, service: any ReplicationService) {
    self.store = store
    self.service = service
  }

  func answer(_ document: PeerDocument, from cluster: String) async throws(ReplError) -> [UInt8] {
    switch document.topic {
    case PeerTopic.resources: return try await ResourceAnswer.bytes(apply(ResourceDocument(document.body), cluster))
    case PeerTopic.schedule:
      let copies = ScheduleCopies(
        store: store, cluster: cluster, acceptsClusterResources: try await acceptsClusterResources(cluster))
      return try await copies.answer(document.body)
    default:
      throw ReplError(
        .refused, subject: "document \(document.topic)", cause: "is of a topic this agent does not know",
        remedy: "update this agent")
    }
  }

  private func acceptsClusterResources(_ cluster: String) async throws(ReplError) -> Bool {
    do throws(StatusError) {
      return ReceivingRules.accepts(try await store.list(.clusterPair).items, from: cluster)
    } catch { throw ReplError(.io, subject: "cluster pairs", cause: error.message) }
  }

  private func apply(_ document: ResourceDocument, _ cluster: String) async throws(ReplError) -> [ResourceResult] {
    let rules = ReceivingRules(
      cluster: cluster, acceptsClusterResources: try await acceptsClusterResources(cluster),
      namespaces: Set(document.namespaces.map(\.name)))
    if let existing = document.existing {
      return try await ResourcePurge(store: store, rules: rules).run(existing: Set(existing))
    }
    var results: [ResourceResult] = []
    let applier = ResourceApplier(store: store, rules: rules)
    await applier.ensureNamespaces(document)
    let volumes = VolumeApplier(
      store: store, service: service, applier: applier, held: try await service.volumes(), cluster: cluster)
    let live = try await volumes.promote(document)
    for item in document.items {
      // What is done is done: the sender asks again, and equal objects cost nothing.
      guard !Task.isCancelled else {
        throw ReplError(.transient, subject: "resources of \(cluster)", cause: "the document is waited for no longer")
      }
      results.append(await apply(item, applier, volumes, live))
    }
    return results
  }

  private func apply(
    _ item: TravellingObject, _ applier: ResourceApplier, _ volumes: VolumeApplier, _ live: VolumeApplier.Promotions
  ) async -> ResourceResult {
    if item.volume != nil { return await volumes.apply(item, live) }
    guard item.object.kind != ResourceKind.persistentVolume.kind,
      item.object.kind != ResourceKind.persistentVolumeClaim.kind
    else { return .failed(item.object, "names no volume of an agent: paths of another cluster are not accepted") }
    guard let reason = live.failure else { return await applier.apply(item.object) }
    return await applier.apply(stopped(item.object), because: reason)
  }

  /// A workload that must not run because a volume of its Migration is not live; anything else as it is.
  private func stopped(_ object: KubeObject) -> KubeObject {
    var stopped = object
    switch MigratedKinds.kind(of: object, in: MigratedKinds.namespaced)?.resource {
    case let resource? where MigratedKinds.scaled.contains(resource):
      ResourcePreparation.scaleDown(&stopped, from: ResourcePreparation.replicas(of: object))
    case ResourceKind.cronJob.resource: ResourcePreparation.suspend(&stopped)
    default: return object
    }
    // Another object than the one that was prepared: it must differ from the next, which may start.
    var annotations = stopped.annotations
    annotations[MigrationMark.hash] = ResourceHash.text(of: stopped)
    stopped.setMap("annotations", annotations)
    return stopped
  }
}
