import APIModel
import KubeModel
import ReplModel
import AgentService

// The rules of a Migration: named hooks around the snapshots.
extension MigrationReconciler {
  /// Why a rule that the spec names cannot be run; nil when all can.
  func ruleFault(_ object: KubeObject) async throws(StatusError) -> String? {
    for phase in [RulePhase.pre, .post] where !Self.rule(object, phase).isEmpty {
      if case .failure(let error) = try await hooks(object, phase) {
        return "Error getting \(phase.word) \(Self.rule(object, phase)): \(error)"
      }
    }
    return nil
  }

  static func rule(_ object: KubeObject, _ phase: RulePhase) -> String {
    object.spec[phase == .pre ? "preExecRule" : "postExecRule"]?.string ?? ""
  }

  /// The hooks of a rule, all of them checked.
  private func hooks(_ object: KubeObject, _ phase: RulePhase) async throws(StatusError) -> Result<[String], ReplError>
  {
    let name = Self.rule(object, phase)
    let rule: KubeObject
    do { rule = try await store.get(.rule, namespace: object.namespace, name: name) } catch {
      guard error.code == 404 else { throw error }
      return .failure(
        ReplError(.notFound, subject: "rule \(object.namespace)/\(name)", cause: error.message))
    }
    do throws(ReplError) {
      let hooks = try RuleHooks.names(rule, directory: hooksDirectory)
      for hook in hooks { try runner.check(hook) }
      return .success(hooks)
    } catch { return .failure(error) }
  }

  /// Runs a rule in every namespace; how it failed, as the text of an event, or nil.
  ///
  /// A pre rule ends at the first failure, since nothing will be snapshotted. A post rule goes on: whoever stands still
  /// must be let go on, whatever became of the others.
  private func run(_ object: KubeObject, _ phase: RulePhase) async throws(StatusError) -> String? {
    let names: [String]
    switch try await hooks(object, phase) {
    case .failure(let error): return "Error running \(phase.word): \(error)"
    case .success(let found): names = found
    }
    var failures: [String] = []
    for namespace in try await chosenNamespaces(object) {
      for hook in names {
        let call = HookCall(
          hook: hook, rule: Self.rule(object, phase), phase: phase, namespace: namespace,
          migrationNamespace: object.namespace, migrationName: object.name)
        do throws(ReplError) { try await runner.run(call) } catch {
          failures.append("error executing \(phase.word) for namespace \(namespace): \(error)")
          guard phase == .post else { return Self.failure(phase, failures) }
        }
      }
    }
    return failures.isEmpty ? nil : Self.failure(phase, failures)
  }

  /// Failures as one text; of many, the first ones.
  private static func failure(_ phase: RulePhase, _ failures: [String]) -> String {
    let more = failures.count > 8 ? "; and \(failures.count - 8) more" : ""
    return "Error running \(phase.word): \(failures.prefix(8).joined(separator: "; "))\(more)"
  }

  /// The stage PreExecRule. A rule that a restart cut short is run again: hooks must bear that.
  func runPreRule(_ object: KubeObject) async throws(StatusError) -> Duration? {
    let begun = try await update(object) { new in
      new.set(.preExecRule, .inProgress)
      ExecRules.write(.pre, .running, to: &new)
    }
    guard !begun.isDeleting else { return nil }
    if let failure = try await run(begun, .pre) {
      try await fail(begun, failure, volumes: nil)
      return nil
    }
    let done = try await update(begun) { new in
      new.set(.volumes, .pending)
      ExecRules.write(.pre, .done, to: &new)
    }
    return done.isDeleting ? nil : try await start(done)
  }

  /// The post rule, once the snapshots are there. Its failure is the Migration's: the application may stand still.
  func runPostRule(_ object: KubeObject, _ report: MigrationReport) async throws(StatusError) -> Duration? {
    if let failure = try await run(object, .post) {
      do { try await service.cancelMigration(uid: object.uid) } catch {
        if error.kind != .notFound { throw StatusError(error) }
      }
      let marked = try await update(object) { ExecRules.write(.post, .failed, to: &$0) }
      let entries = MigrationStatus.merged(object.status["volumes"]?.array ?? [], report)
      let reasons = report.reason.isEmpty ? failure : "\(failure); \(report.reason)"
      try await fail(marked, reasons, volumes: entries.map { MigrationStatus.abandoned($0, because: failure) })
      return nil
    }
    try await update(object) { ExecRules.write(.post, .done, to: &$0) }
    return Self.shortestPoll
  }

  /// Lets writers go on that a pre rule may have stopped, when the Migration ends before its snapshots were taken.
  func release(_ object: KubeObject) async throws(StatusError) {
    guard ExecRules(object).mustRelease, let failure = try await run(object, .post) else { return }
    await events.record(object, warning: true, reason: "Failed", message: failure)
  }
}
