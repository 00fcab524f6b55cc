import BlockDiff
import ReplModel
import Synchronization
import Testing
import WireProtocol

@testable import ReplicationEngine

/// Long work of peers: joined, fair, bounded, given up when nobody may have it any more.
@Suite struct WorkDeskTests {
  /// Threads that run when the test says so.
  private final class HeldThreads: Sendable {
    private let held = Mutex<[@Sendable () -> Void]>([])
    var count: Int { held.withLock { $0.count } }
    func spawn(_ work: @escaping @Sendable () -> Void) { held.withLock { $0.append(work) } }
    func runAll() {
      for work in held.withLock({ held in
        defer { held = [] }; return held
      }) { work() }
    }
  }

  private let threads = HeldThreads()
  private let clock = TestClock()

  private func desk() -> WorkDesk {
    var budgets = TargetBudgets()
    budgets.replyTime = .zero
    return WorkDesk(budgets: budgets, clock: clock) { [threads] (work) throws(ReplError) in threads.spawn(work) }
  }

  private func request(_ number: UInt64) -> ControlRequest {
    .verifyPoint(VerifyPoint(volume: VolumeID(high: 1, low: 1), point: PointID(high: 1, low: number), quick: false))
  }

  private func lane(_ peer: String = "east", _ pool: String = "main", _ kind: WorkDesk.Lane.Kind = .read)
    -> WorkDesk.Lane
  {
    WorkDesk.Lane(peer: peer, pool: pool, kind: kind)
  }

  @Test("the same request again joins the work, and has its answer when it has ended")
  func joined() throws {
    let desk = desk()
    let runs = Atomic<Int>(0)
    let ask = {
      try desk.answer(request(1), lane()) { work in
        runs.add(1, ordering: .relaxed)
        work.expect(100)
        try? work.advance(40)
        return .confirmGroup
      }
    }
    #expect(try ask() == .underWay(UnderWay(bytesDone: 0, bytesTotal: 0)))
    #expect(try ask() == .underWay(UnderWay(bytesDone: 0, bytesTotal: 0)))
    #expect(threads.count == 1)
    threads.runAll()
    #expect(try ask() == .confirmGroup)
    #expect(runs.load(ordering: .relaxed) == 1)
  }

  @Test("an answer that nobody fetched is kept for a while, not for ever")
  func kept() throws {
    let desk = desk()
    let ask = { try desk.answer(request(1), lane()) { _ in .confirmGroup } }
    _ = try ask()
    threads.runAll()
    clock.advance(seconds: TargetBudgets().keptAnswer + 1)
    #expect(try ask() == .underWay(UnderWay(bytesDone: 0, bytesTotal: 0)), "it is done again")
  }

  @Test("a peer has its share of a pool's threads; others do not wait for it")
  func shares() throws {
    let desk = desk()
    let budget = TargetBudgets().readsPerPool
    for number in 1...UInt64(budget + 2) { _ = try desk.answer(request(number), lane()) { _ in .confirmGroup } }
    #expect(threads.count == budget)
    _ = try desk.answer(request(1), lane("west")) { _ in .confirmGroup }
    _ = try desk.answer(request(20), lane("west", "other")) { _ in .confirmGroup }
    #expect(threads.count == budget + 2)
    threads.runAll()
    #expect(threads.count == 2, "those that waited")
  }

  @Test("more reads at once than a peer may have are refused as busy")
  func budget() throws {
    let desk = desk()
    for number in 1...UInt64(TargetBudgets().readRequests) {
      _ = try desk.answer(request(number), lane()) { _ in .confirmGroup }
    }
    let error = #expect(throws: ReplError.self) { try desk.answer(request(99), lane()) { _ in .confirmGroup } }
    #expect(error?.kind == .transient)
    _ = try desk.answer(request(99), lane("west")) { _ in .confirmGroup }
  }

  @Test("work of a peer whose trust has ended is given up at its next read")
  func cancelled() throws {
    let desk = desk()
    let kinds = Mutex<[ReplError.Kind]>([])
    _ = try desk.answer(request(1), lane()) { work in
      do throws(ReplError) { try work.advance(1) } catch { kinds.withLock { $0.append(error.kind) } }
      return .confirmGroup
    }
    desk.cancel(peer: "east")
    threads.runAll()
    #expect(kinds.withLock { $0 } == [.transient], "never as if the peer had cancelled something itself")
  }
}

/// One piece of work at a time for the files of a volume.
@Suite struct VolumeTurnsTests {
  private func volume(_ number: UInt64) throws -> SourceVolume {
    try SourceVolume(cluster: "east", volume: VolumeID(high: 1, low: number))
  }

  private func isFree(_ turns: VolumeTurns, _ volumes: Set<SourceVolume>) -> ReplError.Kind? {
    do throws(ReplError) {
      try turns.take(volumes, within: .zero) { () throws(ReplError) in }
      return nil
    } catch {
      return error.kind
    }
  }

  @Test("a second one waits for the first, whatever other volumes do")
  func oneAtATime() throws {
    let turns = VolumeTurns(waiters: 4)
    let (first, second) = (try volume(1), try volume(2))
    try turns.take([first], within: .zero) { () throws(ReplError) in
      #expect(isFree(turns, [first]) == .transient)
      #expect(isFree(turns, [first, second]) == .transient)
      #expect(isFree(turns, [second]) == nil)
    }
    #expect(isFree(turns, [first, second]) == nil)
  }

  @Test("a failure gives the turn back")
  func failure() throws {
    let turns = VolumeTurns(waiters: 4)
    let first = try volume(1)
    let failure = ReplError(.io, subject: "image", cause: "input/output error")
    #expect(throws: failure) { try turns.take([first], within: .zero) { () throws(ReplError) in throw failure } }
    #expect(isFree(turns, [first]) == nil)
  }
}
