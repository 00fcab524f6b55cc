public import ReplModel

/// All extents of a ledger in ascending order, coalesced: a merge over its runs. A run is opened when the position
/// reaches it and closed at its end, and reads 4 KiB at a time. Used by one thread.
public struct LedgerMerge: ExtentStream, Sendable {
  private let file: any StorageFile
  /// Not opened yet, the next one last.
  private var waiting: [LedgerRun]
  /// A heap: the run with the lowest head first.
  private var open: [LedgerRunReader] = []
  private var held: Extent?

  init(file: any StorageFile, runs: [LedgerRun]) {
    self.file = file
    waiting = runs.sorted { $0.firstOffset > $1.firstOffset }
  }

  public mutating func next() throws(ReplError) -> Extent? {
    while let extent = try popLowest() {
      guard let current = held else {
        held = extent
        continue
      }
      if extent.offset <= current.end {
        held = Extent(from: current.offset, to: max(current.end, extent.end))
      } else {
        held = extent
        return current
      }
    }
    defer { held = nil }
    return held
  }

  private mutating func popLowest() throws(ReplError) -> Extent? {
    while let run = waiting.last, open.first.map({ run.firstOffset <= $0.head.offset }) ?? true {
      waiting.removeLast()
      if let reader = try LedgerRunReader(file: file, run: run) { push(reader) }
    }
    guard let lowest = open.first?.head else { return nil }
    if try open[0].advance() {
      siftDown()
    } else {
      open.swapAt(0, open.count - 1)
      open.removeLast()
      siftDown()
    }
    return lowest
  }

  private mutating func push(_ reader: LedgerRunReader) {
    open.append(reader)
    var child = open.count - 1
    while child > 0, open[child].head.offset < open[(child - 1) / 2].head.offset {
      open.swapAt(child, (child - 1) / 2)
      child = (child - 1) / 2
    }
  }

  private mutating func siftDown() {
    var parent = 0
    while true {
      let children = [2 * parent + 1, 2 * parent + 2].filter { $0 < open.count }
      guard let lowest = children.min(by: { open[$0].head.offset < open[$1].head.offset }) else { return }
      guard open[lowest].head.offset < open[parent].head.offset else { return }
      open.swapAt(lowest, parent)
      parent = lowest
    }
  }
}

/// Reads the extents of one run through a window of 4 KiB.
struct LedgerRunReader: Sendable {
  private let file: any StorageFile
  private let end: UInt64
  private let lastEnd: UInt64
  private var position: UInt64
  private var left = 0
  private var window: [UInt8] = []
  private var windowStart: UInt64 = 0
  private(set) var head = Extent(offset: 0, length: 0)

  /// Stands at the first extent; nil for an empty run.
  init?(file: any StorageFile, run: LedgerRun) throws(ReplError) {
    self.file = file
    end = run.end
    lastEnd = run.lastEnd
    position = run.start
    guard try advance() else { return nil }
  }

  /// Moves `head` to the next extent; false at the end.
  mutating func advance() throws(ReplError) -> Bool {
    if left == 0 {
      guard position < end else { return false }
      let header = try bytes(LedgerRecord.headerSize)
      guard let count = LedgerRecord.count(header, sequence: nil) else { throw damaged }
      left = count
    }
    // Checked when the ledger was opened, and read again now: what has changed since is not to be believed.
    guard let extent = LedgerRecord.extent(try bytes(LedgerRecord.extentSize), at: 0), extent.offset >= head.end,
      !extent.isEmpty, extent.end <= lastEnd
    else { throw damaged }
    head = extent
    left -= 1
    if left == 0 { position += LedgerRecord.checksumSize }
    return true
  }

  private var damaged: ReplError {
    ReplError(.damaged, subject: file.path, cause: "changed while it was read, at byte \(position)")
  }

  private mutating func bytes(_ count: UInt64) throws(ReplError) -> ArraySlice<UInt8> {
    if position < windowStart || position + count > windowStart + UInt64(window.count) { try fill() }
    let start = Int(position - windowStart)
    guard start + Int(count) <= window.count else { throw damaged }
    position += count
    return window[start..<start + Int(count)]
  }

  private mutating func fill() throws(ReplError) {
    window = try file.readArray(Int(min(4096, end - position)), at: position)
    windowStart = position
  }
}
