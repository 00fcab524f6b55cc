import APIModel
import ReplModel
import ReplicationEngine

/// The sending end: collects and prepares the objects of a Migration, and has the peer's control plane apply them.
struct ResourceMigrator: ResourcePhase {
  /// Bytes of objects in one document; a larger object than ``objectLimit`` does not travel.
  private static let batchBytes = 2 << 20
  private static let objectLimit = 4 << 20

  private let store: any ObjectStore
  private let service: any ReplicationService
  private let clock: @Sendable () -> Int64

  init(store: any ObjectStore, service: any ReplicationService, clock: @escaping @Sendable () -> Int64) {
    self.store = store
    self.service = service
    self.clock = clock
  }

  func run(_ request: ResourceRequest) async throws(ReplError) -> [ResourceResult] {
    let wishes = ResourceWishes(request.migration)
    let preparation = ResourcePreparation(
      wishes: wishes, migrationName: request.migration.name, migrationNamespace: request.migration.namespace,
      now: clock())
    let collector = ResourceCollector(store: store, preparation: preparation)
    let objects: [TravellingObject]
    var document: ResourceDocument
    do throws(StatusError) {
      objects = try await collector.collect(namespaces: request.namespaces)
      document = ResourceDocument(
        migration: ObjectName(
          kind: request.migration.kind, namespace: request.migration.namespace, name: request.migration.name),
        startApplications: wishes.startApplications, namespaces: try await collector.namespaces(request.namespaces),
        volumes: Self.volumes(objects, request.volumes), items: [])
    } catch { throw Self.error(error) }
    var (batches, results) = Self.batches(objects)
    // Without an object there is nothing to apply, but perhaps something to purge.
    if batches.isEmpty, wishes.purgeDeletedResources { batches = [[]] }
    for (index, batch) in batches.enumerated() {
      document.items = batch
      results += try await send(document, request.pair)
      guard index == batches.count - 1, wishes.purgeDeletedResources else { continue }
      document.items = []
      do throws(StatusError) {
        document.existing = try await collector.existing(namespaces: request.namespaces)
      } catch { throw Self.error(error) }
      results += try await send(document, request.pair)
    }
    return results
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

  /// Objects in documents of bounded size, in the same order; the failures are those that are too large for any. Pure.
  static func batches(_ objects: [TravellingObject]) -> (batches: [[TravellingObject]], failed: [ResourceResult]) {
    var batches: [[TravellingObject]] = []
    var failed: [ResourceResult] = []
    var room = 0
    for item in objects {
      let size = JSONWriter.bytes(item.object.json).count
      guard size <= objectLimit else {
        failed.append(.failed(item.object, "has \(size) bytes, at most \(objectLimit) can be sent"))
        continue
      }
      if room < size || (batches.last?.count ?? ResourceDocument.itemLimit) >= ResourceDocument.itemLimit {
        batches.append([])
        room = max(batchBytes, size)
      }
      batches[batches.count - 1].append(item)
      room -= size
    }
    return (batches, failed)
  }

  private static func error(_ error: StatusError) -> ReplError {
    let kind: ReplError.Kind = error.code == 422 ? .invalid : error.code >= 500 ? .io : .refused
    return ReplError(kind, subject: "objects of this cluster", cause: error.message)
  }
}

extension ResourceMigrator: PeerSchedules {
  func state(namespace: String, name: String, pair: ObjectReference) async throws(ReplError) -> PeerScheduleState {
    let request: JSONValue = [
      "version": .integer(PeerTopic.version), "operation": .string(ScheduleCopies.Operation.state.rawValue),
      "namespace": .string(namespace), "name": .string(name),
    ]
    let answer = try await exchange(request, pair)
    let copy: PeerScheduleState.Copy =
      switch answer["copy"]?.string {
      case "missing": .missing
      case "copy": .copy
      default: .foreign
      }
    return PeerScheduleState(copy: copy, applicationActivated: answer["applicationActivated"]?.bool ?? false)
  }

  func put(_ schedule: KubeObject, pair: ObjectReference) async throws(ReplError) {
    var namespace = ResourceKind.namespace.object(name: schedule.namespace)
    do throws(StatusError) {
      let original = try await store.get(.namespace, namespace: "", name: schedule.namespace)
      namespace.setMap("labels", MigrationMark.travelling(labels: original.labels))
      namespace.setMap("annotations", MigrationMark.travelling(original.annotations))
    } catch {
      guard error.code == 404 else { throw Self.error(error) }
    }
    _ = try await exchange(
      [
        "version": .integer(PeerTopic.version), "operation": .string(ScheduleCopies.Operation.put.rawValue),
        "schedule": schedule.json, "namespace": namespace.json,
      ], pair)
  }

  private func exchange(_ json: JSONValue, _ pair: ObjectReference) async throws(ReplError) -> JSONValue {
    let document = PeerDocument(topic: PeerTopic.schedule, body: try PeerTopic.bytes(json))
    return try PeerTopic.json(
      try await service.exchange(document, pair: pair), "the peer's answer to a document of schedules")
  }
}
