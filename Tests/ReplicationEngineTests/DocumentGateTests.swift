import ReplModel
import Synchronization
import Testing

@testable import ReplicationEngine

@Suite("Turns of documents for one peer")
struct DocumentGateTests {
  private let patience: Duration = .seconds(60)

  /// Documents under way, which end when they are told to.
  private final class Work: Sendable {
    private struct State {
      var running: [Int] = []
      var most = 0
      var order: [Int] = []
    }
    private let state = Mutex(State())
    private let started = AsyncStream.makeStream(of: Int.self)
    private let released = Mutex<[Int: AsyncStream<Void>.Continuation]>([:])

    var order: [Int] { state.withLock { $0.order } }
    var most: Int { state.withLock { $0.most } }

    func run(_ number: Int) async {
      let (end, signal) = AsyncStream.makeStream(of: Void.self)
      released.withLock { $0[number] = signal }
      state.withLock { state in
        state.running.append(number)
        state.order.append(number)
        state.most = max(state.most, state.running.count)
      }
      started.continuation.yield(number)
      for await _ in end {}
      state.withLock { $0.running.removeAll { $0 == number } }
    }

    func end(_ number: Int) { released.withLock { $0.removeValue(forKey: number) }?.finish() }

    /// The numbers of the next that start.
    func starts(_ count: Int) async -> [Int] {
      var numbers: [Int] = []
      var iterator = started.stream.makeAsyncIterator()
      while numbers.count < count, let number = await iterator.next() { numbers.append(number) }
      return numbers
    }
  }

  private func send(
    _ gate: DocumentGate, _ work: Work, _ number: Int, to peer: String = "west"
  ) -> Task<Void, any Error> {
    Task {
      try await gate.run(peer, limit: patience) { () async throws(ReplError) -> Void in await work.run(number) }
    }
  }

  private func waiting(_ gate: DocumentGate, _ count: Int) async {
    while gate.waiting("west") != count { await Task.yield() }
  }

  @Test("Two go at once, the others follow in the order in which they came")
  func order() async throws {
    let (gate, work) = (DocumentGate(), Work())
    var tasks = [send(gate, work, 0), send(gate, work, 1)]
    #expect(Set(await work.starts(2)) == [0, 1])
    for number in 2...4 {
      tasks.append(send(gate, work, number))
      await waiting(gate, number - 1)
    }
    for number in 0...4 {
      work.end(number)
      if number < 3 { #expect(await work.starts(1) == [number + 2]) }
    }
    for task in tasks { try await task.value }
    #expect(work.most == DocumentDesk.concurrent)
    #expect(gate.waiting("west") == 0)
  }

  @Test("One peer does not keep another waiting")
  func otherPeers() async throws {
    let (gate, work) = (DocumentGate(), Work())
    let tasks = [send(gate, work, 0), send(gate, work, 1), send(gate, work, 2, to: "north")]
    #expect(Set(await work.starts(3)) == [0, 1, 2])
    for number in 0...2 { work.end(number) }
    for task in tasks { try await task.value }
  }

  @Test("A turn that does not come in time, or after which nobody asks any more, is given up")
  func givingUp() async throws {
    let (gate, work) = (DocumentGate(), Work())
    let tasks = [send(gate, work, 0), send(gate, work, 1)]
    _ = await work.starts(2)
    do throws(ReplError) {
      try await gate.run("west", limit: .milliseconds(1)) { () async throws(ReplError) -> Void in
        Issue.record("it had its turn")
      }
      Issue.record("it was sent")
    } catch { #expect(error.kind == .transient) }
    let cancelled = send(gate, work, 2)
    await waiting(gate, 1)
    cancelled.cancel()
    await #expect(throws: ReplError.self) { try await cancelled.value }
    for number in 0...1 { work.end(number) }
    for task in tasks { try await task.value }
    // The places of those that gave up are free.
    let next = send(gate, work, 3)
    #expect(await work.starts(1) == [3])
    work.end(3)
    try await next.value
  }

  @Test("So many may wait, and no more")
  func bound() async throws {
    let (gate, work) = (DocumentGate(), Work())
    let count = DocumentDesk.concurrent + DocumentGate.waitingLimit
    let tasks = (0..<count).map { send(gate, work, $0) }
    await waiting(gate, DocumentGate.waitingLimit)
    await #expect(throws: ReplError.self) { try await send(gate, work, count).value }
    for _ in 0..<count { work.end(try #require(await work.starts(1).first)) }
    for task in tasks { try await task.value }
  }
}
