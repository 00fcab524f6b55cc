import Glibc
import TestSupport
import Testing

/// Two sites with running agents that are paired: volumes of `source` are replicated to `target`.
final class TwoSites {
  let directory: TemporaryDirectory
  let source: Site
  let target: Site
  private(set) var proxy: Proxy?
  private var migrations = 0

  /// What a test may choose.
  struct Options {
    var mode = "DisasterRecovery"
    var sourceSize = 1 * Int.gibibyte
    var targetSize = 1 * Int.gibibyte
    /// Mount options of the source's pool.
    var sourceMount = ""
    /// Further lines of the configuration files.
    var sourceExtra = ""
    var targetExtra = ""
    /// Whether a ``Proxy`` stands between the two.
    var proxied = false
    /// Whether the two are paired before the test begins.
    var paired = true
  }

  /// Runs a test between two fresh sites and cleans up; on an error the agents' last words are recorded.
  static func run(
    _ source: LoopFileSystem.Kind = .xfs, to target: LoopFileSystem.Kind = .btrfs, _ options: Options = Options(),
    _ body: (TwoSites) throws -> Void
  ) throws {
    let sites = try TwoSites(source, target, options)
    defer { sites.release() }
    do {
      try sites.start(options)
      try body(sites)
    } catch {
      throw Failure(
        "\(error)\n--- source:\n\(sites.source.agent.logTail())\n--- target:\n\(sites.target.agent.logTail())")
    }
  }

  private init(_ sourceKind: LoopFileSystem.Kind, _ targetKind: LoopFileSystem.Kind, _ options: Options) throws {
    directory = try TemporaryDirectory()
    source = try Site(
      "alpha", in: directory.path, fileSystem: sourceKind, size: options.sourceSize, options: options.sourceMount,
      extra: options.sourceExtra)
    do {
      target = try Site(
        "beta", in: directory.path, fileSystem: targetKind, size: options.targetSize, extra: options.targetExtra)
    } catch {
      source.release()
      throw error
    }
  }

  private func start(_ options: Options) throws {
    try source.agent.start()
    try target.agent.start()
    if options.proxied { proxy = try Proxy(before: target.address) }
    if options.paired { try pair(mode: options.mode) }
  }

  /// Pairs the source with the target, or pairs them again.
  func pair(_ name: String = TwoSites.pairName, mode: String = "DisasterRecovery") throws {
    let token = try target.control.check("pair", "token").trimmed
    try source.control.check(
      "pair", "create", name, "-n", Site.namespace, "--ip", proxy?.address ?? target.address, "--port", "9001",
      "--token", token, "--mode", mode)
  }

  private func release() {
    proxy?.close()
    source.release()
    target.release()
  }

  static let pairName = "beta"

  // MARK: Cycles

  /// Asks for a migration of all volumes of the namespace and returns its name at once.
  func begin(_ further: [String] = []) throws -> String {
    migrations += 1
    let name = "cycle-\(migrations)"
    let arguments = [
      "create", "migration", name, "-n", Site.namespace, "-c", Self.pairName, "--namespaces", Site.namespace,
    ]
    let result = try source.control.run(arguments + further)
    guard result.status == 0 else { throw Failure(result.summary) }
    return name
  }

  func migration(_ name: String) throws -> MigrationView {
    try source.control.json(MigrationView.self, "get", "migration", name, "-n", Site.namespace)
  }

  /// Waits for the end of a migration, whatever it is; the source's agent may be away in between.
  func end(of name: String, within seconds: Double = 120) throws -> MigrationView {
    var last = "nothing"
    return try eventually(
      "migration \(name) ends; last seen: \(last)", within: seconds,
      answer: {
        guard let view = try? migration(name) else { return nil }
        last = "\(view.status.stage ?? "") \(view.status.status ?? "") \(view.bytesDone) bytes \(view.reasons)"
        return view.isFinal ? view : nil
      })
  }

  /// One cycle that has to succeed; returns what its status says.
  @discardableResult
  func replicate(_ further: [String] = [], within seconds: Double = 120) throws -> [VolumeProgress] {
    let name = try begin(further)
    let result = try end(of: name, within: seconds)
    guard result.isSuccessful else {
      throw Failure("migration \(name) ended \(result.status.status ?? "nothing"): \(result.reasons)")
    }
    return result.volumes
  }

  /// One cycle of a namespace with one volume.
  func replicateOne(_ further: [String] = [], within seconds: Double = 120) throws -> VolumeProgress {
    let volumes = try replicate(further, within: seconds)
    guard volumes.count == 1 else { throw Failure("expected one volume in the status, found \(volumes.count)") }
    return volumes[0]
  }

  /// A cycle that must not succeed. Waits until it failed or, where the agent goes on trying, until its status
  /// mentions one of the words; then it is taken back. Returns what the status said.
  func replicateAndFail(mentioning words: String..., within seconds: Double = 120) throws -> MigrationView {
    let name = try begin()
    var last = "nothing"
    let found: MigrationView = try eventually(
      "\(name) fails or says why; last seen: \(last)", within: seconds,
      answer: {
        let view = try migration(name)
        last = view.reasons
        let mentioned = words.contains { view.reasons.lowercased().contains($0.lowercased()) }
        return view.isFinal || mentioned ? view : nil
      })
    guard !found.isSuccessful else { throw Failure("migration \(name) succeeded; it should have failed") }
    #expect(words.contains { found.reasons.lowercased().contains($0.lowercased()) }, "it says why: \(found.reasons)")
    try source.control.check("delete", "migration", name, "-n", Site.namespace)
    return found
  }

  // MARK: Points

  /// The newest point at the target.
  func newestPoint(of volume: Volume) throws -> PointView {
    guard let point = try target.points(volume.name).first else { throw Failure("no point of \(volume.name)") }
    return point
  }

  /// The file with a point's bytes.
  func image(of point: PointView, _ volume: Volume) -> String {
    "\(target.pointsDirectory(of: volume.id, from: source.name))/\(point.id)/image"
  }

  /// The source's snapshot that a point is a copy of.
  func twin(of point: PointView, _ volume: Volume) -> String {
    "\(source.pool)/.repl-agent/snapshots/\(volume.id)/\(point.id)/image"
  }

  /// Compares the newest point with its twin, byte by byte, and returns it.
  @discardableResult
  func checkNewestPoint(of volume: Volume) throws -> PointView {
    let point = try newestPoint(of: volume)
    #expect(point.state == "sealed")
    try Files.requireEqual(image(of: point, volume), twin(of: point, volume))
    return point
  }

  /// As ``checkNewestPoint(of:)``; for a volume nobody writes to, the live file too.
  @discardableResult
  func checkNewestPointIsLive(_ volume: Volume) throws -> PointView {
    let point = try checkNewestPoint(of: volume)
    try Files.requireEqual(image(of: point, volume), volume.path)
    return point
  }
}

extension String {
  /// Without white space at both ends.
  var trimmed: String {
    let space: (Character) -> Bool = { $0.isWhitespace }
    return String(drop(while: space).reversed().drop(while: space).reversed())
  }
}
