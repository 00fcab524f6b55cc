public import ReplModel
import Threads

/// Remembers the first failure of something that work is built on: the image of a base, or its sums. Who catches an error
/// learns from the witness whether it was this very thing that failed. Any thread may call.
public final class ReadWitness: Sendable {
  public struct Failure: Hashable, Sendable {
    public var error: ReplError
    /// What was read, where that is known.
    public var extent: Extent?
  }

  private let first = Locked<Failure?>(nil)

  public init() {}

  /// What failed first; nil while nothing did.
  public var failure: Failure? { first.withLock { $0 } }

  /// Runs a step that depends on nothing but the thing that is watched.
  ///
  /// - Parameter extent: what the step reads.
  public func watch<Value>(
    _ extent: Extent? = nil, _ body: () throws(ReplError) -> Value
  ) throws(ReplError) -> Value {
    do throws(ReplError) {
      return try body()
    } catch {
      note(error, extent)
      throw error
    }
  }

  /// Errors that say something of the thing itself; a lack of memory or descriptors passes.
  private func note(_ error: ReplError, _ extent: Extent?) {
    guard [.io, .damaged, .notFound].contains(error.kind) else { return }
    first.withLock { if $0 == nil { $0 = Failure(error: error, extent: extent) } }
  }
}

/// A file that is read under the eyes of a witness.
public final class WitnessedFile: StorageFile {
  private let base: any StorageFile
  private let witness: ReadWitness

  /// Takes over the file.
  public init(_ base: any StorageFile, _ witness: ReadWitness) {
    self.base = base
    self.witness = witness
  }

  public var path: String { base.path }

  public func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(ReplError) -> Int {
    try witness.watch(Extent(offset: offset, length: UInt64(buffer.count))) { () throws(ReplError) in
      try base.read(into: buffer, at: offset)
    }
  }

  public func stamp() throws(ReplError) -> FileStamp {
    try witness.watch { () throws(ReplError) in try base.stamp() }
  }

  public func size() throws(ReplError) -> UInt64 {
    try witness.watch { () throws(ReplError) in try base.size() }
  }

  public func fileSystem() throws(ReplError) -> FileSystemKind {
    try witness.watch { () throws(ReplError) in try base.fileSystem() }
  }

  public func extentMap(from offset: UInt64, limit: Int, sync: Bool) throws(ReplError) -> [MappedExtent] {
    try witness.watch { () throws(ReplError) in try base.extentMap(from: offset, limit: limit, sync: sync) }
  }

  public func nextData(from offset: UInt64) throws(ReplError) -> Extent? {
    try witness.watch { () throws(ReplError) in try base.nextData(from: offset) }
  }

  public func dropCache(_ extent: Extent) { base.dropCache(extent) }
  public func lockExclusively() throws(ReplError) { try base.lockExclusively() }
  public func requireNoWriter() throws(ReplError) { try base.requireNoWriter() }
  public func close() throws(ReplError) { try base.close() }

  public func write(_ buffer: UnsafeRawBufferPointer, at offset: UInt64) throws(ReplError) {
    try base.write(buffer, at: offset)
  }

  public func punchHole(_ extent: Extent) throws(ReplError) { try base.punchHole(extent) }
  public func truncate(to size: UInt64) throws(ReplError) { try base.truncate(to: size) }
  public func synchronize() throws(ReplError) { try base.synchronize() }
  public func synchronizeData() throws(ReplError) { try base.synchronizeData() }
}

extension Storage {
  /// Whether a small file is given by the medium: when one that is known to be good is not, a neighbour that cannot be
  /// read says nothing of itself.
  public func answers(_ path: String) -> Bool {
    do throws(ReplError) {
      _ = try readFileFromMedium(path, limit: Int(segmentSize))
      return true
    } catch {
      return false
    }
  }

  /// As `readFile`, and not from what the kernel remembers.
  public func readFileFromMedium(_ path: String, limit: Int) throws(ReplError) -> [UInt8] {
    let file = try open(path, .read)
    file.dropCache(Extent(offset: 0, length: UInt64(limit)))
    try file.close()
    return try readFile(path, limit: limit)
  }
}
