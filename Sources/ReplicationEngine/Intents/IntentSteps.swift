import BlockDiff
import GRDB
import ReplModel

/// The steps of one verb, in the order of its cases. Each may be repeated: whoever goes on after a crash does not know
/// whether the one that was to be done next was done.
protocol IntentStep: RawRepresentable<String>, CaseIterable, Hashable, Sendable where AllCases == [Self] {
  /// What is durable when it is done. Part of the table in `docs/architecture.md`.
  var durable: String { get }
  /// What a crash right after it leaves, for people. Part of the table in `docs/architecture.md`.
  var crashLeaves: String { get }
}

/// How the steps of a verb are done. The caller has the turns of the replicas.
protocol IntentWork: Sendable {
  associatedtype Step: IntentStep
  /// What a step does outside of the database; done again it ends in the same.
  func perform(_ step: Step, _ source: SourceVolume) throws(ReplError)
  /// What a step changes in the database: in the transaction that records that it is done.
  func record(_ step: Step, _ source: SourceVolume, _ database: Database) throws
  /// The last step is recorded.
  func tell(_ source: SourceVolume)
}

/// An intent that stays where it is, and why.
struct UnfinishedIntent: Sendable {
  var source: SourceVolume
  var error: ReplError
}

/// Does what intents say, step by step, and records each step that is done: one transaction for all the replicas that
/// take it together.
struct IntentRunner: Sendable {
  let context: TargetContext

  /// Goes on with intents until the last step of each is done. One that fails stays where it is.
  ///
  /// - Parameter together: whether nothing goes on once one has failed: a group that may be taken back.
  func finish(_ records: [IntentRecord], together: Bool = false) throws(ReplError) -> [UnfinishedIntent] {
    var left: [UnfinishedIntent] = []
    for verb in IntentVerb.allCases {
      let some = records.filter { $0.verb == verb }
      switch verb {
      case .promote: left += try finish(some, Promotion(context: context), together)
      }
    }
    return left
  }

  private func finish<Work: IntentWork>(
    _ records: [IntentRecord], _ work: Work, _ together: Bool
  ) throws(ReplError) -> [UnfinishedIntent] {
    var waiting: [Work.Step: [IntentRecord]] = [:]
    var left: [UnfinishedIntent] = []
    for record in records {
      if let step = Work.Step(rawValue: record.step) {
        waiting[step, default: []].append(record)
      } else {
        left.append(UnfinishedIntent(source: record.source, error: record.unknownStep))
      }
    }
    var reached: [IntentRecord] = []
    for (step, next) in zip(Work.Step.allCases, Work.Step.allCases.dropFirst().map(Optional.some) + [nil]) {
      var done: [IntentRecord] = []
      for record in reached + waiting[step, default: []] where !together || left.isEmpty {
        do throws(ReplError) {
          try work.perform(step, record.source)
          done.append(record)
        } catch {
          left.append(UnfinishedIntent(source: record.source, error: error))
        }
      }
      try record(done, step, next, work)
      reached = done
    }
    for record in reached { work.tell(record.source) }
    return left
  }

  private func record<Work: IntentWork>(
    _ done: [IntentRecord], _ step: Work.Step, _ next: Work.Step?, _ work: Work
  ) throws(ReplError) {
    guard !done.isEmpty else { return }
    try context.database.write { database in
      for record in done {
        try work.record(step, record.source, database)
        if let next { try record.advance(database, to: next.rawValue) } else { try record.delete(database) }
      }
    }
  }

  /// Finishes what a crash has left, before anybody else has work at a replica.
  func finishAtStart() throws(ReplError) -> [UnfinishedIntent] { try finish(try unfinished()) }

  /// Finishes what a failure has left, one replica after the other, each in its turn.
  func finish(
    inTurn: (SourceVolume, () throws(ReplError) -> Void) throws(ReplError) -> Void
  ) throws(ReplError) -> [UnfinishedIntent] {
    var left: [UnfinishedIntent] = []
    for record in try unfinished() {
      do throws(ReplError) {
        try inTurn(record.source) { () throws(ReplError) in
          // Whoever had the turn before may have finished it or taken it back.
          guard let record = try context.database.read({ try IntentRecord.find($0, record.source) }) else { return }
          left += try finish([record])
        }
      } catch {
        left.append(UnfinishedIntent(source: record.source, error: error))
      }
    }
    return left
  }

  private func unfinished() throws(ReplError) -> [IntentRecord] {
    let now = context.clock.now()
    if try context.database.read({ try IntentRecord.lacksPromotions($0) }) {
      try context.database.write { try IntentRecord.restorePromotions($0, at: now) }
    }
    return try context.database.read { try IntentRecord.all($0) }
  }
}
