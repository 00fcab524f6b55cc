import APIModel
import KubeModel
import AgentService

/// What a Migration needs next. Pure: object and report in, decision out.
///
/// The stages are those of the status: "" → PreExecRule (with a pre rule) → Volumes → Applications → Final.
enum MigrationDecision: Hashable, Sendable {
  /// Being deleted: cancel the run unless it ended, then let the object go.
  case cancel
  /// The object can never work.
  case fail(String)
  /// Nothing has begun: check what the spec names.
  case begin
  /// Run the pre rule, for the first time or again after a restart.
  case preRule
  /// Choose the volumes and start the run.
  case start
  /// The engine does not know the run (any more): start it again with the same volumes.
  case restart
  /// The snapshots are taken, or never will be: run the post rule.
  case postRule(MigrationReport)
  /// Renew the status; look again soon.
  case progress(MigrationReport)
  /// The run of the volumes ended.
  case volumesEnded(MigrationReport)
  /// The volumes are done with: apply the objects at the peer.
  case resources(MigrationReport?)
  case nothing

  static func decide(_ object: KubeObject, report: MigrationReport?) -> MigrationDecision {
    if object.isDeleting { return object.finalizers.contains(Stork.finalizer) ? .cancel : .nothing }
    let stage = object.stage
    if stage == .final { return .nothing }
    // Whatever reads a wish below falls back to its default only where nothing was written.
    if let fault = ResourceKind.migration.storedFault(object) { return .fail(fault) }
    if stage == .applications { return .resources(report) }
    guard object.status["volumes"]?.array != nil else {
      if let fault = MigrationSpec(object).fault(ownNamespace: object.namespace) { return .fail(fault) }
      return stage == .notBegun ? .begin : stage == .preExecRule ? .preRule : .start
    }
    // With includeResources: false the objects of the volumes follow while the stage is still Volumes.
    if object.status["volumeMigrationFinishTimestamp"]?.string != nil { return .resources(report) }
    guard let report else { return .restart }
    if ExecRules(object).isPostDue, hasSnapshots(report) { return .postRule(report) }
    return report.state.isFinal ? .volumesEnded(report) : .progress(report)
  }

  /// Whether writers may go on: every volume of the run is snapshotted, or read to its end where that is its point in
  /// time, or the run is over.
  static func hasSnapshots(_ report: MigrationReport) -> Bool {
    report.state.isFinal
      || report.volumes.allSatisfy { volume in
        if volume.state.isFinal { return true }
        if volume.readsLive == true { return volume.stage >= .seal }
        return volume.stage > .snapshot
      }
  }
}

/// How far the rules of a Migration are: `status.execRules`, there only where rules are.
struct ExecRules: Hashable, Sendable {
  /// How far a rule is.
  enum Progress: String, Hashable, Sendable {
    case notRun = ""
    case running = "Running"
    case done = "Done"
    case failed = "Failed"
  }

  var pre: Progress
  var post: Progress
  var hasPost: Bool

  static let key = "execRules"

  init(_ object: KubeObject) {
    func progress(_ name: String) -> Progress {
      let word = object.json[path: ["status", Self.key, name]]?.string ?? ""
      // A rule of which nobody can say how far it is may have run: writers are let go on.
      return Progress(rawValue: word) ?? .running
    }
    pre = progress("preExecRule")
    post = progress("postExecRule")
    hasPost = !(object.spec["postExecRule"]?.string ?? "").isEmpty
  }

  /// Whether the post rule has not been run to its end, for a run that has begun.
  var isPostDue: Bool { hasPost && post != .done && post != .failed }

  /// Whether the pre rule may have stopped writers whom nobody has let go on since.
  var mustRelease: Bool { isPostDue && pre != .notRun }

  static func write(_ phase: RulePhase, _ progress: Progress, to object: inout KubeObject) {
    object.json[path: ["status", key, phase == .pre ? "preExecRule" : "postExecRule"]] = .string(progress.rawValue)
  }
}
