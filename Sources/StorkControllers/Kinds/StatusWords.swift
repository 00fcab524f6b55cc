import AgentService
import APIModel

/// The stages of a Migration, in their order: `status.stage`.
enum MigrationStage: String, Hashable, Sendable, CaseIterable {
  case notBegun = ""
  case preExecRule = "PreExecRule"
  /// Not used by this version, which runs post rules beside the transfer.
  case postExecRule = "PostExecRule"
  case volumes = "Volumes"
  case applications = "Applications"
  case final = "Final"
}

/// How a Migration, one of its volumes or a run of a schedule stands: `status.status`, in the order of metrics.
enum MigrationWord: String, Hashable, Sendable, CaseIterable {
  case none = ""
  case pending = "Pending"
  case inProgress = "InProgress"
  case failed = "Failed"
  case partialSuccess = "PartialSuccess"
  case successful = "Successful"
  case purged = "Purged"

  init(_ state: RunState) {
    self =
      switch state {
      case .pending, .running: .inProgress
      case .succeeded: .successful
      case .failed, .cancelled: .failed
      }
  }

  /// Whether nothing more comes for a volume, or for a request to switch a domain.
  var hasEnded: Bool { self == .successful || self == .failed }
}

/// How one side of a ClusterPair stands: `status.storageStatus` and `status.schedulerStatus`, in the order of metrics.
enum PairState: String, Hashable, Sendable, CaseIterable {
  case none = ""
  /// The agent has just started and has not asked the peer yet.
  case pending = "Pending"
  case ready = "Ready"
  case error = "Error"
  /// It was ready once; the peer does not answer now.
  case degraded = "Degraded"
  case deleting = "Deleting"
  /// There is no storage, and so no agent, on the other side.
  case notProvided = "NotProvided"

  /// Whether a pair is new, or not contacted yet after a start of the agent: nothing to warn of.
  var isNew: Bool { self == .none || self == .pending }
}

// A word that is none of them is nil: whoever reads it decides what that means.
extension KubeObject {
  /// Of a Migration; of an Action no stage but the last one is known here.
  var stage: MigrationStage? { MigrationStage(rawValue: status["stage"]?.string ?? "") }
  /// Of a Migration or a ClusterDomainUpdate.
  var word: MigrationWord? { MigrationWord(rawValue: status["status"]?.string ?? "") }
  /// Of a ClusterPair.
  var storage: PairState? { PairState(rawValue: status["storageStatus"]?.string ?? "") }
  /// Of a ClusterPair.
  var scheduler: PairState? { PairState(rawValue: status["schedulerStatus"]?.string ?? "") }

  /// Sets both words of a Migration.
  mutating func set(_ stage: MigrationStage, _ word: MigrationWord) {
    json[at: "status.stage"] = .string(stage.rawValue)
    self.set(word)
  }

  mutating func set(_ word: MigrationWord) { json[at: "status.status"] = .string(word.rawValue) }
}

// An entry of `status.volumes`.
extension JSONValue {
  var volumeWord: MigrationWord? { MigrationWord(rawValue: self["status"]?.string ?? "") }

  mutating func set(_ word: MigrationWord) { self["status"] = .string(word.rawValue) }
}

/// Why a Migration has to wait.
struct Obstacle: Error, Hashable, Sendable {
  /// For `status.reason`.
  var text: String
  /// Whether it passes by itself, and is nothing to warn of.
  var isRoutine = false
}
