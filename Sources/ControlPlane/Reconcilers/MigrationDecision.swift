import APIModel
import ReplicationEngine

/// What a Migration needs next. Pure: object and report in, decision out.
enum MigrationDecision: Hashable, Sendable {
  /// Being deleted: cancel the run unless it ended, then let the object go.
  case cancel
  /// The object can never work.
  case fail(String)
  /// Choose the volumes and start the run.
  case start
  /// The engine does not know the run (any more): start it again with the same volumes.
  case restart
  /// Renew the status; look again soon.
  case progress(MigrationReport)
  /// The run ended.
  case finish(MigrationReport)
  case nothing

  static func decide(_ object: KubeObject, report: MigrationReport?) -> MigrationDecision {
    if object.isDeleting { return object.finalizers.contains(Stork.finalizer) ? .cancel : .nothing }
    if object.status["stage"]?.string == "Final" { return .nothing }
    guard object.status["volumes"]?.array != nil else {
      return MigrationSpec(object).fault(ownNamespace: object.namespace).map { .fail($0) } ?? .start
    }
    guard let report else { return .restart }
    return report.state.isFinal ? .finish(report) : .progress(report)
  }
}
