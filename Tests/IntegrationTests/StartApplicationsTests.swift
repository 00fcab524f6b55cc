import TestSupport
import Testing

extension Integration {
  @Suite("startApplications: the target's volume is live, and no later Migration touches it")
  struct StartApplications {
    @Test("the volume is live and equal, workloads keep their replicas, the next Migration is refused")
    func live() throws {
      try TwoSites.run(.xfs, to: .btrfs) { sites in
        let volume = try sites.source.createVolume("data", size: 32 * .mebibyte)
        try volume.fill(seed: 1, count: 16 * .mebibyte)
        try sites.source.control.apply(Self.workload)
        try sites.replicate()
        #expect(try replicas(sites) == 0, "not yet")
        #expect(try sites.target.volumes().map(\.role) == ["target"])

        try volume.fill(seed: 2, count: 1 * .mebibyte)
        let cycle = try sites.replicateOne(["--startApplications"])
        let live = try promoted(sites)
        try Files.requireEqual(live, volume.path)
        #expect(try replicas(sites) == 2)
        try checkObjects(sites, path: live)
        #expect(
          try sites.target.points("data").contains { $0.id == cycle.point && $0.state == "promoted" },
          "the point it was made of is kept")

        // The volume is the target's now: what it writes stays, whatever the source tries.
        let file = try OpenFile(live, 2)
        try file.write(Array("written at the target".utf8), at: 4 << 20)
        try file.sync()
        let digest = try Files.digest(live)
        try refused(sites, volume, digest: digest, live)
        try refused(sites, volume, digest: digest, live)
      }
    }

    @Test("SIGKILL of the target before and after it made the volume live", arguments: Moment.allCases)
    func killed(moment: Moment) throws {
      var options = TwoSites.Options()
      options.proxied = true
      try TwoSites.run(options) { sites, proxy in
        let volume = try sites.source.createVolume("data", size: 32 * .mebibyte)
        try volume.fill(seed: 1, count: 16 * .mebibyte)
        try sites.source.control.apply(Self.workload + Self.filler)
        proxy.hold(after: 256 * .kibibyte, to: .control)
        let name = try sites.begin(["--startApplications"])
        try eventually("the objects are on their way") { proxy.isHolding }
        if moment == .answerLost {
          proxy.holdAnswers()
          try eventually("the volume is live") { try sites.target.volumes().first?.role == "promoted" }
        }
        sites.target.agent.kill()
        proxy.cut()
        proxy.release()
        try sites.target.agent.start()
        let result = try sites.end(of: name)
        #expect(result.isSuccessful, "\(result.reasons)")
        let live = try promoted(sites)
        try Files.requireEqual(live, volume.path)
        #expect(try replicas(sites) == 2)
        try refused(sites, volume, digest: try Files.digest(live), live)
      }
    }

    enum Moment: String, Sendable, CaseIterable {
      /// The request to make it live has not arrived.
      case asked
      /// It is live; the source does not know.
      case answerLost
    }

    @Test("`recover` keeps a live volume live")
    func recover() throws {
      try TwoSites.run(.xfs, to: .xfs) { sites in
        let volume = try sites.source.createVolume("data", size: 16 * .mebibyte)
        try volume.fill(seed: 1, count: 8 * .mebibyte)
        try sites.replicate(["--startApplications"])
        let live = try promoted(sites)
        let digest = try Files.digest(live)
        #expect(sites.target.agent.stop() == 0)
        for name in ["agent.db", "agent.db-wal", "agent.db-shm"] {
          try Command.check("rm", "-f", "\(sites.target.stateDirectory)/\(name)")
        }
        let recovered = try sites.target.agent.verb("recover")
        #expect(recovered.status == 0, "\(recovered.summary)")
        try sites.target.agent.start()
        #expect(try promoted(sites) == live)
        try sites.pair("again")
        let name = "after-recover"
        try volume.fill(seed: 2, count: 1 * .mebibyte)
        try sites.source.control.check(
          "create", "migration", name, "-n", Site.namespace, "-c", "again", "--namespaces", Site.namespace)
        let result = try sites.end(of: name)
        #expect(!result.isSuccessful)
        #expect(result.reasons.contains("volume in use: promoted at beta at 20"), "\(result.reasons)")
        #expect(try Files.digest(live) == digest)
      }
    }

    // MARK: What the tests look at

    /// Path of the target's live volume.
    private func promoted(_ sites: TwoSites) throws -> String {
      guard let found = try sites.target.volumes().first, found.role == "promoted" else {
        throw Failure("the target's volume is not live: \(try sites.target.volumes())")
      }
      return found.path
    }

    private func replicas(_ sites: TwoSites) throws -> Double? {
      try sites.target.control.object("deployment", "web")?["spec", "replicas"]?.number
    }

    private func checkObjects(_ sites: TwoSites, path: String) throws {
      let claim = try sites.target.control.object("pvc", "data")
      #expect(claim?["status", "phase"]?.text == "Bound")
      let volume = try sites.target.control.object("pv", claim?["spec", "volumeName"]?.text ?? "")
      #expect(volume?["spec", "local", "path"]?.text == path)
      for object in [claim, volume] { #expect(object?["metadata", "annotations", "repl-agent/standby"] == nil) }
      #expect(volume?["status", "reason"] == nil)
    }

    /// A further Migration fails, says why, and leaves the live file and its points alone.
    private func refused(_ sites: TwoSites, _ volume: Volume, digest: String, _ live: String) throws {
      let points = try sites.target.points("data").map(\.id)
      try volume.fill(seed: 9, count: 2 * .mebibyte)
      let result = try sites.end(of: sites.begin())
      #expect(!result.isSuccessful)
      #expect(result.reasons.contains("volume in use: promoted at beta at 20"), "\(result.reasons)")
      #expect(try Files.digest(live) == digest, "the live file is not touched")
      #expect(try sites.target.points("data").map(\.id) == points)
      #expect(try replicas(sites) == 2)
    }

    private static let workload = """
      apiVersion: apps/v1
      kind: Deployment
      metadata:
        name: web
      spec:
        replicas: 2
        selector:
          matchLabels: {app: web}
        template:
          metadata:
            labels: {app: web}
          spec:
            containers:
            - name: web
              image: web:1

      """

    /// More than all that a cycle says on the control port, so that its bytes tell when objects are sent, and less than
    /// one part of a document, so that all of it arrives when answers are held.
    private static let filler = """
      ---
      apiVersion: v1
      kind: ConfigMap
      metadata:
        name: filler
      data:
        filler: "\(String(repeating: "0123456789abcdef", count: 26 << 10))"
      """
  }
}
