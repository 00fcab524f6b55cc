import Foundation
import Glibc
import TestSupport
import Testing

extension Integration {
  /// The Python peer knows nothing of this code: it was written from docs/wire-protocol.md.
  @Suite("A peer written from the protocol's page works with a real agent")
  struct WirePeers {
    @Test("it pairs with an agent and ships a volume, which becomes a proven point")
    func asSource() throws {
      try Self.withPeer { site, directory, to in
        let token = try site.control.check("pair", "token").trimmed
        let file = "\(directory)/volume"
        try VolumeFile.make(file)
        let wrong = String(token.dropLast()) + (token.last == "A" ? "B" : "A")
        #expect(try Self.run(["pair"] + to + ["--token", wrong]).status != 0, "a wrong token is refused")
        try Self.peer(["pair"] + to + ["--token", token])
        try Self.peer(["ship"] + to + ["--file", file, "--name", "db", "-n", Site.namespace])

        let points = try site.points("db")
        #expect(points.count == 1)
        guard let point = points.first else { return }
        #expect(point.state == "sealed")
        #expect(point.proof == "full")
        try Files.requireEqual(point.path, file)
        try site.control.check("verify", "db", "-n", Site.namespace)
      }
    }

    @Test("one of another major version is refused by name, whichever end connects")
    func ofAnotherMajor() throws {
      try Self.withPeer { site, directory, to in
        let file = "\(directory)/volume"
        try VolumeFile.make(file)
        let token = try site.control.check("pair", "token").trimmed
        let old = try Self.run(["pair"] + to + ["--major", "1", "--token", token])
        #expect(old.summary.contains("speaks protocol 1, cluster alpha speaks 2"), "\(old.summary)")
        try Self.peer(["pair"] + to + ["--token", token])
        let shipped = try Self.run(
          ["ship", "--major", "1"] + to + ["--file", file, "--name", "db", "-n", Site.namespace])
        #expect(shipped.status != 0)
        #expect(shipped.summary.contains("speaks protocol 1, cluster alpha speaks 2"), "\(shipped.summary)")
      }
    }

    @Test("it takes a volume from an agent, full each time, and holds what the agent's volume holds")
    func asTarget() throws {
      try Self.withPeer { site, directory, _ in
        let address = LoopbackAddress.unused()
        let output = "\(directory)/points"
        let told = "\(directory)/token"
        let serving = try Self.serve(state: Self.state(in: directory), address: address, output: output, token: told)
        defer {
          serving.signal(SIGKILL)
          _ = serving.wait(seconds: 10)
        }
        let token: String = try eventually("the peer prints its token", answer: { try Self.token(in: told) })
        let volume = try site.createVolume("db", size: 8 * .mebibyte)
        try volume.fill(seed: 3, count: 3 * .mebibyte)
        try site.control.check(
          "pair", "create", "python", "-n", Site.namespace, "--ip", address, "--port", "9001", "--token", token)
        for cycle in 1...2 {
          try volume.fill(seed: UInt64(cycle), count: 1 * .mebibyte)
          try site.control.check(
            "create", "migration", "m\(cycle)", "-n", Site.namespace, "-c", "python", "--namespaces", Site.namespace,
            "--wait")
          let images = try Command.check("ls", output).split(separator: "\n").filter { $0.hasSuffix(".img") }
          #expect(images.count == cycle)
          let equal = try images.contains {
            try Command.run(["cmp", "-s", "\(output)/\($0)", volume.path]).status == 0
          }
          #expect(equal, "one of \(images) is the volume")
        }
      }
    }

    /// An agent, and a Python peer with an identity that it does not know yet: what `body` gets is the directory of both
    /// and the peer's words for itself and the agent.
    private static func withPeer(_ body: (Site, _ directory: String, _ to: [String]) throws -> Void) throws {
      let directory = try TemporaryDirectory()
      let site = try Site("alpha", in: directory.path, fileSystem: .xfs, size: 512 * .mebibyte)
      defer { site.release() }
      try site.agent.start()
      let state = state(in: directory.path)
      try peer("init", "--state", state, "--cluster", "python", "--node", "p1")
      try body(site, directory.path, ["--state", state, "--address", site.address])
    }

    private static func state(in directory: String) -> String { "\(directory)/python" }

    private static let script: String = {
      let file = #filePath
      let folder = file.split(separator: "/", omittingEmptySubsequences: false).dropLast(2).joined(separator: "/")
      return folder + "/peer/wire_peer.py"
    }()

    private static func run(_ arguments: [String]) throws -> CommandOutput {
      try Command.run(["python3", script] + arguments, seconds: 60)
    }

    private static func peer(_ arguments: String...) throws { try peer(arguments) }

    private static func peer(_ arguments: [String]) throws {
      let result = try run(arguments)
      guard result.status == 0 else { throw Failure(result.summary) }
    }

    /// The token in the file that `serve` writes when it listens.
    private static func token(in file: String) throws -> String? {
      guard Files.exists(file) else { return nil }
      let text = String(decoding: try Files.read(file), as: UTF8.self)
      guard let start = text.range(of: "\"token\": \"")?.upperBound else { return nil }
      return text[start...].split(separator: "\"").first.map(String.init)
    }

    private static func serve(
      state: String, address: String, output: String, token: String
    ) throws -> ChildProcess {
      let log = open("\(output).log", O_WRONLY | O_CREAT | O_TRUNC, 0o600)
      defer { close(log) }
      return try ChildProcess(
        [
          "python3", script, "serve", "--state", state, "--address", address, "--output", output, "--token-file", token,
        ], output: log, errors: log)
    }
  }

  /// Contents with data, a long hole, and an odd end.
  private enum VolumeFile {
    static func make(_ path: String) throws {
      var generator = SeededGenerator(seed: 7)
      var bytes: [UInt8] = (0..<300_000).map { _ in UInt8.random(in: 0...255, using: &generator) }
      bytes += [UInt8](repeating: 0, count: 3 << 20)
      bytes += (0..<1_000_001).map { _ in UInt8.random(in: 0...255, using: &generator) }
      let file = try OpenFile(path, O_WRONLY | O_CREAT)
      try file.write(bytes, at: 0)
    }
  }
}
