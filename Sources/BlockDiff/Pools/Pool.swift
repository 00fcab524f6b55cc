public import ReplModel

/// The agent that a pool belongs to.
public struct PoolOwner: Hashable, Sendable, CustomStringConvertible {
  public var cluster: String
  public var node: String

  public init(cluster: String, node: String) {
    self.cluster = cluster
    self.node = node
  }

  public var description: String { "node \(node) of cluster \(cluster)" }
}

/// A directory in which this agent keeps volumes, snapshots, points and staging files. Holds the pool's lock as long as
/// it lives. Any thread may call.
public final class Pool: Sendable {
  /// The `superblock` file.
  struct Superblock: Hashable, Sendable {
    var id: PoolID
    var owner: PoolOwner

    static let envelope = Envelope(magic: "RPLSUPER", version: 1, what: "superblock")
    static let sizeLimit = 4096
  }

  /// A pool that its agent has used before.
  public struct Known: Sendable {
    /// Nil where the agent did not write it down.
    public var id: PoolID?
    public init(id: PoolID?) { self.id = id }
  }

  public let id: PoolID
  public let owner: PoolOwner
  public let layout: PoolLayout
  public let storage: any Storage
  public let fileSystem: FileSystemKind
  /// Why the pool cannot hold points or reflink snapshots, with the remedy; nil if it can.
  public let pointRefusal: ReplError?
  private let lock: any PoolLockHandle

  /// Whether snapshots, staging and points work here: a file system with reflinks.
  public var supportsPoints: Bool { pointRefusal == nil }
  public var points: PointStore { PointStore(layout: layout, storage: storage) }

  /// Opens the pool at an existing directory, making what is missing at first use.
  ///
  /// Refuses a pool that another agent holds or owns, or of a newer format. On a file system without reflinks it opens
  /// with ``pointRefusal`` set.
  ///
  /// - Parameters:
  ///   - known: the pool that must be there already: an empty directory in its place is a file system that is not
  ///     mounted, and is left as it is. Nil for a pool at its first use.
  ///   - lock: ``FileLocking`` outside of tests.
  ///   - newID: the id that a new pool gets.
  public static func open(
    _ path: String, owner: PoolOwner, known: Known? = nil, storage: any Storage,
    lock: any PoolLocking = FileLocking(), newID: PoolID = .random()
  ) throws(ReplError) -> Pool {
    let layout = PoolLayout(pool: path)
    guard try storage.exists(path) else {
      throw ReplError(
        .notFound, subject: "pool \(path)", cause: "is not a directory", remedy: "make it, on XFS or btrfs")
    }
    if known != nil, try !storage.exists(layout.superblock) {
      throw unmounted(path, "holds no pool, and this agent has one here")
    }
    try storage.makeDirectory(layout.root)
    try storage.synchronizeDirectory(layout.pool)
    let handle = try lock.lock(layout.lock)
    let superblock = try readOrMakeSuperblock(layout, owner, storage, newID)
    guard superblock.owner == owner else {
      throw ReplError(
        .refused, subject: "pool \(path)", cause: "belongs to \(superblock.owner), this agent is \(owner)",
        remedy: "give this agent a pool of its own, or start it with that cluster id and node name")
    }
    if let id = known?.id, id != superblock.id {
      throw unmounted(path, "is pool \(superblock.id), and the one this agent has here is \(id)")
    }
    for directory in layout.directories { try storage.makeDirectory(directory) }
    try storage.synchronizeDirectory(layout.root)
    return try Pool(superblock, layout, storage, handle)
  }

  private static func unmounted(_ path: String, _ cause: String) -> ReplError {
    ReplError(
      .refused, subject: "pool \(path)", cause: cause,
      remedy: "mount its file system and start again; a pool that is to begin anew gets a new name under 'pools'")
  }

  /// Throws when the pool's path does not lead to this pool any more: its file system was unmounted, or another one was
  /// mounted over it. What is written there then would be lost to the pool.
  public func requirePresent() throws(ReplError) {
    let found: PoolID?
    do throws(ReplError) {
      found = try Self.readSuperblock(layout, storage).id
    } catch {
      guard error.kind == .notFound else { throw error }
      found = nil
    }
    guard found != id else { return }
    throw ReplError(
      .io, subject: "pool \(layout.pool)", cause: "is not at its path any more: its file system is not mounted there",
      remedy: "mount it and restart the agent")
  }

  private init(
    _ superblock: Superblock, _ layout: PoolLayout, _ storage: any Storage, _ lock: any PoolLockHandle
  ) throws(ReplError) {
    id = superblock.id
    owner = superblock.owner
    self.layout = layout
    self.storage = storage
    self.lock = lock
    let file = try storage.open(layout.superblock, .read)
    fileSystem = try file.fileSystem()
    pointRefusal = try Self.refusal(of: file, fileSystem, layout, storage)
    try file.close()
  }

  /// Lets another agent have the pool.
  public func close() { lock.release() }

  private static func readOrMakeSuperblock(
    _ layout: PoolLayout, _ owner: PoolOwner, _ storage: any Storage, _ newID: PoolID
  ) throws(ReplError) -> Superblock {
    if try storage.exists(layout.superblock) { return try readSuperblock(layout, storage) }
    guard try storage.listIfPresent(layout.points).isEmpty else {
      throw ReplError(
        .damaged, subject: "pool \(layout.pool)", cause: "holds recovery points and has no superblock",
        remedy: "restore the file 'superblock' of \(layout.root) from a backup, or move that directory away")
    }
    let superblock = Superblock(id: newID, owner: owner)
    var writer = ByteWriter()
    writer.write(superblock.id)
    writer.write(owner.cluster)
    writer.write(owner.node)
    try storage.writeFileDurably(layout.superblock, Superblock.envelope.encode(writer.bytes))
    return superblock
  }

  private static func readSuperblock(_ layout: PoolLayout, _ storage: any Storage) throws(ReplError) -> Superblock {
    let bytes = try storage.readFile(layout.superblock, limit: Superblock.sizeLimit)
    return try Superblock.envelope.decode(bytes, path: layout.superblock) { (reader) throws(DecodingFailure) in
      Superblock(
        id: try reader.readIdentifier(),
        owner: PoolOwner(cluster: try reader.readString(limit: 1024), node: try reader.readString(limit: 1024)))
    }
  }

  /// Decided by the file system's magic number first, then by trying: XFS may have been made without reflinks.
  private static func refusal(
    of superblock: any StorageFile, _ kind: FileSystemKind, _ layout: PoolLayout, _ storage: any Storage
  ) throws(ReplError) -> ReplError? {
    let remedy = "use a directory on btrfs, or on XFS made with reflink=1; volumes here can still be sources"
    if case .other(let magic) = kind {
      return ReplError(
        .refused, subject: "pool \(layout.pool)",
        cause: "cannot hold recovery points: its file system (magic 0x\(String(magic, radix: 16))) has no reflinks",
        remedy: remedy)
    }
    try storage.removeTree(layout.probe)
    do throws(ReplError) {
      try storage.clone(superblock, to: layout.probe).close()
    } catch  where error.kind == .refused || error.kind == .invalid {
      return ReplError(
        .refused, subject: "pool \(layout.pool)", cause: "cannot hold recovery points: \(error.cause)", remedy: remedy)
    } catch { throw error }
    try storage.removeFile(layout.probe)
    return nil
  }
}
