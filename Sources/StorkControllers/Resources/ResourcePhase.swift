import APIModel
import KubeModel
import ReplModel
import AgentService

/// What the resources phase of a Migration needs to know.
struct ResourceRequest: Sendable {
  /// The Migration object; its spec says what is wanted.
  var migration: KubeObject
  var pair: ObjectReference
  /// Namespaces to take along, after selectors and the admin rule, ascending.
  var namespaces: [String]
  /// The volumes the run has sealed, for PV, PVC and `startApplications`; empty with `includeVolumes: false`.
  var volumes: [VolumeRunReport]
}

/// One entry of `status.resources`.
struct ResourceResult: Hashable, Sendable {
  /// What became of the object, in the words of the status.
  enum State: String, Hashable, Sendable {
    case successful = "Successful"
    case failed = "Failed"
    case purged = "Purged"
  }

  var name: String
  var namespace: String
  /// `core` for the core group.
  var group: String
  var version: String
  var kind: String
  var status: State
  var reason: String
}

/// What the resources phase has done.
struct ResourceOutcome: Hashable, Sendable {
  /// One for each object that was to be applied, then those that were purged.
  var results: [ResourceResult]
  /// Why objects that are gone were not, or not all, purged; nil if nothing is left to purge.
  var purgeFailure: String?
  /// What else is to be said; nil if nothing.
  var note: String?
}

/// The resources phase: collects the objects of a Migration, prepares them, has the peer apply them under its rules.
protocol ResourcePhase: Sendable {
  /// One result per object. Idempotent: a Migration that goes on after a restart asks again.
  ///
  /// - Throws: `.transient` when the peer cannot be reached (try again), anything else ends the Migration as failed:
  ///   nothing has been applied then.
  func run(_ request: ResourceRequest) async throws(ReplError) -> ResourceOutcome
}

/// What the peer's control plane knows of a MigrationSchedule of the same namespace and name.
struct PeerScheduleState: Hashable, Sendable {
  enum Copy: Hashable, Sendable {
    case missing
    /// A copy that a source schedule has put there.
    case copy
    /// An object of its own that stands in the way.
    case foreign
  }
  var copy: Copy
  /// The applications have been activated there.
  var applicationActivated: Bool
}

/// The static copies of schedules at a peer.
protocol PeerSchedules: Sendable {
  func state(namespace: String, name: String, pair: ObjectReference) async throws(ReplError) -> PeerScheduleState
  /// Makes or renews the copy: status emptied, suspended, annotated as static copy, in a namespace made if missing.
  func put(_ schedule: KubeObject, pair: ObjectReference) async throws(ReplError)
}
