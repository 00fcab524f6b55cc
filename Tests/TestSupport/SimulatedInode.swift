import BlockDiff
import ReplModel

/// 4 KiB of a simulated disk. Never changed: a write makes a new one at a new address, as on a reflink file system.
final class SimulatedBlock: Sendable {
  static let size = 4096
  let bytes: [UInt8]
  let physical: UInt64

  init(bytes: [UInt8], physical: UInt64) {
    self.bytes = bytes
    self.physical = physical
  }
}

/// A file or directory of a ``SimulatedDisk``: as programs see it now, and as it is on the medium.
final class SimulatedInode: @unchecked Sendable {
  // Unchecked: touched only under the lock of the disk it belongs to.

  struct Attributes: Hashable {
    var modified: Int64
    var changed: Int64
    var isImmutable = false
  }

  struct Content {
    var blocks: [UInt64: SimulatedBlock] = [:]
    var size: UInt64 = 0
  }

  let number: UInt64
  let isDirectory: Bool
  var attributes: Attributes
  var durableAttributes: Attributes

  // MARK: A directory

  var entries: [String: SimulatedInode] = [:]
  var durableEntries: [String: SimulatedInode] = [:]

  // MARK: A file

  var content = Content()
  var durable = Content()
  /// Blocks written since the last sync, with what they held before each write (nil: a hole), oldest first.
  var dirty: [UInt64: [SimulatedBlock?]] = [:]
  /// Sizes the file had since the last sync.
  var unsyncedSizes: [UInt64] = []
  /// Blocks whose write a failed sync dropped: still readable from the cache, not on the medium.
  var lost: Set<UInt64> = []
  /// What a clone got, until it is synced for the first time.
  var unsyncedClone: Content?
  /// The open file that has the exclusive lock.
  weak var lockHolder: SimulatedFile?
  private var sortedIndexes: [UInt64]?

  /// Older states of a block that a crash may bring back.
  private static let historyLimit = 6

  init(number: UInt64, isDirectory: Bool, attributes: Attributes) {
    self.number = number
    self.isDirectory = isDirectory
    self.attributes = attributes
    durableAttributes = attributes
  }

  /// Indexes of allocated blocks, ascending.
  var allocated: [UInt64] {
    if let sortedIndexes { return sortedIndexes }
    let sorted = content.blocks.keys.sorted()
    sortedIndexes = sorted
    return sorted
  }

  /// Replaces a block; nil makes it a hole.
  func set(_ index: UInt64, _ block: SimulatedBlock?) {
    let old = content.blocks[index]
    if old == nil, block == nil { return }
    var history = dirty[index] ?? []
    if history.count < Self.historyLimit { history.append(old) }
    dirty[index] = history
    lost.remove(index)
    content.blocks[index] = block
    guard (old == nil) != (block == nil) else { return }
    if block != nil, let last = sortedIndexes?.last, last < index {
      sortedIndexes?.append(index)
    } else {
      sortedIndexes = nil
    }
  }

  func setSize(_ size: UInt64) {
    guard size != content.size else { return }
    unsyncedSizes.append(size)
    content.size = size
  }

  /// What a clone gets: a reflink shares what is on the medium, so that what a failed sync dropped is not in it.
  var cloneable: Content {
    var result = content
    for index in lost { result.blocks[index] = durable.blocks[index] }
    return result
  }

  func adopt(clone: Content) {
    content = clone
    unsyncedClone = clone
    sortedIndexes = nil
  }

  /// Puts everything readable onto the medium, except what an earlier failed sync dropped.
  func synchronize(withAttributes: Bool) {
    if unsyncedClone != nil {
      durable.blocks = content.blocks
      for index in lost { durable.blocks[index] = nil }
    } else {
      for index in dirty.keys { durable.blocks[index] = content.blocks[index] }
    }
    durable.size = content.size
    if withAttributes { durableAttributes = attributes }
    (dirty, unsyncedSizes, unsyncedClone) = ([:], [], nil)
  }

  /// A sync that failed: the kernel marks the pages clean although they never reached the medium.
  func failSynchronize() {
    lost.formUnion(dirty.keys)
    if let clone = unsyncedClone { durable = clone }
    (dirty, unsyncedClone) = ([:], nil)
  }

  /// A synced block that the device acknowledged and never wrote: readable until the cache lets go of it.
  func lose(_ index: UInt64) {
    dirty[index] = nil
    durable.blocks[index] = nil
    lost.insert(index)
  }

  /// The cache lets go of a range: what is not on the medium is gone.
  func evict(_ indexes: ClosedRange<UInt64>) {
    for index in lost.filter(indexes.contains) {
      content.blocks[index] = durable.blocks[index]
      lost.remove(index)
      sortedIndexes = nil
    }
  }

  /// Loads a state as the only one, on the medium and in memory.
  func load(_ content: Content, _ attributes: Attributes) {
    self.content = content
    self.durable = content
    self.attributes = attributes
    durableAttributes = attributes
  }

  /// Replaces every block at a physical address: damage of the medium hits all that share it.
  func replace(physical: UInt64, with block: SimulatedBlock) {
    for (index, old) in content.blocks where old.physical == physical { content.blocks[index] = block }
    for (index, old) in durable.blocks where old.physical == physical { durable.blocks[index] = block }
    if let clone = unsyncedClone {
      for (index, old) in clone.blocks where old.physical == physical { unsyncedClone?.blocks[index] = block }
    }
  }
}

extension SimulatedInode {
  /// What the medium holds of the file after a power cut: some of the unsynced writes, whole or torn.
  func crashed(using generator: inout SeededGenerator) -> Content {
    var result = durable
    if let clone = unsyncedClone, Bool.random(using: &generator) { result = clone }
    // Writes reach the medium in any order; sometimes all of them, sometimes none.
    let survival = [0, 1, 2, 2, 3, 4].randomElement(using: &generator) ?? 2
    for index in dirty.keys.sorted() {
      guard Int.random(in: 0..<4, using: &generator) < survival else { continue }
      result.blocks[index] = survivor(of: index, using: &generator)
    }
    let sizes = [result.size] + unsyncedSizes
    result.size = sizes.randomElement(using: &generator) ?? result.size
    trim(&result)
    return result
  }

  /// One of the states the block had since the last sync, or sectors of two of them.
  private func survivor(of index: UInt64, using generator: inout SeededGenerator) -> SimulatedBlock? {
    let states = (dirty[index] ?? []).dropFirst() + [content.blocks[index]]
    guard let chosen = states.randomElement(using: &generator) else { return durable.blocks[index] }
    guard generator.oneIn(4) else { return chosen }
    let zeros = [UInt8](repeating: 0, count: SimulatedBlock.size)
    let (old, new) = (durable.blocks[index]?.bytes ?? zeros, chosen?.bytes ?? zeros)
    var torn: [UInt8] = []
    for sector in stride(from: 0, to: SimulatedBlock.size, by: 512) {
      torn += (Bool.random(using: &generator) ? old : new)[sector..<sector + 512]
    }
    return SimulatedBlock(bytes: torn, physical: chosen?.physical ?? durable.blocks[index]?.physical ?? 0)
  }

  /// Nothing beyond the end of the file survives, not in its last block either.
  private func trim(_ content: inout Content) {
    let size = content.size
    let grain = UInt64(SimulatedBlock.size)
    let (whole, rest) = (size / grain, Int(size % grain))
    content.blocks = content.blocks.filter { $0.key < whole + (rest > 0 ? 1 : 0) }
    guard rest > 0, let last = content.blocks[whole], !BytePattern.isZero(last.bytes[rest...]) else { return }
    let bytes = Array(last.bytes[..<rest]) + [UInt8](repeating: 0, count: SimulatedBlock.size - rest)
    content.blocks[whole] = SimulatedBlock(bytes: bytes, physical: last.physical)
  }
}
