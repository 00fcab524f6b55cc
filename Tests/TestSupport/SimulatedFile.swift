import BlockDiff
import ReplModel

/// An open file of a ``SimulatedDisk``; useless after the disk crashed.
final class SimulatedFile: StorageFile {
  let path: String
  let inode: SimulatedInode
  private let disk: SimulatedDisk
  private let isWritable: Bool
  private let epoch: Int

  init(_ disk: SimulatedDisk, _ inode: SimulatedInode, _ path: String, isWritable: Bool, epoch: Int) {
    self.disk = disk
    self.inode = inode
    self.path = path
    self.isWritable = isWritable
    self.epoch = epoch
  }

  func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(ReplError) -> Int {
    try pass(.read, Extent(offset: offset, length: UInt64(buffer.count)))
    return try locked { (_) throws(ReplError) in inode.read(into: buffer, at: offset) }
  }

  func write(_ buffer: UnsafeRawBufferPointer, at offset: UInt64) throws(ReplError) {
    let extent = Extent(offset: offset, length: UInt64(buffer.count))
    try pass(.write, extent)
    guard !extent.isEmpty else { return }
    try change { (state) throws(ReplError) in
      let grain = UInt64(SimulatedBlock.size)
      try state.allocate((extent.end - 1) / grain - offset / grain + 1, path, extent)
      for index in offset / grain...(extent.end - 1) / grain {
        let start = index * grain
        guard let part = extent.intersection(Extent(offset: start, length: grain)) else { continue }
        let source = buffer[Int(part.offset - offset)..<Int(part.end - offset)]
        var bytes: [UInt8]
        if part.length == grain {
          bytes = Array(source)
        } else {
          bytes = inode.bytes(of: index)
          bytes.replaceSubrange(Int(part.offset - start)..<Int(part.end - start), with: source)
        }
        inode.set(index, state.newBlock(bytes))
      }
      inode.setSize(max(inode.content.size, extent.end))
    }
  }

  func punchHole(_ extent: Extent) throws(ReplError) {
    try pass(.punchHole, extent)
    try change { (state) throws(ReplError) in
      inode.clear(Extent(from: extent.offset, to: min(extent.end, max(inode.content.size, extent.offset))), &state)
    }
  }

  func truncate(to size: UInt64) throws(ReplError) {
    try pass(.truncate, Extent(offset: 0, length: size))
    try change { (state) throws(ReplError) in
      if size < inode.content.size {
        let grain = UInt64(SimulatedBlock.size)
        inode.clear(Extent(from: size, to: (inode.content.size + grain - 1) / grain * grain), &state)
      }
      inode.setSize(size)
    }
  }

  func synchronize() throws(ReplError) { try synchronize(.synchronize) }

  func synchronizeData() throws(ReplError) { try synchronize(.synchronizeData) }

  func stamp() throws(ReplError) -> FileStamp {
    try pass(.stamp)
    return try locked { (_) throws(ReplError) in
      FileStamp(
        device: 1, inode: inode.number, generation: 7, size: inode.content.size,
        modified: Timestamp(nanoseconds: inode.attributes.modified),
        changed: Timestamp(nanoseconds: inode.attributes.changed))
    }
  }

  func size() throws(ReplError) -> UInt64 {
    try pass(.size)
    return try locked { (_) throws(ReplError) in inode.content.size }
  }

  func fileSystem() throws(ReplError) -> FileSystemKind {
    try pass(.fileSystem)
    return disk.kind
  }

  func dropCache(_ extent: Extent) {
    guard !extent.isEmpty else { return }
    let grain = UInt64(SimulatedBlock.size)
    try? locked { (_) throws(ReplError) in
      guard !inode.lost.isEmpty else { return }
      inode.evict(extent.offset / grain...(extent.end - 1) / grain)
    }
  }

  func extentMap(from offset: UInt64, limit: Int, sync: Bool) throws(ReplError) -> [MappedExtent] {
    try pass(.extentMap, Extent(offset: offset, length: 0))
    return try locked { (_) throws(ReplError) in inode.extentMap(from: offset, limit: limit) }
  }

  func nextData(from offset: UInt64) throws(ReplError) -> Extent? {
    try pass(.nextData, Extent(offset: offset, length: 0))
    return try locked { (_) throws(ReplError) in inode.nextData(from: offset) }
  }

  func lockExclusively() throws(ReplError) {
    try locked { (_) throws(ReplError) in
      guard inode.lockHolder == nil || inode.lockHolder === self || inode.lockHolder?.epoch != epoch else {
        throw ReplError(.transient, subject: path, cause: "is being written by another session")
      }
      inode.lockHolder = self
    }
  }

  func requireNoWriter() throws(ReplError) {
    try locked { (_) throws(ReplError) in
      guard let holder = inode.lockHolder, holder.epoch == epoch, holder !== self else { return }
      throw ReplError(.refused, subject: path, cause: "is open for writing: it cannot be sealed")
    }
  }

  func close() throws(ReplError) {
    try pass(.close)
    try? locked { (_) throws(ReplError) in if inode.lockHolder === self { inode.lockHolder = nil } }
  }

  func checkEpoch(_ state: SimulatedDisk.State) throws(ReplError) {
    guard epoch == state.epoch else {
      throw ReplError(.bug, subject: path, cause: "was opened before the simulated crash")
    }
  }

  private func pass(_ kind: StorageOperation.Kind, _ extent: Extent? = nil) throws(ReplError) {
    try disk.gate.pass(StorageOperation(kind, path, extent: extent))
  }

  private func locked<Value>(
    _ body: (inout SimulatedDisk.State) throws(ReplError) -> Value
  ) throws(ReplError) -> Value {
    try disk.locked { (state) throws(ReplError) in
      try checkEpoch(state)
      return try body(&state)
    }
  }

  private func change(_ body: (inout SimulatedDisk.State) throws(ReplError) -> Void) throws(ReplError) {
    try locked { (state) throws(ReplError) in
      guard isWritable else { throw ReplError(.refused, subject: path, cause: "is open for reading only") }
      try body(&state)
      let now = state.tree.tick()
      inode.attributes.modified = now
      inode.attributes.changed = now
    }
  }

  private func synchronize(_ kind: StorageOperation.Kind) throws(ReplError) {
    do throws(ReplError) {
      try pass(kind)
    } catch {
      if error != OperationGate.powerCut { try? locked { (_) throws(ReplError) in inode.failSynchronize() } }
      throw error
    }
    try locked { (_) throws(ReplError) in inode.synchronize(withAttributes: kind == .synchronize) }
  }
}

extension SimulatedInode {
  private static let zeros = [UInt8](repeating: 0, count: SimulatedBlock.size)

  func bytes(of index: UInt64) -> [UInt8] { content.blocks[index]?.bytes ?? Self.zeros }

  @discardableResult
  func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) -> Int {
    guard offset < content.size, !buffer.isEmpty else { return 0 }
    let end = min(offset + UInt64(buffer.count), content.size)
    let grain = UInt64(SimulatedBlock.size)
    for index in offset / grain...(end - 1) / grain {
      let start = index * grain
      guard let part = Extent(from: offset, to: end).intersection(Extent(offset: start, length: grain)) else {
        continue
      }
      let target = UnsafeMutableRawBufferPointer(
        rebasing: buffer[Int(part.offset - offset)..<Int(part.end - offset)])
      (content.blocks[index]?.bytes ?? Self.zeros).withUnsafeBytes { source in
        target.copyMemory(
          from: UnsafeRawBufferPointer(rebasing: source[Int(part.offset - start)..<Int(part.end - start)]))
      }
    }
    return Int(end - offset)
  }

  /// Makes a range zeros; whole blocks become holes.
  func clear(_ extent: Extent, _ state: inout SimulatedDisk.State) {
    guard !extent.isEmpty else { return }
    let grain = UInt64(SimulatedBlock.size)
    let indexes = allocated
    var position = lowerBound(indexes, extent.offset / grain)
    while position < indexes.count, indexes[position] * grain < extent.end {
      let index = indexes[position]
      position += 1
      let block = Extent(offset: index * grain, length: grain)
      guard let part = block.intersection(extent), let old = content.blocks[index] else { continue }
      if part == block || (part.offset == block.offset && part.end >= content.size) {
        set(index, nil)
      } else {
        var bytes = old.bytes
        for place in Int(part.offset - block.offset)..<Int(part.end - block.offset) { bytes[place] = 0 }
        set(index, state.newBlock(bytes))
      }
    }
  }

  func nextData(from offset: UInt64) -> Extent? {
    let grain = UInt64(SimulatedBlock.size)
    let indexes = allocated
    let first = lowerBound(indexes, offset / grain)
    guard first < indexes.count else { return nil }
    var last = first
    while last + 1 < indexes.count, indexes[last + 1] == indexes[last] + 1 { last += 1 }
    let range = Extent(from: max(indexes[first] * grain, offset), to: min((indexes[last] + 1) * grain, content.size))
    return range.isEmpty ? nil : range
  }

  func extentMap(from offset: UInt64, limit: Int) -> [MappedExtent] {
    let grain = UInt64(SimulatedBlock.size)
    let indexes = allocated
    var map: [MappedExtent] = []
    var position = lowerBound(indexes, offset / grain)
    while position < indexes.count {
      guard let block = content.blocks[indexes[position]] else { break }
      let start = indexes[position] * grain
      if let last = map.last, last.logical.end == start, last.physical + last.logical.length == block.physical {
        map[map.count - 1].logical.length += grain
      } else {
        guard map.count < limit else { return map }
        map.append(MappedExtent(logical: Extent(offset: start, length: grain), physical: block.physical, flags: 0))
      }
      position += 1
    }
    // FIEMAP_EXTENT_LAST
    if !map.isEmpty { map[map.count - 1].flags = 1 }
    return map
  }

  private func lowerBound(_ indexes: [UInt64], _ value: UInt64) -> Int {
    var (low, high) = (0, indexes.count)
    while low < high {
      let middle = (low + high) / 2
      if indexes[middle] < value { low = middle + 1 } else { high = middle }
    }
    return low
  }
}
