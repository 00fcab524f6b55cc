import Glibc
import TestSupport
import Synchronization

/// How a writer's bytes reach the file.
enum WriteMethod: String, Sendable, CaseIterable {
  /// O_DIRECT: each write is on the device when it returns.
  case direct
  /// Through the page cache, with fdatasync after every 16 writes.
  case buffered
  /// Stores into a shared mapping, with msync after every 64.
  case mapped
}

/// Writes one 4 KiB block after the other, without ever pausing, on a thread of its own.
///
/// Write number n goes to a place that follows from the seed and carries n, so that anybody can compute what a file
/// holds after any count of writes: see ``PrefixChecker``.
final class BlockWriter: Sendable {
  private struct State {
    var stopping = false
    var ended = false
    var written: UInt64 = 0
    var failure: String?
  }

  let schedule: WriteSchedule
  private let path: String
  private let method: WriteMethod
  private let state = Mutex(State())

  convenience init(_ volume: Volume, method: WriteMethod, seed: UInt64) throws {
    try self.init(volume.path, method: method, seed: seed)
  }

  init(_ path: String, method: WriteMethod, seed: UInt64) throws {
    self.path = path
    self.method = method
    schedule = WriteSchedule(seed: seed, blocks: UInt64(try Files.measure(path).size) / 4096)
    detachThread { [self] in
      do { try run() } catch { state.withLock { $0.failure = "\(error)" } }
      state.withLock { $0.ended = true }
    }
  }

  /// Writes that have returned so far.
  var written: UInt64 { state.withLock { $0.written } }

  /// Waits for the end and returns the count of writes; throws if one failed.
  @discardableResult
  func stop() throws -> UInt64 {
    state.withLock { $0.stopping = true }
    try eventually("the writer ends", within: 30) { state.withLock { $0.ended } }
    if let failure = state.withLock({ $0.failure }) { throw Failure("the writer failed: \(failure)") }
    return written
  }

  private func run() throws {
    let file = try OpenFile(path, O_RDWR | (method == .direct ? directFlag : 0))
    let size = Int(schedule.blocks) * 4096
    guard let block = aligned_alloc(4096, 4096) else { throw Failure("no memory") }
    defer { free(block) }
    let mapping = method == .mapped ? mmap(nil, size, PROT_READ | PROT_WRITE, MAP_SHARED, file.descriptor, 0) : nil
    guard mapping != MAP_FAILED else { throw Failure("mmap: error \(errno)") }
    defer { if let mapping { munmap(mapping, size) } }
    var number: UInt64 = 0
    while !state.withLock({ $0.stopping }) {
      number += 1
      let offset = Int(schedule.place(of: number)) * 4096
      if let mapping {
        schedule.fill(UnsafeMutableRawBufferPointer(start: mapping + offset, count: 4096), number)
        if number % 64 == 0 { msync(mapping, size, MS_SYNC) }
      } else {
        schedule.fill(UnsafeMutableRawBufferPointer(start: block, count: 4096), number)
        guard pwrite(file.descriptor, block, 4096, off_t(offset)) == 4096 else {
          throw Failure("pwrite: error \(errno)")
        }
        if method == .buffered, number % 16 == 0, fdatasync(file.descriptor) != 0 {
          throw Failure("fdatasync: error \(errno)")
        }
      }
      state.withLock { $0.written = number }
      // About 4,000 writes a second leave the machine's two cores to the agents.
      usleep(200)
    }
  }
}

#if arch(arm64)
  /// O_DIRECT, which the C library's module does not show.
  private let directFlag: Int32 = 0x1_0000
#else
  /// O_DIRECT, which the C library's module does not show.
  private let directFlag: Int32 = 0x4000
#endif

/// Where each write goes and what it carries.
struct WriteSchedule: Sendable {
  let seed: UInt64
  let blocks: UInt64

  /// The block that write number `number` goes to.
  func place(of number: UInt64) -> UInt64 {
    var random = SeededGenerator(seed: seed ^ (number &* 0x9e37_79b9))
    return random.next() % blocks
  }

  /// The block's bytes: the number in front, then bytes that follow from it.
  func fill(_ block: UnsafeMutableRawBufferPointer, _ number: UInt64) {
    // The number is stored last, as a program that hands out sequence numbers would; words between are its shadow.
    for offset in stride(from: 8, to: block.count, by: 8) {
      block.storeBytes(of: number &* 0x2545_f491_4f6c_dd1d &+ UInt64(offset), toByteOffset: offset, as: UInt64.self)
    }
    block.storeBytes(of: number, as: UInt64.self)
  }

  /// The number a block carries, 0 for an empty one, or nil if its bytes do not belong together.
  func number(in block: UnsafeRawBufferPointer) -> UInt64? {
    let number = block.loadUnaligned(as: UInt64.self)
    let shadow = number &* 0x2545_f491_4f6c_dd1d
    for offset in stride(from: 8, to: block.count, by: 8) {
      let word = block.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
      guard word == (number == 0 ? 0 : shadow &+ UInt64(offset)) else { return nil }
    }
    return number
  }
}

/// Decides whether a file is what a writer had written at some moment: all writes up to one, and none after it.
struct PrefixChecker {
  let schedule: WriteSchedule
  /// The one block that may hold half of the write that was under way, for stores into a mapping.
  let mayTear: Bool

  init(_ writer: BlockWriter, mayTear: Bool) {
    schedule = writer.schedule
    self.mayTear = mayTear
  }

  /// The count of writes in the file; throws if it is no prefix.
  func check(_ path: String) throws -> UInt64 {
    let file = try OpenFile(path, O_RDONLY)
    var found = [UInt64](repeating: 0, count: Int(schedule.blocks))
    var torn: [Int] = []
    for block in 0..<Int(schedule.blocks) {
      let bytes = try file.read(4096, at: block * 4096)
      guard let number = bytes.withUnsafeBytes({ schedule.number(in: $0) }) else {
        torn.append(block)
        continue
      }
      found[block] = number
    }
    let newest = found.max() ?? 0
    guard torn.isEmpty || (mayTear && torn == [Int(schedule.place(of: newest + 1))]) else {
      throw Failure("\(path): blocks \(torn.prefix(8)) hold pieces of different writes")
    }
    var expected = [UInt64](repeating: 0, count: Int(schedule.blocks))
    if newest > 0 { for number in 1...newest { expected[Int(schedule.place(of: number))] = number } }
    for block in torn { expected[block] = found[block] }
    for block in expected.indices where expected[block] != found[block] {
      throw Failure(
        "\(path): has write \(newest) but block \(block) holds write \(found[block]) instead of \(expected[block])")
    }
    return newest
  }
}
