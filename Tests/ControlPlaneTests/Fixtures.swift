import APIModel
import Glibc
import Logging
import ReplModel
import ReplicationEngine
import Synchronization

@testable import KubeModel
@testable import KubeServer
@testable import ReplAgent
@testable import StorkControllers
@testable import ReplCtl

extension ResourceRegistry {
  /// All kinds of the agent.
  static let standard = ControlPlaneService.registry
}

// Writes as this program makes them.
extension ObjectStore {
  /// Stores a new object whose fields belong to this program.
  func create(_ kind: ResourceKind, _ object: KubeObject, dryRun: Bool) async throws(StatusError) -> KubeObject {
    try await create(kind, object, dryRun: dryRun, tracking: .controller)
  }

  /// Changes an object; the fields that change belong to this program.
  func update(
    _ kind: ResourceKind, namespace: String, name: String, part: ObjectPart, dryRun: Bool,
    change: @escaping @Sendable (KubeObject) throws(StatusError) -> KubeObject
  ) async throws(StatusError) -> KubeObject {
    try await update(
      kind, namespace: namespace, name: name, part: part, dryRun: dryRun, tracking: .controller, change: change)
  }
}

/// A directory that goes when the test ends.
final class TemporaryDirectory: Sendable {
  let path: String

  /// - Parameter inMemory: on a file system that has nothing to sync, for tests of many writes.
  init(inMemory: Bool = false) throws {
    let base = inMemory && access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"
    var template = Array("\(base)/repl-control.XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else {
      throw ReplError(.io, subject: "temporary directory", cause: String(cString: strerror(errno)))
    }
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  deinit {
    for entry in names { unlink("\(path)/\(entry)") }
    rmdir(path)
  }

  var names: [String] {
    guard let directory = opendir(path) else { return [] }
    defer { closedir(directory) }
    var found: [String] = []
    while let entry = readdir(directory) {
      let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
        String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
      }
      if name != ".", name != ".." { found.append(name) }
    }
    return found
  }
}

/// A clock that stands still until it is moved.
final class TestClock: Sendable {
  private let seconds = Mutex<Int64>(1_700_000_000)
  var now: Int64 { seconds.withLock { $0 } }
  func advance(_ by: Int64) { seconds.withLock { $0 += by } }
}

/// Collects log lines.
final class LogLines: Sendable {
  private let lines = Mutex<[String]>([])
  var all: [String] { lines.withLock { $0 } }
  func add(_ line: String) { lines.withLock { $0.append(line) } }

  var logger: Logger {
    var logger = Logger(label: "test") { _ in Handler(lines: self) }
    logger.logLevel = .trace
    return logger
  }

  private struct Handler: LogHandler {
    let lines: LogLines
    var logLevel = Logger.Level.trace
    var metadata: Logger.Metadata = [:]
    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
      get { metadata[key] }
      set { metadata[key] = newValue }
    }
    func log(event: LogEvent) {
      lines.add("\(event.level) \(event.message) \(event.metadata ?? [:]) \(metadata)")
    }
  }
}

/// A store in a temporary directory.
struct StoreFixture {
  let directory: TemporaryDirectory
  let clock = TestClock()
  let store: SQLiteObjectStore

  init(
    journal: Int = 8_192, inMemory: Bool = false, suffix: @escaping @Sendable () -> String = GeneratedName.suffix
  ) throws {
    directory = try TemporaryDirectory(inMemory: inMemory)
    let clock = clock
    store = try SQLiteObjectStore(
      path: directory.path + "/objects.db", registry: .standard, clock: { clock.now }, schema: .current,
      journal: journal, suffix: suffix)
  }

  func namespace(_ name: String) async throws {
    _ = try await store.create(.namespace, ResourceKind.namespace.object(name: name), dryRun: false)
  }

  /// The API without a transport.
  var api: ObjectAPI {
    let clock = clock
    return ObjectAPI(store: store, registry: .standard, clock: { clock.now })
  }
}

/// A whole control plane on a real socket with a fake engine.
final class PlaneFixture: Sendable {
  let directory: TemporaryDirectory
  let service = FakeService()
  let log = LogLines()
  let plane: ControlPlaneService
  private let task: Task<Void, any Error>

  var socketPath: String { directory.path + "/agent.sock" }
  var client: AgentClient { AgentClient(socketPath: socketPath) }

  init(
    _ directory: TemporaryDirectory? = nil, watchLimits: WatchLimits = WatchLimits(),
    configure: (inout ControlPlaneConfiguration) -> Void = { _ in }
  ) async throws {
    let directory = try directory ?? TemporaryDirectory()
    self.directory = directory
    var configuration = ControlPlaneConfiguration(
      socketPath: directory.path + "/agent.sock", databasePath: directory.path + "/objects.db")
    configure(&configuration)
    var plane = try ControlPlaneService(configuration: configuration, service: service, logger: log.logger)
    plane.controllers.resourcePhase = FakeResources()
    plane.watchLimits = watchLimits
    self.plane = plane
    let (listening, signal) = AsyncStream.makeStream(of: Void.self)
    task = Task { [plane] in
      defer { signal.finish() }
      try await plane.run(onListening: { signal.yield() })
    }
    var iterator = listening.makeAsyncIterator()
    if await iterator.next() == nil { try await task.value }
  }

  func stop() async throws {
    task.cancel()
    try await task.value
  }

  /// A request on a thread that may block.
  func send(
    _ method: String, _ path: String, query: [(String, String)] = [], body: JSONValue? = nil,
    contentType: String = "application/json", accept: String = "application/json"
  ) async throws -> JSONValue {
    let client = client
    return try await blocking {
      try client.send(
        method, path.split(separator: "/").map(String.init), query: query, body: body, contentType: contentType,
        accept: accept)
    }
  }

  /// Asks until an object is as wanted.
  func wait(_ path: String, seconds: Double = 10, until: @Sendable (JSONValue) -> Bool) async throws -> JSONValue {
    let end = ContinuousClock.now + .seconds(seconds)
    while true {
      let object = try await send("GET", path)
      if until(object) { return object }
      guard ContinuousClock.now < end else {
        throw ReplError(.bug, subject: path, cause: "not as wanted in time: \(object.compactText)")
      }
      try await Task.sleep(for: .milliseconds(20))
    }
  }

  /// Runs a command line of the client in this process.
  func run(_ arguments: String...) async throws -> Int32 { try await run(arguments) }

  func run(_ arguments: [String]) async throws -> Int32 {
    let path = socketPath
    return try await blocking { Main.run(["--socket", path] + arguments) }
  }
}

/// Runs blocking code on a thread of its own, away from the cooperative pool.
func blocking<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
  try await withCheckedThrowingContinuation { continuation in
    let box = Unmanaged.passRetained(ThreadBody { continuation.resume(with: Result { try body() }) })
    var thread = pthread_t()
    let code = pthread_create(
      &thread, nil,
      { argument in
        guard let argument else { return nil }
        Unmanaged<ThreadBody>.fromOpaque(argument).takeRetainedValue().body()
        return nil
      }, box.toOpaque())
    if code == 0 { pthread_detach(thread) } else { box.takeRetainedValue().body() }
  }
}

private final class ThreadBody {
  let body: () -> Void
  init(_ body: @escaping () -> Void) { self.body = body }
}
