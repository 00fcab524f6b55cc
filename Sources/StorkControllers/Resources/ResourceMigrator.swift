import APIModel
import KubeModel
import ReplModel
import AgentService

/// The sending end: chooses the objects of a Migration, and has the peer's control plane apply them, a document after the
/// other. No more objects than those of one document are in memory.
struct ResourceMigrator: ResourcePhase {
  private let store: any KubeStore
  private let service: any ReplicationService
  private let clock: @Sendable () -> Int64

  init(store: any KubeStore, service: any ReplicationService, clock: @escaping @Sendable () -> Int64) {
    self.store = store
    self.service = service
    self.clock = clock
  }

  func run(_ request: ResourceRequest) async throws(ReplError) -> ResourceOutcome {
    let wishes = ResourceWishes(request.migration)
    let preparation = ResourcePreparation(
      wishes: wishes, migrationName: request.migration.name, migrationNamespace: request.migration.namespace,
      now: clock())
    let collector = ResourceCollector(store: store, preparation: preparation)
    let objects: [ChosenObject]
    let document: ResourceDocument
    do throws(StatusError) {
      objects = try await collector.choose(namespaces: request.namespaces)
      document = ResourceDocument(
        migration: ObjectName(
          kind: request.migration.kind, namespace: request.migration.namespace, name: request.migration.name),
        startApplications: wishes.startApplications, namespaces: try await collector.namespaces(request.namespaces),
        volumes: Self.volumes(objects.map(\.item), request.volumes), items: [])
    } catch { throw Self.error(error) }
    let outcome: ResourceOutcome
    do throws(ReplError) {
      outcome = ResourceOutcome(results: try await apply(objects, collector, document, request.pair))
    } catch {
      guard error.kind == .unsupported, !wishes.startApplications else { throw error }
      return Self.without(objects.map(\.item), error)
    }
    guard wishes.purgeDeletedResources else { return outcome }
    return try await purge(document, request, collector, outcome)
  }

  /// A peer that keeps recovery points and no objects is as good for volumes, whose objects it has no use for; anything
  /// else that was to travel has failed. Pure.
  static func without(_ objects: [TravellingObject], _ error: ReplError) -> ResourceOutcome {
    let volumes = [ResourceKind.persistentVolume.kind, ResourceKind.persistentVolumeClaim.kind]
    let others = objects.filter { !volumes.contains($0.object.kind) }
    return ResourceOutcome(
      results: others.map { .failed($0.object, "\(error)") }, note: "only volumes were migrated: \(error)")
  }

  /// Has the peer apply all objects. Once it has answered one document, what goes wrong with another concerns the objects
  /// of that one.
  private func apply(
    _ objects: [ChosenObject], _ collector: ResourceCollector, _ document: ResourceDocument, _ pair: ObjectReference
  ) async throws(ReplError) -> [ResourceResult] {
    var document = document
    var results: [ResourceResult] = []
    var (rest, hasAnswered) = (objects[...], false)
    while !rest.isEmpty {
      let batch = try await Self.next(&rest, collector)
      results += batch.failed
      guard !batch.items.isEmpty else { continue }
      document.items = batch.items
      do throws(ReplError) {
        results += Self.matched(try await send(document, pair), to: batch.items)
        hasAnswered = true
      } catch {
        guard error.kind != .transient, hasAnswered else { throw error }
        results += batch.items.map { .failed($0.object, "\(error)") }
      }
    }
    return results
  }

  /// Reads what one document takes of the objects that are left.
  private static func next(
    _ rest: inout ArraySlice<ChosenObject>, _ collector: ResourceCollector
  ) async throws(ReplError) -> ResourceBatch {
    var batch = ResourceBatch()
    do throws(StatusError) {
      while let chosen = rest.first {
        if let item = try await collector.read(chosen), !batch.take(item) { return batch }
        rest.removeFirst()
      }
    } catch { throw Self.error(error) }
    return batch
  }

  /// Has the peer delete what is gone here. Objects that were applied stay so, whatever comes of it.
  private func purge(
    _ document: ResourceDocument, _ request: ResourceRequest, _ collector: ResourceCollector, _ outcome: ResourceOutcome
  ) async throws(ReplError) -> ResourceOutcome {
    var document = document
    var outcome = outcome
    do throws(ReplError) {
      do throws(StatusError) {
        document.existing = try await collector.existing(namespaces: request.namespaces)
      } catch { throw Self.error(error) }
      outcome.results += try await send(document, request.pair)
    } catch {
      if error.kind == .transient { throw error }
      outcome.purgeFailure = "\(error)"
    }
    return outcome
  }

  /// One result for each object that was sent, in that order, whatever the peer says of others. Pure.
  static func matched(_ answers: [ResourceResult], to items: [TravellingObject]) -> [ResourceResult] {
    func name(_ kind: String, _ namespace: String, _ name: String) -> ObjectName {
      ObjectName(kind: kind, namespace: namespace, name: name)
    }
    let found = Dictionary(
      answers.map { (name($0.kind, $0.namespace, $0.name), $0) }, uniquingKeysWith: { first, _ in first })
    return items.map { item in
      let object = item.object
      guard let answer = found[name(object.kind, object.namespace, object.name)] else {
        return .failed(object, "the peer did not answer for it")
      }
      let applied = answer.status == .successful
      return ResourceResult(object, applied ? .successful : .failed, answer.reason)
    }
  }

  private func send(_ document: ResourceDocument, _ pair: ObjectReference) async throws(ReplError) -> [ResourceResult] {
    let body = try PeerTopic.bytes(document.json)
    return try ResourceAnswer.results(
      try await service.exchange(PeerDocument(topic: PeerTopic.resources, body: body), pair: pair))
  }

  /// Every volume that an object stands for or the run has shipped, ascending, with the point of the run. Pure.
  static func volumes(_ objects: [TravellingObject], _ reports: [VolumeRunReport]) -> [TravellingVolume] {
    var points: [VolumeID: PointID] = [:]
    var all = Set(objects.compactMap(\.volume))
    for report in reports {
      guard let volume = VolumeID(report.volume) else { continue }
      all.insert(volume)
      points[volume] = PointID(report.point)
    }
    return all.sorted().map { TravellingVolume(volume: $0, point: points[$0]) }
  }

  static func error(_ error: StatusError) -> ReplError {
    let kind: ReplError.Kind = error.code == 422 ? .invalid : error.code >= 500 ? .io : .refused
    return ReplError(kind, subject: "objects of this cluster", cause: error.message)
  }
}
