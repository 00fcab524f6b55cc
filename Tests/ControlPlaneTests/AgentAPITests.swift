import AgentService
import APIModel
import Foundation
import ReplModel
import ReplicationEngine
import TestSupport
import Testing

@testable import KubeModel
@testable import KubeServer
@testable import ReplAgent
@testable import StorkControllers
@testable import ReplCtl

@Suite struct AgentAPITests {
  @Test func aVolumeComesWithItsObjects() async throws {
    let plane = try await PlaneFixture()
    let report = try await plane.send(
      "POST", "agent/v1/volumes", body: ["namespace": "shop", "name": "db", "size": "4Gi"])
    #expect(report["sizeBytes"] == .integer(4 << 30) && report["role"] == "source")
    let claim = try await plane.wait("api/v1/namespaces/shop/persistentvolumeclaims/db") {
      $0[at: "status.phase"] == "Bound"
    }
    #expect(claim[at: "status.capacity.storage"] == "4Gi")
    let name = try #require(claim[at: "spec.volumeName"]?.string)
    let volume = try await plane.wait("api/v1/persistentvolumes/\(name)") { $0[at: "status.phase"] == "Bound" }
    #expect(volume[at: "spec.local.path"] == report["path"])
    #expect(volume[at: "spec.storageClassName"] == "repl-agent")
    try await plane.stop()
  }

  @Test func deletingObjectsLeavesTheVolumeAndDeletingTheVolumeTakesTheObjects() async throws {
    let plane = try await PlaneFixture()
    _ = try await plane.send("POST", "agent/v1/volumes", body: ["namespace": "shop", "name": "db", "size": 4096])
    let claims = "api/v1/namespaces/shop/persistentvolumeclaims"
    let claim = try await plane.wait("\(claims)/db") { $0[at: "status.phase"] == "Bound" }
    _ = try await plane.send("DELETE", "\(claims)/db")
    let name = try #require(claim[at: "spec.volumeName"]?.string)
    _ = try await plane.wait("api/v1/persistentvolumes/\(name)") { $0[at: "status.phase"] == "Released" }
    #expect(await plane.service.deletions.isEmpty)
    let unconfirmed = await #expect(throws: Failure.self) {
      _ = try await plane.send("DELETE", "agent/v1/volumes/shop/db", query: [("data", "true")])
    }
    #expect(unconfirmed?.code == .refused && unconfirmed?.remedy == "repeat with --confirm db")
    _ = try await plane.send(
      "DELETE", "agent/v1/volumes/shop/db", query: [("data", "true"), ("confirm", "db")])
    #expect(await plane.service.deletions.map(\.data) == [true])
    #expect(try await plane.send("GET", "api/v1/persistentvolumes")["items"] == .array([]))
    try await plane.stop()
  }

  @Test(arguments: [
    (#"{"namespace":"../x","name":"db","size":"1Gi"}"#, Failure.Code.failed),
    (#"{"namespace":"shop","name":"../db","size":"1Gi"}"#, .failed),
    (#"{"namespace":"shop","name":"db","size":"0"}"#, .failed), (#"{"namespace":"shop","name":"db"}"#, .failed),
    (#"{"namespace":"shop","size":"1Gi"}"#, .failed), (#"{"namespace":"shop","name":7,"size":"1Gi"}"#, .failed),
    (#"{"namespace":"shop","name":"db","size":"1Gi","pool":[]}"#, .failed), ("[]", .failed),
  ])
  func badVolumesAreRefused(_ body: String, _ code: Failure.Code) async throws {
    let plane = try await PlaneFixture()
    let value = try JSONParser.parse(body)
    let error = await #expect(throws: Failure.self) {
      _ = try await plane.send("POST", "agent/v1/volumes", body: value)
    }
    #expect(error?.code == code)
    #expect(await plane.service.held.isEmpty)
    try await plane.stop()
  }

  @Test func aVolumeMadeWithKubectlIsImported() async throws {
    let plane = try await PlaneFixture()
    let volume = try JSONParser.parse(
      #"""
      {"apiVersion":"v1","kind":"PersistentVolume","metadata":{"name":"disk"},"spec":{"capacity":{"storage":"1Gi"},
       "accessModes":["ReadWriteOnce"],"local":{"path":"/srv/disk.img"}}}
      """#)
    let claim = try JSONParser.parse(
      #"""
      {"apiVersion":"v1","kind":"PersistentVolumeClaim","metadata":{"name":"disk"},"spec":{
       "accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"1Gi"}}}}
      """#)
    _ = try await plane.send("POST", "api/v1/namespaces/default/persistentvolumeclaims", body: claim)
    _ = try await plane.send("POST", "api/v1/persistentvolumes", body: volume)
    let bound = try await plane.wait("api/v1/persistentvolumes/disk") {
      $0[path: ["metadata", "annotations", VolumeObjects.volumeID]] != nil
    }
    #expect(bound[at: "spec.claimRef.name"] == "disk")
    #expect(await plane.service.held.map(\.path) == ["/srv/disk.img"])
    try await plane.stop()
  }

  @Test func aFileThatCannotBeImportedIsAnEvent() async throws {
    let plane = try await PlaneFixture()
    var volume = ResourceKind.persistentVolume.object(name: "gone")
    volume.json["spec"] = [
      "capacity": ["storage": "1Gi"], "local": ["path": "/missing/file"],
      "claimRef": ["namespace": "default", "name": "gone"],
    ]
    var claim = ResourceKind.persistentVolumeClaim.object(namespace: "default", name: "gone")
    claim.json["spec"] = ["resources": ["requests": ["storage": "1Gi"]]]
    _ = try await plane.send("POST", "api/v1/persistentvolumes", body: volume.json)
    _ = try await plane.send("POST", "api/v1/namespaces/default/persistentvolumeclaims", body: claim.json)
    let events = try await plane.wait("api/v1/namespaces/default/events") { !($0["items"]?.array ?? []).isEmpty }
    #expect(events["items"]?.array?.first?["reason"] == "ImportFailed")
    try await plane.stop()
  }

  @Test func errorsOfTheEngineKeepKindSubjectAndRemedy() async throws {
    let plane = try await PlaneFixture()
    let body: JSONValue = ["namespace": "shop", "name": "db", "size": "1Gi"]
    _ = try await plane.send("POST", "agent/v1/volumes", body: body)
    let error = await #expect(throws: Failure.self) {
      _ = try await plane.send("POST", "agent/v1/volumes", body: body)
    }
    #expect(error?.code == .refused && error?.subject == "volume shop/db" && error?.remedy == "choose a name")
    try await plane.stop()
  }

  @Test func everyKindOfErrorHasACode() {
    for kind in ReplError.Kind.allCases {
      let status = StatusError(ReplError(kind, subject: "s", cause: "c", remedy: "r"))
      #expect((400...599).contains(status.code))
      #expect(StatusError(status.json) == status)
      #expect(Failure(status).subject == "s" && Failure(status).remedy == "r")
    }
  }
}

/// Command lines against a live server, by exit code.
@Suite struct CommandLineTests {
  @Test func theVerbsWorkEndToEnd() async throws {
    let plane = try await PlaneFixture()
    await plane.service.finishRunsAtOnce()
    #expect(try await plane.run("status") == 0)
    #expect(try await plane.run("volume", "create", "db", "-n", "shop", "--size", "4Gi", "-o", "json") == 0)
    #expect(try await plane.run("volume", "import", "logs", "-n", "shop", "--path", "/srv/logs.img") == 0)
    #expect(try await plane.run("volume", "list", "-o", "wide") == 0)
    #expect(try await plane.run("pair", "token") == 0)
    #expect(try await plane.run("pair", "token", "-o", "json") == 0)
    #expect(try await plane.run("pair", "token", "--for", "west") == 0)
    #expect(try await plane.run("pair", "token", "list") == 0)
    #expect(try await plane.run("pair", "token", "list", "-o", "json") == 0)
    #expect(try await plane.run("pair", "token", "delete", "ab") == 0)
    #expect(try await plane.run("pair", "token", "delete", "cd") == 3)
    #expect(
      try await plane.run(
        "pair", "create", "b", "-n", "shop", "--ip", "10.0.0.9", "--token", FakeService.token, "--mode",
        "DisasterRecovery") == 0)
    #expect(try await plane.run("-n", "shop", "pair", "list") == 0)
    let directory = try TemporaryDirectory()
    try "\(FakeService.token)\n".write(toFile: directory.path + "/token", atomically: true, encoding: .utf8)
    let create = ["pair", "create", "c", "-n", "shop", "--ip", "10.0.0.9"]
    #expect(try await plane.run(create) == 2, "a token is needed")
    #expect(try await plane.run(create + ["--token-file", directory.path + "/missing"]) == 1)
    #expect(try await plane.run(create + ["--token", "x", "--token-file", directory.path + "/token"]) == 2)
    #expect(try await plane.run(create + ["--token-file", directory.path + "/token"]) == 0)
    #expect(
      try await plane.run("create", "migration", "m", "-n", "shop", "--cluster-pair", "b", "--wait", "-o", "yaml") == 0)
    #expect(try await plane.run("get", "migrations", "-n", "shop") == 0)
    #expect(try await plane.run("get", "pv", "-o", "wide") == 0)
    #expect(try await plane.run("get", "pvc", "-A") == 0)
    #expect(try await plane.run("describe", "migration", "m", "-n", "shop") == 0)
    #expect(try await plane.run("wait", "migration/m", "-n", "shop", "--for=status.stage=Final") == 0)
    #expect(try await plane.run("recovery-points", "db", "-n", "shop", "-o", "json") == 0)
    #expect(try await plane.run("recovery-points", "clone", "db", "-n", "shop", "--to", "/srv/c.img") == 0)
    #expect(try await plane.run("verify", "db", "-n", "shop", "--quick") == 0)
    #expect(try await plane.run("delete", "migration", "m", "-n", "shop") == 0)
    #expect(try await plane.run("pair", "delete", "b", "-n", "shop", "--now") == 0)
    #expect(await plane.service.removedPairs.map(\.now) == [true])
    #expect(try await plane.run("volume", "delete", "db", "-n", "shop", "--data", "--confirm", "db") == 0)
    try await plane.stop()
  }

  @Test("only volumes of this agent are deleted, whatever is held for a peer under the same name")
  func deletingByName() async throws {
    let plane = try await PlaneFixture()
    for name in ["db", "theirs"] {
      await plane.service.hold(
        VolumeReport(
          id: VolumeID.random().description, namespace: "shop", name: name, path: "", sizeBytes: 1, role: .promoted,
          changeSource: "", changeSourceReason: "", pool: "main", sourceCluster: "site-b", lagSeconds: nil))
    }
    #expect(try await plane.run("volume", "delete", "theirs", "-n", "shop") == 4)
    let own = VolumeID.random().description
    await plane.service.hold(
      VolumeReport(
        id: own, namespace: "shop", name: "db", path: "/srv/db", sizeBytes: 1, role: .source, changeSource: "digest",
        changeSourceReason: "", pool: "", sourceCluster: "", lagSeconds: nil))
    #expect(try await plane.run("volume", "delete", "db", "-n", "shop") == 0)
    #expect(await plane.service.deletions.map(\.id) == [own])
    try await plane.stop()
  }

  @Test func exitCodesTellWhatWentWrong() async throws {
    let plane = try await PlaneFixture()
    #expect(try await plane.run("nonsense") == 2)
    #expect(try await plane.run("volume", "create", "db") == 2)
    #expect(try await plane.run("volume", "create", "db", "--size", "zero") == 2)
    #expect(try await plane.run("get", "nonsense") == 2)
    #expect(try await plane.run("get", "pv", "-o", "xml") == 2)
    #expect(try await plane.run("get", "migrations", "none") == 3)
    #expect(try await plane.run("volume", "delete", "none") == 3)
    #expect(try await plane.run("wait", "migration/none", "--for=status.stage=Final") == 3)
    #expect(try await plane.run("volume", "create", "db", "--size", "1Gi") == 0)
    #expect(try await plane.run("volume", "create", "db", "--size", "1Gi") == 4)
    #expect(try await plane.run("volume", "delete", "db", "--data", "--confirm", "other") == 4)
    #expect(try await plane.run("delete", "namespace", "default") == 4)
    #expect(try await plane.run("volume", "create", "damaged", "--size", "1Gi") == 0)
    #expect(try await plane.run("verify", "damaged") == 1)
    #expect(try await plane.run("--help") == 0)
    try await plane.stop()
    #expect(try await plane.run("status") == 5)
  }

  @Test func aRefusedPairIsNotWaitedForForEver() async throws {
    let plane = try await PlaneFixture()
    await plane.service.failPairing(
      ReplError(.unauthenticated, subject: "pair b", cause: "the token was used already", remedy: "make another"))
    #expect(
      try await plane.run("pair", "create", "b", "--ip", "h", "--token", "12345678", "--timeout", "1") == 1)
    try await plane.stop()
  }
}

@Suite("Credentials for the loopback listener")
struct KubeconfigTests {
  private static let maker: KubeconfigMaker = { () throws(ReplError) in "apiVersion: v1" }

  @Test("are given out on the socket itself")
  func local() throws {
    #expect(try KubeconfigRoute.answer(Self.maker, isRelayed: false) == ["kubeconfig": "apiVersion: v1"])
  }

  @Test("are not given out through the listener")
  func relayed() throws {
    let error = #expect(throws: StatusError.self) { _ = try KubeconfigRoute.answer(Self.maker, isRelayed: true) }
    #expect(error?.code == 403)
  }

  @Test("do not exist where there is no listener")
  func none() throws {
    let error = #expect(throws: StatusError.self) { _ = try KubeconfigRoute.answer(nil, isRelayed: false) }
    #expect(error?.code == 404)
  }
}
