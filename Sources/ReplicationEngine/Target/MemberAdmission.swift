import BlockDiff
import GRDB
import ReplModel

/// Takes a proven member into the catalogue. Its proof says what was shipped; the rest is what its base is. So the base
/// must still be the image that was cloned, and what is doubtful in it is read in the member first.
struct MemberAdmission: Sendable {
  let context: TargetContext
  /// Rounds of reading after which the member is recorded with its doubts, to be read before it becomes a point.
  private static let rounds = 3

  /// Records a member, durable on return. The same one again is no error, nor is one that is a point already.
  ///
  /// - Parameter base: the base when staging was opened on it; nil for a full copy.
  /// - Throws: `transient` when the member may hold damage of its base: it is thrown away, and the session begins again.
  func admit(_ member: PreparedRecord, on base: CatalogPoint?) throws(ReplError) {
    let source = try member.source()
    var read = Read()
    for round in 1...Self.rounds {
      switch try record(member, on: base, source, read, acceptsDoubt: round == Self.rounds) {
      case .done: return
      case .otherBase(let cause): throw try refuse(source, cause)
      case .doubtful(let next):
        guard next.segments.count <= DoubtReader.waitLimit else {
          throw try refuse(source, "its base was found doubtful in \(next.segments.count) segments")
        }
        guard try isClean(next.segments, member, source) else {
          throw try refuse(source, "its base was found damaged, and so is what was cloned from it")
        }
        read = next
      }
    }
  }

  /// Segments that were doubtful in the base when so much was held against it.
  private struct Read {
    var segments = SegmentSet()
    var findings: Int?
  }

  private enum Outcome {
    case done
    case otherBase(String)
    case doubtful(Read)
  }

  private func record(
    _ member: PreparedRecord, on base: CatalogPoint?, _ source: SourceVolume, _ read: Read, acceptsDoubt: Bool
  ) throws(ReplError) -> Outcome {
    try context.database.write { database in
      // The same seal may come again after the group was committed: the point is no longer prepared then.
      if try CatalogPoint.find(database, source, member.seal.point) != nil { return .done }
      if try PreparedRecord.find(database, cluster: source.cluster, volume: source.volume)?.seal == member.seal {
        return .done
      }
      guard let base else {
        try member.insert(database)
        return .done
      }
      guard let now = try CatalogPoint.find(database, source, base.point) else {
        return .otherBase("its base is gone")
      }
      guard now.repairs == base.repairs else { return .otherBase("its base was repaired meanwhile") }
      // A full proof rests on nothing that the base holds.
      guard member.seal.proof == .full || now.suspicion == nil else { return .otherBase("its base is suspect") }
      var record = member
      record.doubtful = now.doubtful.union(SegmentSet(now.damaged)).clamped(toVolume: member.seal.size)
      if read.findings == now.findings { record.doubtful = record.doubtful.subtracting(read.segments) }
      guard record.doubtful.isEmpty || acceptsDoubt else {
        return .doubtful(Read(segments: record.doubtful, findings: now.findings))
      }
      try record.insert(database)
      return .done
    }
  }

  /// Whether the staged image is what was sealed in these segments. What was written since is its own; the rest is the
  /// base's.
  private func isClean(
    _ segments: SegmentSet, _ member: PreparedRecord, _ source: SourceVolume
  ) throws(ReplError) -> Bool {
    let store = try context.store(pool: member.pool)
    guard let staged = try store.preparedPoint(of: source), staged.seal == member.seal else { return false }
    let key = try store.keys(of: source).key(of: member.seal.lineage)
    let image = RecoveryPoint(record: staged, paths: store.layout.staging(source))
    return try store.read(segments, of: image, key: key).different.isEmpty
  }

  private func refuse(_ source: SourceVolume, _ cause: String) throws(ReplError) -> ReplError {
    let found = try context.database.read {
      try Replica.find($0, cluster: source.cluster, volume: source.volume)
    }
    if let found { try context.store(pool: found.pool).discardStaging(of: source) }
    return ReplError(
      .transient, subject: "\(source)", cause: cause, remedy: "begin the session again: it does without that base")
  }
}
