public import BlockDiff
public import ReplModel

/// Any ``Storage`` behind an ``OperationGate``: a log of what is called, in order, and faults where a test wants them.
public final class RecordingStorage: Storage {
  public let base: any Storage
  public let gate: OperationGate

  /// Called with the path before the data of a file is synced, on the thread that syncs it.
  private let beforeSync: @Sendable (String) -> Void

  public init(
    _ base: any Storage, gate: OperationGate = OperationGate(),
    beforeSync: @escaping @Sendable (String) -> Void = { _ in }
  ) {
    self.base = base
    self.gate = gate
    self.beforeSync = beforeSync
  }

  public func open(_ path: String, _ mode: OpenMode) throws(ReplError) -> any StorageFile {
    let creates = if case .createNew = mode { true } else { false }
    try gate.pass(StorageOperation(creates ? .create : .open, path))
    return RecordedFile(try base.open(path, mode), gate, beforeSync)
  }

  public func clone(_ source: any StorageFile, to path: String) throws(ReplError) -> any StorageFile {
    try gate.pass(StorageOperation(.clone, path, from: source.path))
    let inner = (source as? RecordedFile)?.base ?? source
    return RecordedFile(try base.clone(inner, to: path), gate, beforeSync)
  }

  public func rename(_ path: String, to newPath: String) throws(ReplError) {
    try gate.pass(StorageOperation(.rename, newPath, from: path))
    try base.rename(path, to: newPath)
  }

  public func replace(_ path: String, with newPath: String) throws(ReplError) {
    try gate.pass(StorageOperation(.replace, newPath, from: path))
    try base.replace(path, with: newPath)
  }

  public func removeFile(_ path: String) throws(ReplError) {
    try gate.pass(StorageOperation(.removeFile, path))
    try base.removeFile(path)
  }

  public func removeTree(_ path: String) throws(ReplError) {
    try gate.pass(StorageOperation(.removeTree, path))
    try base.removeTree(path)
  }

  public func makeDirectory(_ path: String) throws(ReplError) {
    try gate.pass(StorageOperation(.makeDirectory, path))
    try base.makeDirectory(path)
  }

  public func list(_ path: String) throws(ReplError) -> [String] {
    try gate.pass(StorageOperation(.list, path))
    return try base.list(path)
  }

  public func exists(_ path: String) throws(ReplError) -> Bool {
    try gate.pass(StorageOperation(.exists, path))
    return try base.exists(path)
  }

  public func synchronizeDirectory(_ path: String) throws(ReplError) {
    try gate.pass(StorageOperation(.synchronizeDirectory, path))
    try base.synchronizeDirectory(path)
  }

  public func synchronizeFileSystem(at path: String) throws(ReplError) { try base.synchronizeFileSystem(at: path) }

  public func setImmutable(_ path: String, _ immutable: Bool) throws(ReplError) {
    try gate.pass(StorageOperation(.setImmutable, path))
    try base.setImmutable(path, immutable)
  }

  public func space(at path: String) throws(ReplError) -> FileSystemSpace {
    try gate.pass(StorageOperation(.space, path))
    return try base.space(at: path)
  }

  public func lock(_ path: String) throws(ReplError) -> any StorageLock { try base.lock(path) }
}

/// A file of a ``RecordingStorage``.
final class RecordedFile: StorageFile {
  let base: any StorageFile
  private let gate: OperationGate
  private let beforeSync: @Sendable (String) -> Void
  var path: String { base.path }

  init(_ base: any StorageFile, _ gate: OperationGate, _ beforeSync: @escaping @Sendable (String) -> Void) {
    self.base = base
    self.gate = gate
    self.beforeSync = beforeSync
  }

  func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(ReplError) -> Int {
    try pass(.read, Extent(offset: offset, length: UInt64(buffer.count)))
    return try base.read(into: buffer, at: offset)
  }

  func write(_ buffer: UnsafeRawBufferPointer, at offset: UInt64) throws(ReplError) {
    try pass(.write, Extent(offset: offset, length: UInt64(buffer.count)))
    try base.write(buffer, at: offset)
  }

  func punchHole(_ extent: Extent) throws(ReplError) {
    try pass(.punchHole, extent)
    try base.punchHole(extent)
  }

  func truncate(to size: UInt64) throws(ReplError) {
    try pass(.truncate, Extent(offset: 0, length: size))
    try base.truncate(to: size)
  }

  func synchronize() throws(ReplError) {
    try pass(.synchronize)
    try base.synchronize()
  }

  func synchronizeData() throws(ReplError) {
    try pass(.synchronizeData)
    beforeSync(path)
    try base.synchronizeData()
  }

  func stamp() throws(ReplError) -> FileStamp {
    try pass(.stamp)
    return try base.stamp()
  }

  func size() throws(ReplError) -> UInt64 {
    try pass(.size)
    return try base.size()
  }

  func fileSystem() throws(ReplError) -> FileSystemKind {
    try pass(.fileSystem)
    return try base.fileSystem()
  }

  func dropCache(_ extent: Extent) { base.dropCache(extent) }

  func extentMap(from offset: UInt64, limit: Int, sync: Bool) throws(ReplError) -> [MappedExtent] {
    try pass(.extentMap, Extent(offset: offset, length: 0))
    return try base.extentMap(from: offset, limit: limit, sync: sync)
  }

  func nextData(from offset: UInt64) throws(ReplError) -> Extent? {
    try pass(.nextData, Extent(offset: offset, length: 0))
    return try base.nextData(from: offset)
  }

  func lockExclusively() throws(ReplError) { try base.lockExclusively() }
  func requireNoWriter() throws(ReplError) { try base.requireNoWriter() }

  func close() throws(ReplError) {
    try pass(.close)
    try base.close()
  }

  private func pass(_ kind: StorageOperation.Kind, _ extent: Extent? = nil) throws(ReplError) {
    try gate.pass(StorageOperation(kind, path, extent: extent))
  }
}
