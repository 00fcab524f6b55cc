public import BlockDiff
public import ReplModel
import Synchronization

/// A disk in memory that forgets what was not synced.
///
/// Written data is volatile until fsync or fdatasync of the file, names until fsync of their directory.
/// ``crash(using:)`` keeps what is durable and a random part of the rest: blocks whole or torn, names in the order of
/// each directory. Every write goes to a new physical address and clones share blocks, as on a reflink file system.
/// Faults and power cuts are set through ``gate``. Begins with the empty directory `/`. Any thread may call; the same
/// calls with the same seeds give the same results.
public final class SimulatedDisk: Storage {
  struct State {
    var tree = SimulatedTree()
    var kind: FileSystemKind = .xfs
    var capacity: UInt64?
    /// Counted bytes, and what was allocated since.
    var counted: UInt64 = 0
    var allocated: UInt64 = 0
    var nextPhysical: UInt64 = 1 << 20
    /// Crashes so far: open files and locks belong to one.
    var epoch = 0
    /// Paths of locks that are held, and who holds them.
    var locks: [String: ObjectIdentifier] = [:]
  }

  /// Counts, logs, fails and stops operations.
  public let gate = OperationGate()
  private let state = Mutex(State())

  public init(_ kind: FileSystemKind = .xfs, capacity: UInt64? = nil) {
    state.withLock {
      $0.kind = kind
      $0.capacity = capacity
    }
  }

  /// What files say of their file system.
  public var kind: FileSystemKind {
    get { state.withLock { $0.kind } }
    set { state.withLock { $0.kind = newValue } }
  }

  /// Bytes after which writes fail for want of room; nil for no limit.
  public var capacity: UInt64? {
    get { state.withLock { $0.capacity } }
    set {
      state.withLock {
        $0.capacity = newValue
        $0.recount()
      }
    }
  }

  /// Takes the power away and gives it back: loses what was not synced, all but a random part, and closes all files.
  /// Faults and the power cut of ``gate`` are over.
  public func crash(using generator: inout SeededGenerator) {
    var copy = generator
    state.withLock {
      $0.tree = $0.tree.crashed(using: &copy)
      $0.epoch += 1
      $0.locks = [:]
    }
    generator = copy
    gate.reset()
  }

  /// What ``crash(using:)`` would leave, as a disk of its own: an image taken without unmounting.
  public func crashedCopy(using generator: inout SeededGenerator) -> SimulatedDisk {
    var copy = generator
    let result = SimulatedDisk()
    let left = state.withLock {
      var left = $0
      left.tree = $0.tree.crashed(using: &copy)
      return UncheckedBox(left)
    }
    result.state.withLock { $0 = left.value }
    generator = copy
    return result
  }

  /// Flips one bit of a file on the medium, under all files that share the block; times and size do not change. False
  /// if there is a hole.
  @discardableResult
  public func corrupt(_ path: String, at offset: UInt64, bit: Int = 0) -> Bool {
    state.withLock { state in
      let grain = UInt64(SimulatedBlock.size)
      guard let block = state.tree.find(path)?.content.blocks[offset / grain] else { return false }
      var bytes = block.bytes
      bytes[Int(offset % grain)] ^= 1 << UInt8(bit % 8)
      let damaged = SimulatedBlock(bytes: bytes, physical: block.physical)
      for inode in state.tree.inodes { inode.replace(physical: block.physical, with: damaged) }
      return true
    }
  }

  /// Makes a block of a file one that the device acknowledged and did not write: it reads as a hole once the cache lets
  /// go of it. False if there is a hole already.
  @discardableResult
  public func losesWrite(_ path: String, at offset: UInt64) -> Bool {
    state.withLock { state in
      let index = offset / UInt64(SimulatedBlock.size)
      guard let inode = state.tree.find(path), inode.content.blocks[index] != nil else { return false }
      inode.lose(index)
      return true
    }
  }

  /// Writes into a file although it is immutable, as somebody with root's rights may; its times change. False if there
  /// is no such file.
  @discardableResult
  public func tamper(_ path: String, at offset: UInt64, _ bytes: [UInt8]) -> Bool {
    state.withLock { state in
      guard let inode = state.tree.find(path), !inode.isDirectory else { return false }
      let wasImmutable = inode.attributes.isImmutable
      let now = state.tree.tick()
      let grain = UInt64(SimulatedBlock.size)
      for (position, byte) in bytes.enumerated() {
        let place = offset + UInt64(position)
        var block = inode.bytes(of: place / grain)
        block[Int(place % grain)] = byte
        inode.set(place / grain, state.newBlock(block))
      }
      inode.attributes = .init(modified: now, changed: now, isImmutable: wasImmutable)
      inode.synchronize(withAttributes: true)
      return true
    }
  }

  /// All of a file as programs see it now; nil if there is none.
  public func contents(_ path: String) -> [UInt8]? {
    state.withLock { state in
      guard let inode = state.tree.find(path), !inode.isDirectory else { return nil }
      var bytes = [UInt8](repeating: 0, count: Int(inode.content.size))
      _ = bytes.withUnsafeMutableBytes { inode.read(into: $0, at: 0) }
      return bytes
    }
  }

  /// All paths, sorted, directories with a slash at the end.
  public var paths: [String] {
    state.withLock { state in
      func walk(_ inode: SimulatedInode, _ path: String) -> [String] {
        guard inode.isDirectory else { return [path] }
        return [path + "/"] + inode.entries.sorted { $0.key < $1.key }.flatMap { walk($0.value, path + "/" + $0.key) }
      }
      return Array(walk(state.tree.root, "").dropFirst())
    }
  }

  func locked<Value>(_ body: (inout State) throws(ReplError) -> Value) throws(ReplError) -> Value {
    // Boxed because nodes of the tree are returned to code that takes the lock again before it touches them.
    try state.withLock { (state) throws(ReplError) in UncheckedBox(try body(&state)) }.value
  }

  // MARK: Storage

  public func open(_ path: String, _ mode: OpenMode) throws(ReplError) -> any StorageFile {
    let creates = if case .createNew = mode { true } else { false }
    let reads = if case .read = mode { true } else { false }
    try gate.pass(StorageOperation(creates ? .create : .open, path))
    return try locked { (state) throws(ReplError) in
      if creates {
        let inode = state.tree.makeInode(isDirectory: false)
        try state.tree.add(inode, at: path)
        return SimulatedFile(self, inode, path, isWritable: true, epoch: state.epoch)
      }
      guard let inode = state.tree.find(path) else { throw ReplError(.notFound, subject: path, cause: "is not there") }
      guard !inode.isDirectory else { throw ReplError(.invalid, subject: path, cause: "is a directory") }
      guard reads || !inode.attributes.isImmutable else {
        throw ReplError(.refused, subject: path, cause: "is immutable")
      }
      return SimulatedFile(self, inode, path, isWritable: !reads, epoch: state.epoch)
    }
  }

  public func clone(_ source: any StorageFile, to path: String) throws(ReplError) -> any StorageFile {
    try gate.pass(StorageOperation(.clone, path, from: source.path))
    guard let source = (source as? RecordedFile)?.base as? SimulatedFile ?? source as? SimulatedFile else {
      throw ReplError(.bug, subject: path, cause: "the source of the clone is on another disk")
    }
    return try locked { (state) throws(ReplError) in
      if case .other = state.kind {
        throw ReplError(.refused, subject: path, cause: "cannot share the blocks of \(source.path): not supported")
      }
      try source.checkEpoch(state)
      let inode = state.tree.makeInode(isDirectory: false)
      try state.tree.add(inode, at: path)
      inode.adopt(clone: source.inode.cloneable)
      return SimulatedFile(self, inode, path, isWritable: true, epoch: state.epoch)
    }
  }

  public func rename(_ path: String, to newPath: String) throws(ReplError) {
    try gate.pass(StorageOperation(.rename, newPath, from: path))
    try locked { (state) throws(ReplError) in try state.tree.move(path, to: newPath, replacing: false) }
  }

  public func replace(_ path: String, with newPath: String) throws(ReplError) {
    try gate.pass(StorageOperation(.replace, newPath, from: path))
    try locked { (state) throws(ReplError) in try state.tree.move(path, to: newPath, replacing: true) }
  }

  public func removeFile(_ path: String) throws(ReplError) {
    try gate.pass(StorageOperation(.removeFile, path))
    try locked { (state) throws(ReplError) in
      guard let inode = state.tree.find(path) else { return }
      guard !inode.isDirectory else { throw ReplError(.invalid, subject: path, cause: "is a directory") }
      if inode.attributes.isImmutable { throw ReplError(.refused, subject: path, cause: "is immutable") }
      try state.tree.remove(path)
    }
  }

  public func removeTree(_ path: String) throws(ReplError) {
    try gate.pass(StorageOperation(.removeTree, path))
    let children: [String]? = try locked { (state) throws(ReplError) in
      guard let inode = state.tree.find(path) else { return nil }
      return inode.isDirectory ? inode.entries.keys.sorted() : []
    }
    guard let children else { return }
    // Each child is an operation of its own: a crash leaves some of them.
    for name in children { try removeTree(path + "/" + name) }
    try locked { (state) throws(ReplError) in try state.tree.remove(path) }
  }

  public func makeDirectory(_ path: String) throws(ReplError) {
    try gate.pass(StorageOperation(.makeDirectory, path))
    try locked { (state) throws(ReplError) in
      if let inode = state.tree.find(path) {
        guard inode.isDirectory else { throw ReplError(.exists, subject: path, cause: "is a file") }
        return
      }
      let inode = state.tree.makeInode(isDirectory: true)
      try state.tree.add(inode, at: path)
    }
  }

  public func list(_ path: String) throws(ReplError) -> [String] {
    try gate.pass(StorageOperation(.list, path))
    return try locked { (state) throws(ReplError) in
      guard let inode = state.tree.find(path), inode.isDirectory else {
        throw ReplError(.notFound, subject: path, cause: "is not there")
      }
      return inode.entries.keys.sorted()
    }
  }

  public func exists(_ path: String) throws(ReplError) -> Bool {
    try gate.pass(StorageOperation(.exists, path))
    return try locked { (state) throws(ReplError) in state.tree.find(path) != nil }
  }

  /// Its free space is that of the moment.
  public func synchronizeFileSystem(at path: String) throws(ReplError) {}

  public func synchronizeDirectory(_ path: String) throws(ReplError) {
    try gate.pass(StorageOperation(.synchronizeDirectory, path))
    try locked { (state) throws(ReplError) in
      guard let inode = state.tree.find(path), inode.isDirectory else {
        throw ReplError(.notFound, subject: path, cause: "is not there")
      }
      state.tree.synchronize(inode)
    }
  }

  public func setImmutable(_ path: String, _ immutable: Bool) throws(ReplError) {
    try gate.pass(StorageOperation(.setImmutable, path))
    try locked { (state) throws(ReplError) in
      guard let inode = state.tree.find(path) else { throw ReplError(.notFound, subject: path, cause: "is not there") }
      guard inode.attributes.isImmutable != immutable else { return }
      inode.attributes.isImmutable = immutable
      inode.attributes.changed = state.tree.tick()
    }
  }

  public func space(at path: String) throws(ReplError) -> FileSystemSpace {
    try gate.pass(StorageOperation(.space, path))
    return try locked { (state) throws(ReplError) in
      state.recount()
      let total = state.capacity ?? 1 << 50
      return FileSystemSpace(total: total, available: total - min(total, state.counted))
    }
  }
}

extension SimulatedDisk {
  /// Makes no file: a crash leaves nothing of a lock.
  public func lock(_ path: String) throws(ReplError) -> any StorageLock {
    let lock = SimulatedLock(self, path)
    try locked { (state) throws(ReplError) in
      guard state.locks[path] == nil else {
        throw ReplError(.transient, subject: path, cause: "is held by work that has not ended")
      }
      state.locks[path] = ObjectIdentifier(lock)
    }
    return lock
  }

  fileprivate func release(_ lock: ObjectIdentifier, _ path: String) {
    state.withLock { if $0.locks[path] == lock { $0.locks[path] = nil } }
  }
}

/// A held lock of a ``SimulatedDisk``.
private final class SimulatedLock: StorageLock {
  private let disk: SimulatedDisk
  private let path: String

  init(_ disk: SimulatedDisk, _ path: String) {
    self.disk = disk
    self.path = path
  }

  deinit { release() }

  func release() { disk.release(ObjectIdentifier(self), path) }
}

/// Carries a value out of a lock whose holder knows that it is not touched without it.
struct UncheckedBox<Value>: @unchecked Sendable {
  let value: Value
  init(_ value: Value) { self.value = value }
}

extension SimulatedDisk.State {
  /// Counts the blocks that are in use, each once.
  mutating func recount() {
    var seen: Set<UInt64> = []
    for inode in tree.visibleFiles {
      for block in inode.content.blocks.values { seen.insert(block.physical) }
    }
    counted = UInt64(seen.count * SimulatedBlock.size)
    allocated = 0
  }

  /// Takes room for `count` more blocks, or says that there is none.
  mutating func allocate(_ count: UInt64, _ path: String, _ extent: Extent) throws(ReplError) {
    let bytes = count * UInt64(SimulatedBlock.size)
    guard let capacity else { return }
    if counted + allocated + bytes > capacity { recount() }
    guard counted + allocated + bytes <= capacity else {
      throw ReplError(
        .noSpace, subject: path, cause: "cannot write \(extent): no space left on device",
        remedy: "free space on this file system or make it larger")
    }
    allocated += bytes
  }

  mutating func newBlock(_ bytes: [UInt8]) -> SimulatedBlock {
    defer { nextPhysical += UInt64(SimulatedBlock.size) }
    return SimulatedBlock(bytes: bytes, physical: nextPhysical)
  }
}
