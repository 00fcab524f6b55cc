import APIModel
import ReplModel
import ReplicationEngine

// The rules of a Migration: named hooks around the snapshots.
extension MigrationReconciler {
  /// Why a rule that the spec names cannot be run; nil when all can.
  func ruleFault(_ object: KubeObject) async throws(StatusError) -> String? {
    for phase in [RulePhase.pre, .post] {
      let name = Self.rule(object, phase)
      guard !name.isEmpty else { continue }
      do { _ = try await calls(object, phase, namespaces: [""]) } catch {
        if error.kind == .io { throw StatusError(error) }
        return "Error getting \(phase.word) \(name): \(error)"
      }
    }
    return nil
  }

  static func rule(_ object: KubeObject, _ phase: RulePhase) -> String {
    object.spec[phase == .pre ? "preExecRule" : "postExecRule"]?.string ?? ""
  }

  /// What a rule runs, namespace by namespace; every hook is checked.
  private func calls(_ object: KubeObject, _ phase: RulePhase, namespaces: [String]) async throws(ReplError)
    -> [HookCall]
  {
    let name = Self.rule(object, phase)
    let rule: KubeObject
    do { rule = try await store.get(.rule, namespace: object.namespace, name: name) } catch {
      throw ReplError(
        error.code == 404 ? .notFound : .io, subject: "rule \(object.namespace)/\(name)", cause: error.message)
    }
    let hooks = try RuleHooks.names(rule, directory: hooksDirectory)
    for hook in hooks { try runner.check(hook) }
    return namespaces.flatMap { namespace in
      hooks.map { hook in
        HookCall(
          hook: hook, rule: name, phase: phase, namespace: namespace, migrationNamespace: object.namespace,
          migrationName: object.name)
      }
    }
  }

  /// Runs a rule in every namespace; how it failed, as the text of an event, or nil.
  private func run(_ object: KubeObject, _ phase: RulePhase) async -> String? {
    let namespaces: [String]
    do { namespaces = try await self.namespaces(object).found } catch {
      return "Error running \(phase.word): \(error.message)"
    }
    for namespace in namespaces {
      do {
        for call in try await calls(object, phase, namespaces: [namespace]) { try await runner.run(call) }
      } catch {
        return "Error running \(phase.word): error executing \(phase.word) for namespace \(namespace): \(error)"
      }
    }
    return nil
  }

  /// The stage PreExecRule. A rule that a restart cut short is run again: hooks must bear that.
  func runPreRule(_ object: KubeObject) async throws(StatusError) -> Duration? {
    let begun = try await update(object) { new in
      new.json[at: "status.stage"] = "PreExecRule"
      new.json[at: "status.status"] = "InProgress"
      ExecRules.write(.pre, "Running", to: &new)
    }
    guard !begun.isDeleting else { return nil }
    if let failure = await run(begun, .pre) {
      try await fail(begun, failure, volumes: nil)
      return nil
    }
    let done = try await update(begun) { new in
      new.json[at: "status.stage"] = "Volumes"
      new.json[at: "status.status"] = "Pending"
      ExecRules.write(.pre, "Done", to: &new)
    }
    return done.isDeleting ? nil : try await start(done)
  }

  /// The post rule, once the snapshots are there. Its failure is the Migration's: the application may stand still.
  func runPostRule(_ object: KubeObject, _ report: MigrationReport) async throws(StatusError) -> Duration? {
    if let failure = await run(object, .post) {
      do { try await service.cancelMigration(uid: object.uid) } catch {
        if error.kind != .notFound { throw StatusError(error) }
      }
      let marked = try await update(object) { ExecRules.write(.post, "Failed", to: &$0) }
      let entries = MigrationStatus.merged(object.status["volumes"]?.array ?? [], report)
      let reasons = report.reason.isEmpty ? failure : "\(failure); \(report.reason)"
      try await fail(marked, reasons, volumes: entries.map { MigrationStatus.abandoned($0, because: failure) })
      return nil
    }
    try await update(object) { ExecRules.write(.post, "Done", to: &$0) }
    return Self.shortestPoll
  }

  /// Lets writers go on that a pre rule may have stopped, when the Migration ends before its snapshots were taken.
  func release(_ object: KubeObject) async {
    guard ExecRules(object).mustRelease, let failure = await run(object, .post) else { return }
    await events.record(object, warning: true, reason: "Failed", message: failure)
  }
}
