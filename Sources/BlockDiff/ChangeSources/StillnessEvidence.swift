import CStorageShims
import Glibc
public import ReplModel
import Synchronization
import Threads

/// Evidence that a live volume does not change from the first byte read to the last (design section 5). Without it
/// nothing that was read from a live volume is sealed.
///
/// A file: a read lease, by which the kernel vouches that it is neither open for writing nor mapped writable anywhere
/// and tells when somebody wants to write; and unchanged size, times and identity. A block device: an exclusive open
/// or a read-only device; no writer of it, its disk or its partitions; unchanged write counters.
///
/// ``check()`` must be called at least every few seconds: a process that wants to write waits for the lease until
/// then. Any thread may call.
public final class StillnessEvidence: Sendable {
  /// Who holds a volume; replaced in tests.
  public typealias FindHolders = @Sendable (VolumeIdentity) throws(ReplError) -> VolumeSurvey

  /// The volume, open for reading; its pages in the cache are left as they are.
  public let file: LinuxFile
  private let identity: VolumeIdentity
  private let stamp: FileStamp
  private let counters: DeviceCounters?
  private let realPath: String
  private let hasLease: Locked<Bool>
  private let lostLease = Atomic<Bool>(false)
  private let findHolders: FindHolders

  /// Begins to watch. Errors: `noPointInTime` when somebody could write; those of
  /// ``LinuxStorage/openAllowed(_:allowedPaths:exclusive:uncached:)``.
  public static func begin(
    _ path: String, allowedPaths: [String], storage: LinuxStorage = LinuxStorage(),
    findHolders: @escaping FindHolders = { (identity) throws(ReplError) in try VolumeHolders.survey(identity) }
  ) throws(ReplError) -> StillnessEvidence {
    for _ in 1..<attempts {
      do throws(ReplError) {
        return try StillnessEvidence(path, allowedPaths, storage, findHolders)
      } catch {
        // In use, but by nobody who can still be found: it ended this moment (a child process that had the file for
        // the instant before it ran its program is enough).
        guard error.kind == .noPointInTime, error.cause.hasSuffix(nobodyFound) else { throw error }
        usleep(20_000)
      }
    }
    return try StillnessEvidence(path, allowedPaths, storage, findHolders)
  }

  private static let attempts = 5
  private static let nobodyFound = "the kernel says that somebody has it in use"

  private init(
    _ path: String, _ allowedPaths: [String], _ storage: LinuxStorage, _ findHolders: @escaping FindHolders
  ) throws(ReplError) {
    realPath = try storage.resolveAllowed(path, allowedPaths: allowedPaths)
    self.findHolders = findHolders
    file = try Self.open(path, allowedPaths, storage, findHolders)
    identity = VolumeIdentity(try file.status())
    guard case .device(let packed) = identity else {
      counters = nil
      let lease = css_take_read_lease(file.descriptor)
      hasLease = Locked(lease == 0)
      // Taken under the lease: nothing can change them from here on.
      stamp = try file.stamp()
      if lease == -EAGAIN || lease == -EBUSY { throw Self.notStill(path, try findHolders(identity)) }
      // Some file systems have no leases; there the holders are the evidence.
      if lease != 0 { try requireNoWriter(seesAll: true) }
      return
    }
    hasLease = Locked(false)
    stamp = try file.stamp()
    // What earlier writers left in the cache is counted now, not later.
    try file.synchronizeData()
    counters = try DeviceCounters(DeviceNumber(packed), subject: path)
    // The counters are the evidence; that nobody is ready to write spares reading in vain.
    try requireNoWriter(seesAll: false)
  }

  private static func open(
    _ path: String, _ allowedPaths: [String], _ storage: LinuxStorage, _ findHolders: FindHolders
  ) throws(ReplError) -> LinuxFile {
    let volume = try LiveVolumeFile.inspect(path, allowedPaths: allowedPaths, storage: storage)
    guard volume.kind == .device else {
      return try storage.openAllowed(path, allowedPaths: allowedPaths, uncached: true)
    }
    do throws(ReplError) {
      return try storage.openAllowed(path, allowedPaths: allowedPaths, exclusive: true)
    } catch {
      guard error.kind == .refused else { throw error }
      // Somebody has claimed it (a mount, device mapper): still only if nobody can write to it at all.
      let file = try storage.openAllowed(path, allowedPaths: allowedPaths)
      try requireReadOnly(file, findHolders)
      return file
    }
  }

  deinit { end() }

  /// Cheap, for between chunks: the lease holds, size and times are the same. Gives the lease back at once when
  /// somebody waits for it. Throws `noPointInTime` for good once the volume was seen to change.
  public func check() throws(ReplError) {
    try checkLease()
    try checkStamp()
    try checkCounters()
  }

  /// The last look, after the last byte was read: also who holds the volume, and whether its name still leads to it.
  public func finish() throws(ReplError) {
    if counters != nil { try file.synchronizeData() }
    try check()
    try requireSameName()
    let leased = hasLease.withLock { $0 }
    if !leased { try requireNoWriter(seesAll: counters == nil) }
    // Once more: a writer may have come and gone while the holders were looked at.
    try check()
  }

  /// Gives the lease back. Called when the object goes, too.
  public func end() {
    hasLease.withLock { held in
      if held { _ = css_release_lease(file.descriptor) }
      held = false
    }
  }

  private func checkLease() throws(ReplError) {
    let isLost = hasLease.withLock { held in
      guard held, css_read_lease_holds(file.descriptor) != 1 else { return false }
      _ = css_release_lease(file.descriptor)
      held = false
      return true
    }
    if isLost { lostLease.store(true, ordering: .sequentiallyConsistent) }
    guard lostLease.load(ordering: .sequentiallyConsistent) else { return }
    throw Self.error(file.path, "it was opened for writing while it was read")
  }

  private func checkStamp() throws(ReplError) {
    let now = try file.stamp()
    guard now != stamp else { return }
    let what =
      now.size != stamp.size ? "its size changed from \(stamp.size) to \(now.size) bytes" : "it was modified"
    throw Self.error(file.path, "\(what) while it was read")
  }

  private func checkCounters() throws(ReplError) {
    guard let counters, case .device(let packed) = identity else { return }
    guard try DeviceCounters(DeviceNumber(packed), subject: file.path) != counters else { return }
    throw Self.error(file.path, "the device was written to while it was read")
  }

  private func requireSameName() throws(ReplError) {
    var info = stat()
    guard stat(realPath, &info) == 0, VolumeIdentity(info) == identity else {
      throw Self.error(file.path, "its name was given to another file while it was read")
    }
  }

  /// With `seesAll` a process that cannot be looked into counts as a writer.
  private func requireNoWriter(seesAll: Bool) throws(ReplError) {
    let survey = try findHolders(identity)
    guard survey.writers.isEmpty else { throw Self.notStill(file.path, survey) }
    guard seesAll, let unseen = survey.unseenProcesses.first else { return }
    throw Self.error(
      file.path, "its file system has no leases, and the kernel does not show what process \(unseen) has open")
  }

  private static func requireReadOnly(_ file: LinuxFile, _ findHolders: FindHolders) throws(ReplError) {
    var isReadOnly = false
    try checked(.init("ask whether the device is read-only", file.path)) {
      css_device_read_only(file.descriptor, &isReadOnly)
    }
    if isReadOnly { return }
    throw notStill(file.path, try findHolders(VolumeIdentity(try file.status())))
  }

  private static func notStill(_ path: String, _ survey: VolumeSurvey) -> ReplError {
    let holders = survey.writers.isEmpty ? survey.holders : survey.writers
    let named = holders.prefix(5).map(\.description).joined(separator: ", ")
    let more = holders.count > 5 ? " and \(holders.count - 5) more" : ""
    return error(path, holders.isEmpty ? nobodyFound : named + more)
  }

  private static func error(_ path: String, _ cause: String) -> ReplError {
    ReplError(
      .noPointInTime, subject: path, cause: "cannot take a point in time: \(cause)",
      remedy: "move the volume to a pool on XFS or btrfs, stop the writer, or set consistency: none on the volume")
  }
}
