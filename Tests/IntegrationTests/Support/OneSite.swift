import TestSupport

/// One agent by itself, for tests of its API.
enum OneSite {
  /// Runs a test at a fresh site and cleans up; on an error the agent's last words are recorded.
  static func run(_ body: (Site) throws -> Void) throws {
    let directory = try TemporaryDirectory()
    let site = try Site("alpha", in: directory.path, fileSystem: .xfs, size: 512 * .mebibyte)
    defer { site.release() }
    do {
      try site.agent.start()
      try body(site)
    } catch {
      throw Failure("\(error)\n--- agent:\n\(site.agent.logTail())")
    }
  }
}
