import ReplModel
import Synchronization
import Testing

import TestSupport
@testable import Threads

@Suite struct BoundedQueueTests {
  @Test func elementsComeOutInOrderWithinTheCapacity() {
    let queue = BoundedQueue<Int>(capacity: 2)
    #expect(queue.tryPut(1))
    #expect(queue.tryPut(2))
    #expect(!queue.tryPut(3))
    #expect(!queue.put(3, deadline: .after(.milliseconds(5))))
    #expect(queue.count == 2)
    #expect(queue.take() == 1)
    #expect(queue.put(3))
    #expect(queue.take() == 2)
    #expect(queue.take() == 3)
    #expect(queue.take(deadline: .after(.milliseconds(5))) == nil)
  }

  @Test func closingLetsTheRestOutAndNothingIn() {
    let queue = BoundedQueue<Int>(capacity: 4)
    queue.put(1)
    queue.close()
    #expect(!queue.put(2))
    #expect(queue.take() == 1)
    #expect(queue.take() == nil)
    #expect(queue.isClosed)
  }

  @Test func closingWakesWhoWaits() throws {
    let full = BoundedQueue<Int>(capacity: 1)
    full.put(1)
    let empty = BoundedQueue<Int>(capacity: 1)
    let putting = try onThread { () throws(ReplError) in full.put(2) }
    let taking = try onThread { () throws(ReplError) in empty.take() }
    full.closeAndDrain()
    empty.close()
    _ = try #require(putting.take(deadline: .after(patience))).get()
    #expect(try #require(taking.take(deadline: .after(patience))).get() == nil)
  }

  @Test func everyElementOfManyThreadsArrivesOnce() throws {
    let queue = BoundedQueue<Int>(capacity: 3)
    let producers = try (0..<4).map { producer in
      try WorkerThread(name: "producer") { for index in 0..<500 { queue.put(producer * 500 + index) } }
    }
    let consumers = try (0..<3).map { _ in
      try onThread { () throws(ReplError) -> [Int] in
        var taken: [Int] = []
        while let element = queue.take() { taken.append(element) }
        return taken
      }
    }
    for producer in producers { producer.join() }
    queue.close()
    let all = try consumers.flatMap { try #require($0.take(deadline: .after(patience))).get() }
    #expect(all.sorted() == Array(0..<2000))
  }
}

@Suite struct WorkerTests {
  @Test func joinWaitsForTheEnd() throws {
    let gate = BoundedQueue<Bool>(capacity: 1)
    let shared = Flag()
    let thread = try WorkerThread(name: "a name longer than fifteen bytes") {
      _ = gate.take()
      shared.set()
    }
    gate.put(true)
    thread.join()
    thread.join()
    #expect(shared.isSet)
  }

  @Test func awaitingGivesTheResultOrTheError() async throws {
    let pool = WorkerPool(name: "pool", threads: 2, queued: 8)
    defer { pool.stop() }
    #expect(try await pool.run { () throws(ReplError) in 42 } == 42)
    let refusal = ReplError(.notFound, subject: "x", cause: "is not there")
    await #expect(throws: refusal) {
      try await pool.run { () throws(ReplError) -> Int in throw refusal }
    }
  }

  /// A pool of one thread, which is busy until the gate opens.
  private static func busyPool() -> (WorkerPool, gate: BoundedQueue<Bool>) {
    let pool = WorkerPool(name: "pool", threads: 1, queued: 1)
    let (running, gate) = (BoundedQueue<Bool>(capacity: 1), BoundedQueue<Bool>(capacity: 1))
    #expect(
      pool.submit {
        running.put(true)
        _ = gate.take()
      })
    #expect(running.take(deadline: .after(patience)) == true)
    return (pool, gate)
  }

  private static func call(_ pool: WorkerPool) async -> ReplError? {
    do throws(ReplError) {
      try await pool.run { () throws(ReplError) in }
      return nil
    } catch { return error }
  }

  @Test func whoAwaitsIsToldWhenThePoolIsFull() async throws {
    let (pool, gate) = Self.busyPool()
    #expect(pool.submit {})
    #expect(await Self.call(pool)?.kind == .transient)
    gate.close()
    pool.stop()
    pool.join()
    #expect(await Self.call(pool)?.kind == .transient)
  }

  @Test(.timeLimit(.minutes(1)))
  func whoAwaitsIsToldWhenThePoolStops() async throws {
    var cause = ""
    // Again where the pool has stopped before the call came to wait.
    while cause != "is stopping" {
      let (pool, gate) = Self.busyPool()
      async let waiting = Self.call(pool)
      for _ in 0..<100 { await Task.yield() }
      pool.stop()
      cause = await waiting?.cause ?? ""
      gate.close()
      pool.join()
    }
  }

  @Test func poolRunsAtMostSoManyAtOnceAndRefusesTheRest() throws {
    let pool = WorkerPool(name: "pool", threads: 2, queued: 1)
    let running = BoundedQueue<Bool>(capacity: 4)
    let gate = BoundedQueue<Bool>(capacity: 4)
    let job: WorkerPool.Job = {
      running.put(true)
      _ = gate.take()
    }
    for _ in 0..<2 {
      #expect(pool.submit(job))
      #expect(running.take(deadline: .after(patience)) == true)
    }
    #expect(pool.submit(job))
    #expect(!pool.submit(job))
    gate.put(true)
    #expect(running.take(deadline: .after(patience)) == true)
    gate.close()
    pool.stop()
    pool.join()
    #expect(!pool.submit(job))
  }

  @Test func poolReusesItsThreads() throws {
    let pool = WorkerPool(name: "pool", threads: 1, queued: 8)
    let done = BoundedQueue<Int>(capacity: 8)
    for index in 0..<8 { #expect(pool.submit { done.put(index) }) }
    for index in 0..<8 { #expect(done.take(deadline: .after(patience)) == index) }
    pool.stop()
    pool.join()
  }

  @Test func deadlinesAreOrderedAndEnd() {
    #expect(Deadline.after(.seconds(1)) < .after(.seconds(2)))
    #expect(Deadline.after(.seconds(1 << 40)) == .never)
    #expect(Deadline.after(.seconds(-1)).isOver)
    #expect(Deadline.after(.zero).pollMilliseconds == 0)
    #expect(Deadline.never.pollMilliseconds == -1)
    #expect(!Deadline.never.isOver)
    #expect(Deadline.after(.seconds(60)).pollMilliseconds > 59_000)
  }
}

/// A flag between threads.
private final class Flag: Sendable {
  private let value = Atomic(false)
  var isSet: Bool { value.load(ordering: .acquiring) }
  func set() { value.store(true, ordering: .releasing) }
}
