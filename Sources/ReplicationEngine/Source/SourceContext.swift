import BlockDiff
import ReplModel
import WireProtocol

/// What the source side works with. Everything that touches the world is in here, so that a simulation can replace it.
struct SourceContext: Sendable {
  var configuration: EngineConfiguration
  var database: AgentDatabase
  var storage: any Storage
  var live: any LiveVolumes
  var snapshotter: ReflinkSnapshotter
  var pools: PoolSet
  var clock: any EngineClock
  var random = Randomness.system
  var events: EventHub
  /// Waits as long as the bandwidth limit asks for so many bytes.
  var pace: @Sendable (UInt64) -> Void
  /// Runs jobs on threads of their own, or one after the other in a simulation.
  var threads: any ThreadRunner
  /// Which volumes a run works on.
  var activity = VolumeActivity()
  /// Where sessions ship, whichever run they are of.
  var places = SessionPlaces(capacity: 1)
  /// Shared with the target side.
  var streams = StreamBudget(capacity: 16)
  var repairFailures = RepairFailures()
  var spaceLevels = SpaceLevels()
  var scrubPauses = ScrubPauses()
  var metrics = EngineMetrics.none
  var lastSessions = LastSessions()

  /// Where nothing may lie that people name.
  var privateDirectories: PrivateDirectories {
    let state = ["/pki", "/digests"].map { configuration.stateDirectory + $0 }
    return PrivateDirectories(pools.layouts.map(\.root) + state)
  }
}

/// Opens live volumes. The kernel's implementation checks `allowedPaths` on the opened descriptor.
protocol LiveVolumes: Sendable {
  func open(_ volume: VolumeRecord) throws(ReplError) -> any StorageFile
  /// Begins to watch that nobody writes the volume.
  func watch(_ volume: VolumeRecord) throws(ReplError) -> any StillnessWatch
  /// What an opened volume is recognised by; nil where files are not those of the kernel.
  func identity(of file: any StorageFile) throws(ReplError) -> DurableIdentity?
}

/// Evidence that a volume holds still from its beginning to `finish`.
protocol StillnessWatch: Sendable {
  /// What may be read while the watch lasts.
  var file: any StorageFile { get }
  /// Cheap; throws `noPointInTime` once the volume was seen to change.
  func check() throws(ReplError)
  /// The last look; throws `noPointInTime` if anything changed since the beginning.
  func finish() throws(ReplError)
  func end()
}

/// Runs blocking jobs side by side.
protocol ThreadRunner: Sendable {
  /// Runs `job` for 0 to `count` − 1, at most `limit` at once, and returns when every one has ended; throws the first
  /// error that happened.
  func runAll(_ count: Int, limit: Int, _ job: @escaping @Sendable (Int) throws(ReplError) -> Void) throws(ReplError)
}

/// One job after the other on the caller's thread.
struct InlineThreads: ThreadRunner {
  func runAll(
    _ count: Int, limit: Int, _ job: @escaping @Sendable (Int) throws(ReplError) -> Void
  ) throws(ReplError) {
    for index in 0..<count { try job(index) }
  }
}
