import BlockDiff
import ReplModel
import TestSupport

/// A file as a naive list of units of 1 KiB, from which extent maps are made.
struct ExtentMapModel {
  enum Unit: Hashable {
    case hole
    case unwritten(physical: UInt64)
    case data(physical: UInt64, flags: UInt32)
    /// One of the flags by which the map does not tell the contents.
    case opaque(flag: UInt32)
  }

  static let unit: UInt64 = 1024
  static let opaqueFlags: [UInt32] = [0x2, 0x4, 0x8, 0x80, 0x100, 0x200, 0x400]
  static let ignoredFlags: [UInt32] = [0, 0x1, 0x1000, 0x2000, 0x3001]

  var units: [Unit]
  /// Bytes; the last unit may lie beyond it in part.
  var size: UInt64

  /// A random file of runs; `address` gives fresh blocks.
  init(units count: Int, _ random: inout SeededGenerator, address: inout UInt64) {
    units = []
    while units.count < count { units += Self.run(&random, &address) }
    units = Array(units.prefix(count))
    size = UInt64(count) * Self.unit - UInt64(count == 0 ? 0 : random.below(Int(Self.unit)))
  }

  private static func run(_ random: inout SeededGenerator, _ address: inout UInt64) -> [Unit] {
    let length = 1 + random.below(random.chance(30) ? 3 : 24)
    let kind = random.below(10)
    return (0..<length).map { _ in
      address += unit
      switch kind {
      case 0..<3: return .hole
      case 3..<5: return .unwritten(physical: address)
      case 5: return .opaque(flag: opaqueFlags[length % opaqueFlags.count])
      default: return .data(physical: address, flags: kind == 9 ? 0x8000 : 0)
      }
    }
  }

  /// Overwrites a few ranges with new runs, and sometimes changes the size.
  mutating func mutate(_ random: inout SeededGenerator, address: inout UInt64) {
    for _ in 0..<random.below(5) where !units.isEmpty {
      let run = Self.run(&random, &address)
      let start = random.below(units.count)
      for (index, unit) in run.enumerated() where start + index < units.count { units[start + index] = unit }
    }
    guard random.chance(30) else { return }
    for _ in 0..<random.below(3) { units += Self.run(&random, &address) }
    size = UInt64(units.count) * Self.unit - UInt64(units.isEmpty ? 0 : random.below(Int(Self.unit)))
  }

  /// The extent map, cut into extents at random; flags that do not count are strewn in.
  func extents(_ random: inout SeededGenerator) -> [MappedExtent] {
    var found: [MappedExtent] = []
    for (index, unit) in units.enumerated() {
      let logical = Extent(offset: UInt64(index) * Self.unit, length: Self.unit)
      let (physical, flags): (UInt64, UInt32)
      switch unit {
      case .hole: continue
      case .unwritten(let address): (physical, flags) = (address, 0x800)
      case .data(let address, let bits): (physical, flags) = (address, bits)
      case .opaque(let flag): (physical, flags) = (0, flag)
      }
      let noise = Self.ignoredFlags[random.below(Self.ignoredFlags.count)]
      if let last = found.last, last.logical.end == logical.offset, !random.chance(20),
        last.flags & ~0x3001 == flags, flags & 0x2 != 0 || last.physical + last.logical.length == physical
      {
        found[found.count - 1].logical.length += Self.unit
      } else {
        found.append(MappedExtent(logical: logical, physical: physical, flags: flags | noise))
      }
    }
    return found
  }

  /// What one byte range of the unit at `offset` holds, as this file's size cuts it.
  func unit(at offset: UInt64) -> Unit {
    guard offset < size, Int(offset / Self.unit) < units.count else { return .hole }
    return units[Int(offset / Self.unit)]
  }
}

/// Reads pages of a list of extents as the kernel does.
func pageReader(_ extents: [MappedExtent], trimsFirst: Bool = false) -> ExtentMapReader {
  { (offset, limit, _) throws(ReplError) in
    var page = Array(extents.filter { $0.logical.end > offset }.prefix(limit))
    if trimsFirst, let first = page.first, first.logical.offset < offset {
      let cut = offset - first.logical.offset
      page[0] = MappedExtent(
        logical: Extent(from: offset, to: first.logical.end), physical: first.physical + cut, flags: first.flags)
    }
    return page
  }
}

/// The changed ranges by going over every byte edge naively.
func naiveChanges(base: ExtentMapModel, new: ExtentMapModel) -> [ChangedRange] {
  var found: [ChangedRange] = []
  var block: UInt64 = 0
  while block < new.size {
    let end = min(block + blockSize, new.size)
    var changed = false
    var kind = ChangeKind.zero
    // Sizes need not be whole units, so each unit is looked at before and after the base's end.
    var edges = Array(stride(from: block, to: end, by: Int(ExtentMapModel.unit)))
    if base.size > block, base.size < end { edges.append(base.size) }
    for edge in edges {
      let (old, now) = (base.unit(at: edge), new.unit(at: edge))
      let (isSame, holds) = compare(old, now)
      changed = changed || !isSame
      kind = max(kind, holds)
    }
    if changed {
      if let last = found.last, last.kind == kind, last.extent.end == block {
        found[found.count - 1].extent.length += end - block
      } else {
        found.append(ChangedRange(extent: Extent(from: block, to: end), kind: kind))
      }
    }
    block = end
  }
  return found
}

private func compare(_ old: ExtentMapModel.Unit, _ new: ExtentMapModel.Unit) -> (isSame: Bool, kind: ChangeKind) {
  switch (old, new) {
  case (.hole, .hole), (.hole, .unwritten), (.unwritten, .hole), (.unwritten, .unwritten): (true, .zero)
  case (_, .hole), (_, .unwritten): (false, .zero)
  case (_, .opaque), (.opaque, .data): (false, .unknown)
  case (_, .data): (old == new, .data)
  }
}
