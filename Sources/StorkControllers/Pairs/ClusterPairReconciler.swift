import APIModel
import KubeModel
import ReplModel
import AgentService
import Synchronization

/// Keeps the engine's pairs as the ClusterPair objects say, and their status as the engine says.
final class ClusterPairReconciler: Reconciler {
  let kind = ResourceKind.clusterPair
  private let store: any KubeStore
  private let service: any ReplicationService
  private let events: EventRecorder
  /// By uid: the spec last given to the engine and the failures in a row since.
  private let attempts = Mutex<[String: Attempt]>([:])

  private struct Attempt {
    var spec: JSONValue
    var failures: Int
  }

  private static let probeInterval: Duration = .seconds(2)
  private static let retryInterval: Duration = .seconds(10)

  init(store: any KubeStore, service: any ReplicationService, events: EventRecorder) {
    self.store = store
    self.service = service
    self.events = events
  }

  func reconcile(_ key: ObjectKey) async throws(StatusError) -> Duration? {
    let object = try await store.get(kind, namespace: key.namespace, name: key.name)
    let report: PairReport?
    do { report = try await service.pairs().first { $0.reference.uid == object.uid } } catch {
      throw StatusError(error)
    }
    let attempted = attempts.withLock { $0[object.uid]?.spec }
    switch ClusterPairDecision.decide(object, report: report, attempted: attempted) {
    case .addFinalizer:
      try await addFinalizer(object)
      return nil
    case .end(let now): return try await end(object, now: now)
    case .notProvided:
      // The token was there before: without one the storage of this pair is nobody's.
      if report != nil {
        do { try await service.removePair(reference: Self.reference(object), now: false) } catch {
          throw StatusError(error)
        }
      }
      try await writeNotProvided(object)
      return nil
    case .unusable(let cause):
      try await write(object, storage: .error, scheduler: .error, peer: nil, reason: cause, kind: .invalid)
      return nil
    case .pair(let host, let port, let token, let mode):
      let request = PairRequest(
        reference: Self.reference(object), host: host, port: port, token: token, mode: mode)
      return try await pair(object, request)
    case .report(let state, let reason, let peer):
      try await write(object, state, peer: peer, reason: reason)
      return Self.probeInterval
    }
  }

  static func reference(_ object: KubeObject) -> ObjectReference {
    ObjectReference(kind: object.kind, namespace: object.namespace, name: object.name, uid: object.uid)
  }

  private func addFinalizer(_ object: KubeObject) async throws(StatusError) {
    _ = try await store.change(kind, namespace: object.namespace, name: object.name) {
      old in
      guard !old.finalizers.contains(Stork.finalizer) else { return old }
      var new = old
      new[metadata: "finalizers"] = .array((old.finalizers + [Stork.finalizer]).map(JSONValue.string))
      return new
    }
  }

  private func pair(_ object: KubeObject, _ request: PairRequest) async throws(StatusError) -> Duration? {
    do {
      let report = try await service.pair(request)
      attempts.withLock { $0[object.uid] = Attempt(spec: object.spec, failures: 0) }
      try await write(
        object, ClusterPairDecision.state(object, report), peer: report.peerClusterID, reason: report.reason)
      return Self.probeInterval
    } catch let error as ReplError {
      let failures = attempts.withLock { attempts in
        let failures = (attempts[object.uid]?.failures ?? 0) + 1
        attempts[object.uid] = Attempt(spec: .null, failures: failures)
        return failures
      }
      try await write(object, storage: .error, scheduler: .error, peer: nil, reason: "\(error)", kind: error.kind)
      return Self.delay(error.kind, failures: failures)
    } catch let error as StatusError { throw error } catch {
      throw StatusError(500, "InternalError", "\(error)")
    }
  }

  /// How long to wait after a failure: a peer may come back soon, a token does not get better by itself.
  static func delay(_ kind: ReplError.Kind, failures: Int) -> Duration {
    switch kind {
    case .transient, .io, .noSpace: .seconds(min(30, 1 << min(5, failures)))
    default: .seconds(60)
    }
  }

  private func end(_ object: KubeObject, now: Bool) async throws(StatusError) -> Duration? {
    guard object.finalizers.contains(Stork.finalizer) else { return nil }
    do {
      try await service.removePair(reference: Self.reference(object), now: now)
    } catch {
      if error.kind != .notFound {
        await events.record(
          object, warning: true, reason: "Deleting",
          message: PairConfig.redacted("Cluster Pair delete failed: \(error)", object))
        return Self.retryInterval
      }
    }
    attempts.withLock { $0[object.uid] = nil }
    _ = try await store.change(kind, namespace: object.namespace, name: object.name) {
      old in
      var new = old
      let rest = old.finalizers.filter { $0 != Stork.finalizer }
      new[metadata: "finalizers"] = rest.isEmpty ? nil : .array(rest.map(JSONValue.string))
      return new
    }
    return nil
  }

  private func write(_ object: KubeObject, _ state: PairState, peer: String, reason: String)
    async throws(StatusError)
  {
    try await write(
      object, storage: state, scheduler: state, peer: peer, reason: state == .ready ? "" : reason)
  }

  /// A pair without storage: all that can be said of its scheduler is whether the config has the right shape.
  private func writeNotProvided(_ object: KubeObject) async throws(StatusError) {
    switch PairConfig(object.spec) {
    case .absent: try await write(object, storage: .notProvided, scheduler: .notProvided, peer: nil, reason: "")
    case .wellFormed: try await write(object, storage: .notProvided, scheduler: .ready, peer: nil, reason: "")
    case .malformed(let cause):
      try await write(
        object, storage: .notProvided, scheduler: .error, peer: nil, reason: "spec.config: \(cause)", kind: .invalid)
    }
  }

  /// Writes the status and tells of a change; what did not change is neither written nor told.
  private func write(
    _ object: KubeObject, storage: PairState, scheduler: PairState, peer: String?, reason: String,
    kind cause: ReplError.Kind? = nil
  ) async throws(StatusError) {
    let shown = PairConfig.redacted(reason, object)
    var status = object.status.object ?? [:]
    status["storageStatus"] = .string(storage.rawValue)
    status["schedulerStatus"] = .string(scheduler.rawValue)
    status["remoteStorageId"] = peer.map(JSONValue.string) ?? status["remoteStorageId"] ?? ""
    status["reason"] = .string(shown)
    status["reasonKind"] = .string(cause.map { "\($0)" } ?? "")
    let wanted = JSONValue.object(status)
    guard object.json["status"] != wanted else { return }
    _ = try await store.change(kind, namespace: object.namespace, name: object.name) {
      old in
      guard old.uid == object.uid else { return old }
      var new = old
      new.json["status"] = wanted
      return new
    }
    for note in Self.told(object, storage: storage, scheduler: scheduler, reason: shown) {
      await events.record(object, note)
    }
  }

  /// What a change of the status is worth telling. Pure.
  static func told(_ object: KubeObject, storage: PairState, scheduler: PairState, reason: String) -> [EventNote] {
    let before = object.storage
    let isKnown = object.status["remoteStorageId"]?.string?.isEmpty == false
    guard before != storage || (object.status["reason"]?.string ?? "") != reason else { return [] }
    let config = PairConfig(object.spec)
    let used = config.message.map { message in
      EventNote(
        warning: config != .wellFormed, reason: config == .wellFormed ? "Config" : "Error", message: message)
    }
    switch storage {
    // The agent started, and the peer answers as it did before: nothing happened.
    case .ready where before == .pending && isKnown: return []
    case .ready:
      return [
        EventNote(warning: false, reason: "Ready", message: "Storage successfully paired"),
        EventNote(warning: false, reason: "Ready", message: "Scheduler successfully paired"),
      ] + [used].compactMap { $0 }
    case .pending: return []
    case .notProvided:
      return [
        EventNote(
          warning: false, reason: "NotProvided",
          message: "Skipping storage pairing since no storage options provided")
      ] + [used].compactMap { $0 }
    default: return [EventNote(warning: true, reason: storage.rawValue, message: reason)]
    }
  }
}
