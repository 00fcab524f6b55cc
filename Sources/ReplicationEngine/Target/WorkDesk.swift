import ReplModel
import Synchronization
import WireProtocol
import Threads

/// One piece of work that requests of a peer wait for: how far it is, and whether it is still wanted. Any thread may
/// call.
final class Work: Sendable {
  private let done = Atomic<UInt64>(0)
  private let total = Atomic<UInt64>(0)
  private let isCancelled = Atomic<Bool>(false)

  var progress: UnderWay {
    UnderWay(bytesDone: done.load(ordering: .relaxed), bytesTotal: total.load(ordering: .relaxed))
  }

  /// Says how many bytes are foreseen, for people.
  func expect(_ bytes: UInt64) { total.store(bytes, ordering: .relaxed) }

  /// Ends the work at its next read.
  func cancel() { isCancelled.store(true, ordering: .relaxed) }

  /// Counts bytes that are about to be read.
  ///
  /// - Throws: `transient` when the work is given up: to the peer it is no more than a cut.
  func advance(_ bytes: UInt64) throws(ReplError) {
    guard !isCancelled.load(ordering: .relaxed) else {
      throw ReplError(.transient, subject: "the work", cause: "was given up before it was done", remedy: "ask again")
    }
    done.wrappingAdd(bytes, ordering: .relaxed)
  }
}

/// Does what takes long for peers on threads of its own, so that no request thread is held by a slow pool: a request
/// waits a bounded time and is answered with how far the work is; the same request again joins the work. Fair: each peer
/// has its own share of every pool, and waits in its own queue. Any thread may call.
final class WorkDesk: Sendable {
  /// Work that shares one limit: that of one peer at one pool.
  struct Lane: Hashable, Sendable {
    enum Kind: Hashable, Sendable {
      /// What opens, closes or publishes files.
      case change
      /// A proof; nothing of what it read is kept here.
      case proof
      /// A verification or sums: the answer is kept for a while.
      case read
    }
    var peer: String
    var pool: String
    var kind: Kind
  }

  private struct Key: Hashable {
    var peer: String
    var request: ControlRequest
  }

  /// Fields other than the result are never changed.
  private final class Job: Sendable {
    let key: Key
    let lane: Lane
    let work = Work()
    let body: @Sendable (Work) -> ControlReply
    /// Set once, under the desk's lock.
    let result = Locked<(reply: ControlReply, at: Double)?>(nil)

    init(_ key: Key, _ lane: Lane, _ body: @escaping @Sendable (Work) -> ControlReply) {
      self.key = key
      self.lane = lane
      self.body = body
    }

    var reply: ControlReply? { result.withLock { $0?.reply } }
  }

  private struct State {
    var jobs: [Key: Job] = [:]
    var queued: [Job] = []
    var running: [Lane: Int] = [:]
    var waiting: [String: Int] = [:]
    var isStopped = false
  }

  private let budgets: TargetBudgets
  private let clock: any EngineClock
  private let spawn: @Sendable (@escaping @Sendable () -> Void) throws(ReplError) -> Void
  private let state = Monitor(State())

  /// - Parameter spawn: runs its argument on a thread of its own, or at once in a simulation.
  init(
    budgets: TargetBudgets, clock: any EngineClock,
    spawn: @escaping @Sendable (@escaping @Sendable () -> Void) throws(ReplError) -> Void
  ) {
    self.budgets = budgets
    self.clock = clock
    self.spawn = spawn
  }

  /// Begins the work of a request, or joins it, and waits a while for its end.
  func answer(
    _ request: ControlRequest, _ lane: Lane, _ body: @escaping @Sendable (Work) -> ControlReply
  ) throws(ReplError) -> ControlReply {
    let key = Key(peer: lane.peer, request: request)
    let now = clock.ticks()
    let admitted: Result<Job, ReplError> = state.change { state in admit(key, lane, body, now, &state) }
    let job = try admitted.get()
    startWhatMay()
    return wait(for: job)
  }

  /// Ends work of a peer that has gone, or whose trust has.
  ///
  /// - Parameter kind: nil for all of it.
  func cancel(peer: String, _ kind: Lane.Kind? = nil) {
    let dropped = state.change { state -> [Job] in
      func isMeant(_ job: Job) -> Bool { job.key.peer == peer && (kind == nil || job.lane.kind == kind) }
      for job in state.jobs.values where isMeant(job) { job.work.cancel() }
      let dropped = state.queued.filter(isMeant)
      state.queued.removeAll(where: isMeant)
      return dropped
    }
    for job in dropped { finish(job, .refused(Self.stopping), wasRunning: false) }
  }

  /// Takes nothing more, ends what is under way and waits for it, at most `limit`.
  func stop(within limit: Duration) {
    let dropped = state.change { state -> [Job] in
      state.isStopped = true
      for job in state.jobs.values { job.work.cancel() }
      defer { state.queued = [] }
      return state.queued
    }
    for job in dropped { finish(job, .refused(Self.stopping), wasRunning: false) }
    let ended: Void? = state.wait(until: .after(limit)) { $0.running.isEmpty ? () : nil }
    _ = ended
  }

  private static let stopping = ReplError(.transient, subject: "the request", cause: "ended before it was done")

  // MARK: -

  private func admit(
    _ key: Key, _ lane: Lane, _ body: @escaping @Sendable (Work) -> ControlReply, _ now: Double, _ state: inout State
  ) -> Result<Job, ReplError> {
    for (key, job) in state.jobs where job.result.withLock({ $0.map { now - $0.at > budgets.keptAnswer } ?? false }) {
      state.jobs[key] = nil
    }
    if let job = state.jobs[key] { return .success(job) }
    guard !state.isStopped else { return .failure(Self.stopping) }
    let own = state.jobs.values.filter { $0.key.peer == key.peer }
    let reads = own.count { $0.lane.kind == .read }
    guard own.count < budgets.requests, lane.kind != .read || reads < budgets.readRequests else {
      return .failure(
        ReplError(
          .transient, subject: "peer \(key.peer)",
          cause: "asks for too much at once: \(own.count) requests are under way",
          remedy: "it tries again by itself"))
    }
    let job = Job(key, lane, body)
    state.jobs[key] = job
    state.queued.append(job)
    return .success(job)
  }

  private func wait(for job: Job) -> ControlReply {
    let peer = job.key.peer
    let mayWait = state.change { state in
      guard state.waiting[peer, default: 0] < budgets.waitingRequests else { return false }
      state.waiting[peer, default: 0] += 1
      return true
    }
    let reply = state.wait(until: .after(mayWait ? budgets.replyTime : min(budgets.shortTime, budgets.replyTime))) {
      _ in job.reply
    }
    state.change { state in
      if mayWait { state.waiting[peer] = state.waiting[peer].flatMap { $0 > 1 ? $0 - 1 : nil } }
      if reply != nil, state.jobs[job.key] === job { state.jobs[job.key] = nil }
    }
    return reply ?? .underWay(job.work.progress)
  }

  private func limit(of kind: Lane.Kind) -> Int {
    switch kind {
    case .change: budgets.changesPerPool
    case .proof: budgets.proofsPerPool
    case .read: budgets.readsPerPool
    }
  }

  private func startWhatMay() {
    while let job = state.change({ state in takeNext(&state) }) {
      do throws(ReplError) {
        try spawn { [self] in
          finish(job, job.body(job.work), wasRunning: true)
          startWhatMay()
        }
      } catch {
        finish(job, .refused(error), wasRunning: true)
      }
    }
  }

  /// The oldest job whose peer has a share of the pool left.
  private func takeNext(_ state: inout State) -> Job? {
    let index = state.queued.firstIndex { state.running[$0.lane, default: 0] < limit(of: $0.lane.kind) }
    guard let index else { return nil }
    let job = state.queued.remove(at: index)
    state.running[job.lane, default: 0] += 1
    return job
  }

  private func finish(_ job: Job, _ reply: ControlReply, wasRunning: Bool) {
    let now = clock.ticks()
    state.change { state in
      job.result.withLock { $0 = (reply, now) }
      if wasRunning { state.running[job.lane] = state.running[job.lane].flatMap { $0 > 1 ? $0 - 1 : nil } }
      // What can be asked again at no cost is not kept for a peer that does not come back.
      if job.lane.kind != .read, state.jobs[job.key] === job { state.jobs[job.key] = nil }
    }
  }
}
