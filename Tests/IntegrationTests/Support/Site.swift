import Glibc
import TestSupport

/// One site: a pool on a file system of its own and an agent at a loopback address of its own.
final class Site {
  let name: String
  let address: String
  let directory: String
  /// The pool's directory.
  let pool: String
  private let disk: LoopFileSystem?
  let agent: AgentProcess
  var control: ReplCtl { agent.control }
  var stateDirectory: String { "\(directory)/\(name).state" }
  /// Points of a volume as a target.
  func pointsDirectory(of volume: String, from cluster: String) -> String {
    "\(pool)/.repl-agent/points/\(cluster)/\(volume)"
  }

  /// - Parameter extra: further lines of the configuration file.
  init(
    _ name: String, in directory: String, fileSystem: LoopFileSystem.Kind, size: Int = 1 * .gibibyte,
    options: String = "",
    extra: String = ""
  ) throws {
    self.name = name
    self.directory = directory
    address = LoopbackAddress.unused()
    let disk = try LoopFileSystem(fileSystem, megabytes: size / .mebibyte, options: options)
    self.disk = disk
    pool = disk.path
    agent = try AgentProcess(
      configuration: "\(directory)/\(name).yaml", socket: "\(directory)/\(name).sock", log: "\(directory)/\(name).log")
    try writeConfiguration(extra: extra)
  }

  /// A site over a pool that somebody else made and takes away.
  init(_ name: String, in directory: String, pool: String, clusterID: String? = nil) throws {
    self.name = name
    self.directory = directory
    self.pool = pool
    disk = nil
    address = LoopbackAddress.unused()
    agent = try AgentProcess(
      configuration: "\(directory)/\(name).yaml", socket: "\(directory)/\(name).sock", log: "\(directory)/\(name).log")
    try writeConfiguration(clusterID: clusterID)
  }

  /// Writes the configuration file again; `replacing` exchanges pieces of it for tests of bad ones.
  func writeConfiguration(extra: String = "", clusterID: String? = nil, pool: String? = nil) throws {
    let text = """
      clusterID: \(clusterID ?? name)
      node: \(name)-1
      stateDirectory: \(stateDirectory)
      socket: \(directory)/\(name).sock
      listen:
        address: \(address)
        controlPort: 9001
        dataPort: 9010
      pools:
        - name: main
          path: \(pool ?? self.pool)
      log:
        level: debug
        format: text
      \(extra)
      """
    _ = mkdir(stateDirectory, 0o700)
    try Files.write(text + "\n", to: agent.configuration)
  }

  /// Ends the agent and gives the disk back.
  func release() {
    agent.kill()
    disk?.close()
  }

  // MARK: What replctl says

  func createVolume(_ name: String, size: Int, namespace: String = Site.namespace) throws -> Volume {
    let view: VolumeView = try control.json(
      VolumeView.self, "volume", "create", name, "-n", namespace, "--size", "\(size)")
    return Volume(id: view.id, name: name, namespace: namespace, path: view.path, site: self)
  }

  func importVolume(_ name: String, path: String, namespace: String = Site.namespace) throws -> Volume {
    let view: VolumeView = try control.json(
      VolumeView.self, "volume", "import", name, "-n", namespace, "--path", path)
    return Volume(id: view.id, name: name, namespace: namespace, path: view.path, site: self)
  }

  func volumes(namespace: String = Site.namespace) throws -> [VolumeView] {
    try control.json([VolumeView].self, "volume", "list", "-n", namespace)
  }

  /// Points of a volume, newest first; none when the agent does not know the volume yet.
  func points(_ name: String, namespace: String = Site.namespace) throws -> [PointView] {
    guard try control.run(["recovery-points", name, "-n", namespace, "-o", "json"]).status != 3 else { return [] }
    return try control.json([PointView].self, "recovery-points", name, "-n", namespace)
  }

  static let namespace = "shop"
}

/// A volume of a site, as the tests touch it: by its live file.
struct Volume {
  let id: String
  let name: String
  let namespace: String
  let path: String
  unowned let site: Site
}

/// Addresses in 127.0.0.0/8, so that many agents keep to the fixed ports at the same time.
enum LoopbackAddress {
  static func unused() -> String {
    var generator = SystemRandomNumberGenerator()
    while true {
      let numbers = (0..<3).map { _ in UInt8.random(in: 1...254, using: &generator) }
      let address = "127.\(numbers[0]).\(numbers[1]).\(numbers[2])"
      if numbers[0] != 0, isFree(address, 9001), isFree(address, 9010) { return address }
    }
  }

  private static func isFree(_ address: String, _ port: UInt16) -> Bool {
    guard let listener = try? Socket.listen(address, port) else { return false }
    close(listener)
    return true
  }
}
