import APIModel
import Foundation
import ReplModel
import ReplicationEngine
import Testing

@testable import KubeModel
@testable import KubeServer
@testable import ReplAgent
@testable import StorkControllers

@Suite("Rules of Migrations: named hooks around the snapshots")
struct MigrationRuleTests {
  /// A world with hooks that write what they are called with into a file, and the file.
  private func world(pre: String? = "freeze", post: String? = "thaw", finish: Bool = true) async throws -> (
    ScheduleWorld, String
  ) {
    let world = try await ScheduleWorld()
    try await world.prepare()
    await world.service.setFinishAtOnce(finish)
    let trace = world.hooks.path + "/trace"
    for name in ["freeze", "thaw"] {
      try hook(world, name, "echo \"$PHASE $RULE $NAMESPACE $MIGRATION_NAMESPACE/$MIGRATION_NAME\" >> \(trace)")
      try await rule(world, name, value: name)
    }
    var spec: JSONValue = ["clusterPair": "remotecluster", "namespaces": ["mysql"]]
    if let pre { spec["preExecRule"] = .string(pre) }
    if let post { spec["postExecRule"] = .string(post) }
    try await world.create(.migration, "mysql", "m", ["spec": spec])
    return (world, trace)
  }

  private func hook(_ world: ScheduleWorld, _ name: String, _ script: String, mode: Int = 0o700) throws {
    let path = world.hooks.path + "/" + name
    try ("#!/bin/sh\n" + script + "\n").write(toFile: path, atomically: false, encoding: .utf8)
    try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
  }

  private func rule(_ world: ScheduleWorld, _ name: String, value: String) async throws {
    try await world.create(
      .rule, "mysql", name,
      ["rules": [["podSelector": ["app": "mysql"], "actions": [["type": "command", "value": .string(value)]]]]])
  }

  private func lines(_ path: String) -> [String] {
    ((try? String(contentsOfFile: path, encoding: .utf8)) ?? "").split(separator: "\n").map(String.init)
  }

  private func status(_ world: ScheduleWorld) async throws -> JSONValue {
    try await world.object(.migration, "m").status
  }

  @Test("the pre rule runs before the snapshots, the post rule after them, each once")
  func both() async throws {
    let (world, trace) = try await world()
    try await world.settle()
    #expect(lines(trace) == ["pre freeze mysql mysql/m", "post thaw mysql mysql/m"])
    #expect(try await status(world)["status"] == "Successful")
    #expect(try await status(world)["execRules"] == ["preExecRule": "Done", "postExecRule": "Done"])
  }

  @Test("the post rule does not wait for the data to be shipped")
  func postAfterSnapshot() async throws {
    let (world, trace) = try await world(finish: false)
    try await world.settle()
    #expect(lines(trace).count == 2, "the run is at 'ship'")
    let running = try await status(world)
    #expect(running["stage"] == "Volumes" && running["status"] == "InProgress")
  }

  @Test("a run that fails after the pre rule runs the post rule all the same")
  func runFails() async throws {
    let (world, trace) = try await world()
    await world.service.failStarting(ReplError(.refused, subject: "volume", cause: "fenced"))
    try await world.settle()
    #expect(lines(trace) == ["pre freeze mysql mysql/m", "post thaw mysql mysql/m"])
    #expect(try await status(world)["status"] == "Failed")
  }

  @Test("a pre rule that fails is followed by the post rule, and no run")
  func preFails() async throws {
    let (world, trace) = try await world()
    try hook(world, "freeze", "echo no; exit 3")
    try await world.settle()
    let cause =
      "Error running PreExecRule: error executing PreExecRule for namespace mysql: hook freeze: exit status 3"
      + " (the agent's log has what it printed)"
    let final = try await status(world)
    #expect(final["status"] == "Failed" && final["reason"] == .string(cause))
    #expect(lines(trace) == ["post thaw mysql mysql/m"])
    #expect(await world.service.started.isEmpty)
    #expect(world.log.all.contains { $0.contains("hook ended") && $0.contains("no") })
  }

  @Test("a post rule that fails cancels the run and fails the Migration")
  func postFails() async throws {
    let (world, _) = try await world(pre: nil, finish: false)
    try hook(world, "thaw", "exit 1")
    try await world.settle()
    #expect(await world.service.cancelled.count == 1)
    let final = try await status(world)
    #expect(final["status"] == "Failed")
    #expect(final["reason"]?.string?.hasPrefix("Error running PostExecRule: error executing PostExecRule") == true)
    #expect(final["volumes"]?.array?.first?["status"] == "Failed")
  }

  @Test("a post rule that fails in one place goes on with the others, and tells of all failures")
  func postGoesOn() async throws {
    let world = try await ScheduleWorld()
    try await world.prepare()
    try await world.create(
      .clusterPair, "kube-system", "remotecluster",
      ["spec": ["options": ["ip": "h", "token": .string(FakeService.token)]]])
    try await world.settle()
    let trace = world.hooks.path + "/trace"
    for name in ["first", "second"] { try hook(world, name, "echo \(name) $NAMESPACE >> \(trace); exit 1") }
    try await world.create(
      .rule, "kube-system", "thaw",
      ["rules": [["actions": [["type": "command", "value": "first"], ["type": "command", "value": "second"]]]]])
    try await world.create(
      .migration, "kube-system", "m",
      ["spec": ["clusterPair": "remotecluster", "namespaces": ["default", "mysql"], "postExecRule": "thaw"]])
    try await world.settle()
    #expect(lines(trace) == ["first default", "second default", "first mysql", "second mysql"])
    let final = try await world.store.get(.migration, namespace: "kube-system", name: "m").status
    let reason = final["reason"]?.string ?? ""
    #expect(final["status"] == "Failed" && reason.contains("namespace default: hook first"))
    #expect(reason.contains("namespace mysql: hook second"))
  }

  @Test("nobody is made to stand still while another Migration has the volumes")
  func busyVolumes() async throws {
    let (world, trace) = try await world()
    let volume = try #require(await world.service.held.first?.id)
    await world.service.setBusy(volume, true)
    try await world.run(seconds: 60)
    #expect(lines(trace).isEmpty)
    #expect(await world.service.started.isEmpty)
    #expect(try await status(world)["reason"] == "waiting for another migration of the same volumes")
    #expect(try await world.told("m").isEmpty, "waiting for a turn is nothing to warn of")
    await world.service.setBusy(volume, false)
    try await world.run(seconds: 60)
    #expect(lines(trace) == ["pre freeze mysql mysql/m", "post thaw mysql mysql/m"])
    #expect(try await status(world)["status"] == "Successful")
  }

  @Test("deleting a Migration whose pre rule ran runs the post rule")
  func deleted() async throws {
    let (world, trace) = try await world()
    await world.service.failStarting(ReplError(.transient, subject: "peer", cause: "no answer"))
    _ = try await world.migrations.reconcile(ObjectKey(namespace: "mysql", name: "m"))
    #expect(lines(trace) == ["pre freeze mysql mysql/m", "post thaw mysql mysql/m"], "nobody is kept frozen meanwhile")
    _ = try await world.store.delete(.migration, namespace: "mysql", name: "m", options: DeleteOptions())
    try await world.settle()
    #expect(try await world.migrationNames.isEmpty)
  }

  @Test("an agent that ends in the middle of the pre rule runs it again, and then the post rule")
  func restartInPreRule() async throws {
    let (world, trace) = try await world()
    try await world.change(
      .migration, "m", "status",
      ["stage": "PreExecRule", "status": "InProgress", "execRules": ["preExecRule": "Running"]])
    world.restart()
    try await world.settle()
    #expect(lines(trace) == ["pre freeze mysql mysql/m", "post thaw mysql mysql/m"])
    #expect(try await status(world)["status"] == "Successful")
  }

  @Test("a process that ends at any write lets writers go on in the end, and the Migration succeeds")
  func everyWrite() async throws {
    for written in [false, true] {
      for last in 1...8 {
        let (world, trace) = try await world()
        world.door.live(until: last, written: written)
        try await world.settle()
        world.door.live(until: nil)
        world.restart()
        try await world.settle()
        let calls = lines(trace).map { $0.prefix(4) }
        let place = "write \(last), \(written ? "durable" : "lost"): \(calls)"
        #expect(try await status(world)["status"] == "Successful", "\(place)")
        #expect(calls.first == "pre " && calls.last == "post" && calls.count <= 3, "\(place)")
        #expect(await world.service.started.count <= 2, "asked again for the same run: \(place)")
      }
    }
  }

  @Test("a rule that is missing ends the Migration before anything is touched, by the right name")
  func missingRule() async throws {
    let (world, trace) = try await world(post: "nosuch")
    try await world.settle()
    let reason = try await status(world)["reason"]?.string ?? ""
    #expect(reason.hasPrefix("Error getting PostExecRule nosuch: rule mysql/nosuch: rules.stork.libopenstorage.org"))
    #expect(lines(trace).isEmpty)
    #expect(await world.service.started.isEmpty)
  }

  @Test("free shell text is refused with the remedy and is not repeated")
  func shellText() async throws {
    let (world, _) = try await world(pre: "shell", post: nil)
    try await rule(world, "shell", value: "mysql -psecret4711 -e 'flush tables'")
    try await world.settle()
    let reason = try await status(world)["reason"]?.string ?? ""
    #expect(reason.contains("not the name of a hook") && reason.contains(world.hooks.path))
    #expect(try await world.told("m").allSatisfy { !$0.contains("secret4711") })
    #expect(world.log.all.allSatisfy { !$0.contains("secret4711") })
  }

  @Test("names of hooks have no path in them", arguments: ["../x", "a/b", "", ".hidden", "a b", "a;b", "$(x)"])
  func names(_ text: String) { #expect(!RuleHooks.isName(text)) }

  @Test("a hook that others could have written is refused")
  func writableHook() async throws {
    let (world, _) = try await world()
    try hook(world, "freeze", "true", mode: 0o772)
    try await world.settle()
    #expect(try await status(world)["reason"]?.string?.contains("its group or others may write to it") == true)
    let directory = HookDirectory(path: world.hooks.path, owner: getuid(), logger: world.log.logger)
    try hook(world, "plain", "true", mode: 0o600)
    for (name, cause) in [("plain", "is not executable"), ("gone", "No such file"), ("../x", "not the name of a file")]
    {
      do throws(ReplError) {
        try directory.check(name)
        Issue.record("\(name) was accepted")
      } catch { #expect("\(error)".contains(cause)) }
    }
    try FileManager.default.createSymbolicLink(
      atPath: world.hooks.path + "/link", withDestinationPath: world.hooks.path + "/thaw")
    #expect(throws: ReplError.self) { try directory.check("link") }
    let foreign = HookDirectory(path: world.hooks.path, owner: getuid() + 1, logger: world.log.logger)
    #expect(throws: ReplError.self) { try foreign.check("thaw") }
  }
}

@Suite("Hooks as processes")
struct HookProcessTests {
  private func run(_ script: String, environment: [String] = ["A=1"], limit: Double = 20) async throws
    -> HookProcess.Outcome
  {
    let directory = try TemporaryDirectory()
    let path = directory.path + "/hook"
    try ("#!/bin/sh\n" + script + "\n").write(toFile: path, atomically: false, encoding: .utf8)
    try FileManager.default.setAttributes([.posixPermissions: 0o700], ofItemAtPath: path)
    let process = HookProcess(path: path, environment: environment, timeLimit: limit)
    let outcome = try await blocking { try process.run() }
    _ = directory
    return outcome
  }

  @Test("they get the given environment and nothing of the agent's, no input and no open files")
  func surroundings() async throws {
    let outcome = try await run("env | grep -v -e ^PWD= -e ^SHLVL= -e ^_= -e ^OLDPWD=; cat; ls /proc/self/fd | wc -l")
    #expect(outcome.failure == nil)
    // Besides the three, ls has the directory open that it lists.
    #expect(outcome.output == "A=1\n4\n")
  }

  @Test("their end is told in words, and both outputs are kept up to a bound")
  func ends() async throws {
    let failed = try await run("echo out; echo err >&2; exit 7")
    #expect(failed.failure == "exit status 7" && failed.output == "out\nerr\n")
    #expect(try await run("kill -9 $$").failure == "was killed by signal 9")
    let loud = try await run("head -c 1000000 /dev/zero | tr '\\0' x")
    #expect(loud.failure == nil && loud.output.utf8.count == 16_384)
  }

  @Test("one that takes too long is ended with all that it started")
  func timeLimit() async throws {
    let outcome = try await run("sleep 600 & sleep 600", limit: 0.2)
    #expect(outcome.failure?.hasPrefix("did not end within 0.2 seconds") == true)
  }

  @Test("what one leaves running on purpose does not hold up the Migration")
  func leftBehind() async throws {
    let outcome = try await run("sleep 1000 & echo $!")
    #expect(outcome.failure == nil, "waiting for it would have taken longer than the hook may")
    let left = try #require(pid_t(outcome.output.trimmingCharacters(in: .newlines)))
    #expect(kill(left, SIGKILL) == 0, "and it was left alone")
  }
}
