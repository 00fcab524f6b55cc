import AgentService
import BlockDiff
import GRDB
import ReplModel

/// Makes, imports and deletes the volumes this agent owns. Calls block.
struct SourceVolumes: Sendable {
  let context: SourceContext
  let kernel: LinuxStorage

  func create(_ request: CreateVolumeRequest) throws(ReplError) -> VolumeRecord {
    try checkNames(request.namespace, request.name)
    guard request.size > 0, request.size <= 1 << 60 else {
      throw ReplError(.invalid, subject: "size \(request.size)", cause: "is not between 1 byte and 1 EiB")
    }
    try requireFree(request.namespace, request.name)
    let pool = try pool(named: request.pool)
    let directory = pool.layout.volumes + "/" + request.namespace
    let path = "\(directory)/\(request.name).img"
    try context.storage.makeDirectory(pool.layout.volumes)
    try context.storage.makeDirectory(directory)
    try requireNotPrivate(path)
    let file: any StorageFile
    do throws(ReplError) {
      file = try context.storage.open(path, .createNew)
    } catch {
      guard error.kind == .exists else { throw error }
      throw ReplError(
        .exists, subject: path, cause: "is there already", remedy: "replctl volume import, or move the file away")
    }
    do throws(ReplError) {
      try file.truncate(to: request.size)
      try file.synchronize()
      try context.storage.synchronizeDirectory(directory)
      let identity = try context.live.identity(of: file) ?? DurableIdentity(isDevice: false, marks: [:])
      try file.close()
      return try record(
        request.namespace, request.name, path, pool, identity, request.size, allowFuzzy: false)
    } catch {
      try? context.storage.removeFile(path)
      throw error
    }
  }

  /// A file or device that exists. A pool that is named must lie on its file system; without one the best change source
  /// there is is taken.
  func `import`(_ request: ImportVolumeRequest) throws(ReplError) -> VolumeRecord {
    try checkNames(request.namespace, request.name)
    try requireFree(request.namespace, request.name)
    let allowed = context.configuration.allowedPaths
    let live = try LiveVolumeFile.inspect(request.path, allowedPaths: allowed, storage: kernel)
    guard live.size > 0 else {
      throw ReplError(
        .invalid, subject: request.path, cause: "is empty: a volume has a size",
        remedy: "give it one with `truncate -s SIZE`, or make a new volume with `replctl volume create`")
    }
    try requireNotOwned(live, allowed)
    let identity = try recognisable(request.path)
    let home = try homePool(live, wanted: request.pool)
    return try record(
      request.namespace, request.name, request.path, home, identity, live.size, allowFuzzy: request.allowFuzzy)
  }

  /// Takes a volume out of the agent; with `data` its live file goes too, unless something holds it open or another one
  /// lies at its path. A block device is never erased.
  func delete(_ id: VolumeID, data: Bool) throws(ReplError) {
    guard let volume = try context.database.read({ try VolumeRecord.find($0, id) }) else {
      throw ReplError(.notFound, subject: "volume \(id)", cause: "is not a volume of this agent")
    }
    let file = data ? try deletable(volume) : nil
    let snapshots = try context.database.read { try SnapshotRecord.all($0, volume: id) }
    try context.database.write { database in
      try NoticeRecord.tell(database, of: id) { _ in .deleted }
      for snapshot in snapshots { try SnapshotRecord.delete(database, snapshot.point) }
      try VolumeRecord.delete(database, id)
    }
    for snapshot in snapshots { try? context.storage.removeTree(snapshot.directory) }
    guard let file else { return }
    try context.storage.removeFile(file)
    try context.storage.synchronizeDirectory(parentDirectory(of: file))
  }

  // MARK: Checks

  private func checkNames(_ namespace: String, _ name: String) throws(ReplError) {
    for text in [namespace, name] {
      let allowed = text.utf8.allSatisfy { byte in
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
          || byte == UInt8(ascii: "-") || byte == UInt8(ascii: ".")
      }
      let edges = [text.utf8.first, text.utf8.last].allSatisfy {
        $0 != nil && $0 != UInt8(ascii: "-") && $0 != UInt8(ascii: ".")
      }
      guard allowed, edges, text.utf8.count <= 253 else {
        throw ReplError(
          .invalid, subject: "name '\(text.prefix(80))'", cause: "is not a name",
          remedy: "use lower-case letters, digits, '-' and '.', beginning and ending with a letter or digit")
      }
    }
  }

  private func requireFree(_ namespace: String, _ name: String) throws(ReplError) {
    guard try context.database.read({ try VolumeRecord.find($0, namespace: namespace, name: name) }) == nil else {
      throw ReplError(
        .exists, subject: "volume \(namespace)/\(name)", cause: "exists already",
        remedy: "choose another name; if only its PersistentVolumeClaim is gone, apply one named \(name) in namespace "
          + "\(namespace) with the volume's name as spec.volumeName (see `replctl get pv`); "
          + "`replctl volume delete \(name) -n \(namespace)` takes the volume out of the agent and keeps its file")
    }
  }

  private func requireNotOwned(_ live: LiveVolumeFile, _ allowed: [String]) throws(ReplError) {
    for volume in try context.database.read({ try VolumeRecord.all($0) }) {
      guard let other = try? LiveVolumeFile.inspect(volume.path, allowedPaths: allowed, storage: kernel) else {
        continue
      }
      guard other.identity != live.identity else {
        throw ReplError(
          .exists, subject: live.path, cause: "is \(volume.label) already",
          remedy: "use that volume, or take it out first: its file stays with `replctl volume delete`")
      }
    }
    try requireNotPrivate(live.path)
  }

  private func requireNotPrivate(_ path: String) throws(ReplError) {
    try context.privateDirectories.requireOutside(
      path, remedy: "replctl recovery-points clone makes a file of a point that can be imported")
  }

  /// The volume's file without symbolic links, if it may be deleted.
  private func deletable(_ volume: VolumeRecord) throws(ReplError) -> String {
    guard !volume.isDevice else {
      throw ReplError(
        .refused, subject: volume.label, cause: "is the block device \(volume.path), and devices are never erased",
        remedy: "delete the volume without its data, then erase the device yourself (blkdiscard, wipefs)")
    }
    let live = try LiveVolumeFile.inspect(
      volume.path, allowedPaths: context.configuration.allowedPaths, storage: kernel)
    if let recorded = volume.identity, recorded.verdict(try identity(of: volume.path)) != .same {
      throw ReplError(
        .refused, subject: volume.path, cause: "is another file than that of \(volume.label)",
        remedy: "delete the volume without its data, and this file yourself")
    }
    guard let holder = try VolumeHolders.find(live.identity).first else { return live.realPath }
    throw ReplError(
      .refused, subject: volume.label, cause: "is in use by \(holder)", remedy: "stop it, then delete the data")
  }

  private func identity(of path: String) throws(ReplError) -> DurableIdentity {
    let file = try kernel.openAllowed(path, allowedPaths: context.configuration.allowedPaths)
    defer { try? file.close() }
    return try DurableIdentity(file)
  }

  /// What the file or device at a path will be recognised by. A name that the kernel may give to another disk is taken only
  /// if something else tells.
  private func recognisable(_ path: String) throws(ReplError) -> DurableIdentity {
    let file = try kernel.openAllowed(path, allowedPaths: context.configuration.allowedPaths)
    defer { try? file.close() }
    let identity = try DurableIdentity(file)
    guard !identity.isUnique, try DurableIdentity.isKernelName(path, of: file) else { return identity }
    throw ReplError(
      .refused, subject: path,
      cause: "is a name that the kernel may give to another disk, and the device has no serial number or UUID to check",
      remedy:
        "name it by a link that follows the device, such as one in /dev/disk/by-id, /dev/disk/by-path or /dev/mapper")
  }

  // MARK: Pools

  private func pool(named name: String?) throws(ReplError) -> PoolSet.Entry {
    guard let name else {
      if let first = context.pools.entries.first { return first }
      throw ReplError(.refused, subject: "this agent", cause: "has no pool", remedy: "name one under 'pools'")
    }
    if let found = context.pools.entry(named: name) { return found }
    let known = context.pools.entries.map(\.name).joined(separator: ", ")
    throw ReplError(.notFound, subject: "pool \(name)", cause: "is not in the configuration", remedy: "known: \(known)")
  }

  /// The pool on the volume's own file system; nil where there is none and none was asked for.
  private func homePool(_ live: LiveVolumeFile, wanted: String?) throws(ReplError) -> PoolSet.Entry? {
    let candidates = try wanted.map { (name) throws(ReplError) in [try pool(named: name)] } ?? context.pools.entries
    for entry in candidates where try isOnSameFileSystem(live, entry) { return entry }
    guard let wanted else { return nil }
    throw ReplError(
      .invalid, subject: live.path, cause: "lies on another file system than pool \(wanted)",
      remedy: "move it there, or import it without --pool to use the digest source")
  }

  private func isOnSameFileSystem(_ live: LiveVolumeFile, _ entry: PoolSet.Entry) throws(ReplError) -> Bool {
    guard live.kind == .file, case .file(let device, _) = live.identity else { return false }
    let superblock = try context.storage.open(entry.layout.superblock, .read)
    defer { try? superblock.close() }
    return try superblock.stamp().device == device
  }

  private func record(
    _ namespace: String, _ name: String, _ path: String, _ pool: PoolSet.Entry?, _ identity: DurableIdentity,
    _ size: UInt64, allowFuzzy: Bool
  ) throws(ReplError) -> VolumeRecord {
    var generator = SystemRandomNumberGenerator()
    let record = VolumeRecord(
      replica: Replica(
        cluster: context.configuration.clusterID, volume: context.random.identifier(), namespace: namespace, name: name,
        authority: .new(), pool: pool.flatMap { $0.pool.supportsPoints ? $0.name : nil } ?? ""),
      path: path, isDevice: identity.isDevice, size: size, allowFuzzy: allowFuzzy, nextGeneration: 1,
      distrustReason: nil, fullReason: nil, identity: identity)
    let key = FingerprintKey.random(using: &generator)
    try context.database.write { database in
      try LineageKeys.save(database, record.lineage, key)
      try record.insert(database)
    }
    return record
  }
}
