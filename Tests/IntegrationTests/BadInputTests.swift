import Glibc
import TestSupport
import Testing

extension Integration {
  @Suite("Bad input gets a clear error, and nothing is lost")
  struct BadInput {
    // MARK: Configuration

    @Test(
      "a wrong configuration is refused with file, line and what was expected",
      arguments: [
        ("colour: red", "colour"), ("limits:\n  memori: 5", "memori"), ("scrub:\n  rate: fast", "rate"),
        ("retention:\n  count: many", "count"), ("pairRetention: [1]", "pairRetention"),
      ])
    func configuration(line: String, word: String) throws {
      try withSite { site in
        try site.writeConfiguration(extra: line)
        let text = try Command.check("cat", site.agent.configuration)
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        let last = lines.lastIndex { $0.contains(word) } ?? 0
        for verb in ["check-config", "run"] {
          let result = try site.agent.verb(verb)
          #expect(result.status != 0)
          #expect(result.errors.contains(word), "\(result.summary)")
          #expect(result.errors.contains(site.agent.configuration), "\(result.summary)")
          #expect(result.errors.contains("line \(last + 1):"), "line \(last + 1) is named: \(result.summary)")
        }
      }
    }

    @Test("a good configuration is good, a missing file is named")
    func checkConfig() throws {
      try withSite { site in
        #expect(try site.agent.verb("check-config").status == 0)
        try Command.check("rm", site.agent.configuration)
        let missing = try site.agent.verb("check-config")
        #expect(missing.status != 0)
        #expect(missing.errors.contains(site.agent.configuration))
      }
    }

    private func withSite(_ kind: LoopFileSystem.Kind = .xfs, _ body: (Site) throws -> Void) throws {
      let directory = try TemporaryDirectory()
      let site = try Site("alpha", in: directory.path, fileSystem: kind)
      defer { site.release() }
      try body(site)
    }

    // MARK: Exit codes

    @Test("exit codes: usage 2, not found 3, unreachable 5")
    func exitCodes() throws {
      try withSite { site in
        #expect(try site.control.run(["status"]).status == 5)
        try site.agent.start()
        #expect(try site.control.run(["volume", "create"]).status == 2)
        #expect(try site.control.run(["nonsense"]).status == 2)
        #expect(try site.control.run(["get", "migration", "nothing", "-n", Site.namespace]).status == 3)
        #expect(try site.control.run(["recovery-points", "nothing", "-n", Site.namespace]).status == 3)
        _ = try site.createVolume("data", size: 1 * .mebibyte)
        let again = try site.control.run(["volume", "create", "data", "-n", Site.namespace, "--size", "1Mi"])
        #expect(again.status != 0)
        #expect(again.errors.contains("data"), "\(again.summary)")
        #expect(again.errors.contains("remedy:") && again.errors.contains("spec.volumeName"), "\(again.summary)")
        #expect(try site.control.run(["volume", "create", "zero", "-n", Site.namespace, "--size", "0"]).status != 0)
      }
    }

    @Test("a file that is empty, or a volume already, is refused with what to do")
    func unusableFiles() throws {
      try withSite { site in
        try site.agent.start()
        let volume = try site.createVolume("data", size: 1 * .mebibyte)
        try Files.write("", to: "\(site.pool)/empty")
        for (path, cause) in [("\(site.pool)/empty", "is empty"), (volume.path, "data already")] {
          let result = try site.control.run(["volume", "import", "other", "-n", Site.namespace, "--path", path])
          #expect(result.status != 0 && result.errors.contains(cause), "\(result.summary)")
          #expect(result.errors.contains("remedy:"), "\(result.summary)")
        }
      }
    }

    // MARK: Paths

    @Test("a volume that is a directory, missing, a symbolic link or outside of what is allowed")
    func paths() throws {
      try withSite { site in
        try site.agent.start()
        let outside = try TemporaryDirectory()
        try Files.write("outside", to: "\(outside.path)/file")
        try Command.check("mkdir", "\(site.pool)/directory")
        try Command.check("ln", "-s", "\(outside.path)/file", "\(site.pool)/link")
        try Command.check("ln", "-s", outside.path, "\(site.pool)/linked-directory")
        try Command.check("mkfifo", "\(site.pool)/pipe")
        let bad = [
          "\(site.pool)/directory", "\(site.pool)/missing", "\(site.pool)/link", "\(site.pool)/linked-directory/file",
          "\(site.pool)/pipe", "\(outside.path)/file", "/etc/hostname", "relative/path",
          "\(site.pool)/../../../etc/hostname",
        ]
        for path in bad {
          let result = try site.control.run(["volume", "import", "data", "-n", Site.namespace, "--path", path])
          #expect(result.status != 0 && result.status != 5, "\(path) was taken: \(result.summary)")
          #expect(!result.errors.isEmpty)
        }
        #expect(try site.volumes().isEmpty)
        #expect(site.agent.isRunning)
      }
    }

    // MARK: Pairing

    @Test("a wrong, mangled or used token is refused, and a good one still works afterwards")
    func tokens() throws {
      try withThreeSites { source, target, third in
        let token = try target.control.check("pair", "token").trimmed
        #expect(!token.contains("\n"), "one token and nothing else")
        var mangled = Array(token)
        mangled[mangled.count - 3] = mangled[mangled.count - 3] == "A" ? "B" : "A"
        for bad in ["nonsense", String(mangled)] {
          let result = try pair(source, with: target, token: bad)
          #expect(result.status != 0, "\(result.summary)")
          #expect(result.errors.contains("token"), "\(result.summary)")
          try source.control.check("pair", "delete", "beta", "-n", Site.namespace)
        }
        let good = try pair(source, with: target, token: token)
        #expect(good.status == 0, "\(good.summary)")
        let used = try pair(third, with: target, token: token)
        #expect(used.status != 0, "a token belongs to its first peer")
        #expect(used.errors.contains("token"), "\(used.summary)")
        #expect(target.agent.isRunning)
      }
    }

    @Test("a peer with our own cluster id is refused")
    func ownClusterID() throws {
      try withThreeSites { source, target, _ in
        _ = source.agent.stop()
        try Command.check("rm", "-rf", source.stateDirectory, "\(source.pool)/.repl-agent")
        try source.writeConfiguration(clusterID: "beta")
        try source.agent.start()
        let token = try target.control.check("pair", "token").trimmed
        let result = try pair(source, with: target, token: token)
        #expect(result.status != 0)
        #expect(result.errors.contains("beta"), "\(result.summary)")
      }
    }

    private func pair(_ site: Site, with target: Site, token: String) throws -> CommandOutput {
      try site.control.run([
        "pair", "create", "beta", "-n", Site.namespace, "--ip", target.address, "--token", token, "--timeout", "15",
      ])
    }

    private func withThreeSites(_ body: (Site, Site, Site) throws -> Void) throws {
      let directory = try TemporaryDirectory()
      var sites: [Site] = []
      defer { for site in sites { site.release() } }
      for name in ["alpha", "beta", "gamma"] {
        sites.append(try Site(name, in: directory.path, fileSystem: .xfs))
        try sites[sites.count - 1].agent.start()
      }
      try body(sites[0], sites[1], sites[2])
    }

    // MARK: Connections

    @Test("plain HTTP, TLS 1.2 and strangers get nowhere, and peers are still served")
    func strangers() throws {
      try TwoSites.run { sites in
        for port in [9001, 9010] as [UInt16] {
          let answer = try speakPlainly(sites.target.address, port)
          // There is no plaintext path: who asks the control port is told so, and nothing else.
          if port == 9001 {
            #expect(answer.hasPrefix("HTTP/1.1 400 ") && answer.contains("replctl pair token"))
          } else {
            #expect(!answer.contains("HTTP/1"))
          }
          for version in ["-tls1_2", "-tls1_3"] {
            let result = try Command.run([
              "timeout", "10", "openssl", "s_client", "-connect", "\(sites.target.address):\(port)", version, "-quiet",
            ])
            #expect(result.status != 0, "\(version) without a certificate: \(result.summary)")
          }
        }
        let volume = try sites.source.createVolume("data", size: 4 * .mebibyte)
        try volume.fill(seed: 1, count: 1 * .mebibyte)
        try sites.replicate()
        try sites.checkNewestPointIsLive(volume)
      }
    }

    /// What a port answers to a request of HTTP, until it closes.
    private func speakPlainly(_ address: String, _ port: UInt16) throws -> String {
      let descriptor = try Socket.connect(address, port)
      defer { close(descriptor) }
      var limit = timeval(tv_sec: 20, tv_usec: 0)
      setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
      let request = Array("GET / HTTP/1.1\r\nHost: \(address)\r\n\r\n".utf8)
      _ = request.withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
      var answer: [UInt8] = []
      var buffer = [UInt8](repeating: 0, count: 4096)
      while true {
        let count = recv(descriptor, &buffer, buffer.count, 0)
        if count < 0, errno == EAGAIN { throw Failure("port \(port) keeps a plain connection open") }
        guard count > 0 else { break }
        answer += buffer.prefix(count)
      }
      return String(decoding: answer, as: UTF8.self)
    }

    // MARK: Pools

    @Test("a pool on ext4 is refused as a target with the remedy")
    func poolWithoutReflink() throws {
      try TwoSites.run(.xfs, to: .ext4) { sites in
        let volume = try sites.source.createVolume("data", size: 4 * .mebibyte)
        try volume.fill(seed: 1, count: 1 * .mebibyte)
        let failed = try sites.replicateAndFail(mentioning: "reflink")
        let reason = failed.reasons.lowercased()
        #expect(reason.contains("xfs") && reason.contains("btrfs"), "the remedy is named: \(failed.reasons)")
        #expect(try sites.target.points("data").isEmpty)
      }
    }

    @Test("a pool owned by another agent is refused, while that one runs and afterwards")
    func poolOfAnother() throws {
      try TwoSites.run { sites in
        _ = try sites.target.createVolume("own", size: 1 * .mebibyte)
        _ = sites.source.agent.stop()
        try sites.source.writeConfiguration(pool: sites.target.pool)
        for running in [true, false] {
          if !running { _ = sites.target.agent.stop() }
          try sites.source.agent.launch()
          let status = sites.source.agent.waitForEnd()
          #expect(status != nil && status != 0, "the agent took a pool of another one")
          #expect(sites.source.agent.logTail(50).contains(sites.target.pool))
        }
        try sites.target.agent.start()
        #expect(try sites.target.volumes().map(\.name) == ["own"])
      }
    }

    @Test("a second agent on one state directory is refused, the first goes on")
    func secondAgent() throws {
      try withSite { site in
        try site.agent.start()
        let second = try AgentProcess(
          configuration: site.agent.configuration, socket: site.control.socket, log: site.agent.log + ".second")
        try second.launch()
        let status = second.waitForEnd()
        #expect(status != nil && status != 0)
        #expect(!second.logText().isEmpty)
        #expect(site.agent.isRunning)
        #expect(try site.control.run(["status"]).status == 0)
      }
    }

    // MARK: Migrations

    @Test("a migration without a pair or without volumes says so")
    func migrationWithoutPair() throws {
      try TwoSites.run { sites in
        let empty = try sites.begin()
        let result = try sites.end(of: empty)
        // Nothing to ship is no failure; nothing may be made up either.
        #expect(result.volumes.isEmpty)
        _ = try sites.source.createVolume("data", size: 1 * .mebibyte)
        let create = try sites.source.control.run([
          "create", "migration", "lost", "-n", Site.namespace, "-c", "nobody", "--namespaces", Site.namespace,
        ])
        #expect(create.status == 0, "as with kubectl, the pair may follow: \(create.summary)")
        try eventually("the status names the pair that is missing", within: 30) {
          let view = try sites.migration("lost")
          return !view.isSuccessful && view.reasons.contains("nobody")
        }
      }
    }
  }
}
