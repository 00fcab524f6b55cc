public import ReplModel

/// What a full read of a point against its own seal showed.
public struct Verification: Sendable {
  /// What the image adds up to; without the segments that could not be read.
  public internal(set) var actual = BlockSum.zero
  /// Segments whose bytes are not what the table says or cannot be read; whole segments, coalesced.
  public internal(set) var damaged = ExtentSet()
  /// Whether there were too many runs to list them all: then everything counts as damaged.
  public internal(set) var isDamagedAllOver = false
  /// Whether entries of the segment table are damaged or the table does not add up to the seal.
  public internal(set) var isTableDamaged = false
  /// The first error of reading the image.
  public internal(set) var unreadable: ReplError?
  /// What is wrong with the image's stamp, in words.
  public internal(set) var stampDifference: String?
  /// Bytes read.
  public internal(set) var bytesRead: UInt64 = 0
  /// Whether the image adds up to the seal.
  public internal(set) var matchesSeal = false

  /// Most runs of damaged segments that are listed.
  static let runLimit = 4096
}

extension PointStore {
  /// Reads every allocated block of a point and compares with its seal and segment table. Changes nothing.
  public func verify(
    _ point: RecoveryPoint, key: FingerprintKey, pace: Pace = { (_) in }
  ) throws(ReplError) -> Verification {
    guard point.record.keyID == key.id else {
      throw ReplError(
        .keyNeeded, subject: "recovery point \(point.id)", cause: "was sealed with another fingerprint key")
    }
    var result = Verification()
    result.stampDifference = try checkStamp(point)
    let image = try storage.open(point.paths.image, .read)
    if let table = try openTable(of: point), try image.size() == point.record.seal.size {
      try compare(image, table, key, pace, into: &result)
    } else {
      result.isTableDamaged = true
      try readAll(image, point.record.seal.size, key, pace, into: &result)
    }
    try image.close()
    result.matchesSeal = result.actual == point.record.seal.sum && result.damaged.isEmpty
    // Every segment is as the table says and the sum is not as the seal says: the table was not what was sealed.
    if !result.matchesSeal && result.damaged.isEmpty { result.isTableDamaged = true }
    if !result.matchesSeal && (result.damaged.isEmpty || result.isTableDamaged) { result.isDamagedAllOver = true }
    return result
  }

  /// The table, or nil if it is not there or not one of this point.
  private func openTable(of point: RecoveryPoint) throws(ReplError) -> SegmentTable? {
    do throws(ReplError) {
      let table = try SegmentTable.open(point.paths.segments, in: storage)
      return table.volumeSize == point.record.seal.size && table.keyID == point.record.keyID ? table : nil
    } catch  where error.kind == .damaged || error.kind == .notFound {
      return nil
    } catch { throw error }
  }

  private func compare(
    _ image: any StorageFile, _ table: SegmentTable, _ key: FingerprintKey, _ pace: Pace,
    into result: inout Verification
  ) throws(ReplError) {
    var walk = try ScrubWalk(image: image, table: table, key: key)
    while let step = try walk.next(pace: pace) {
      result.bytesRead += step.extent.length
      if let actual = step.actual { result.actual += actual }
      switch step.finding {
      case .equal: continue
      case .tableDamaged: result.isTableDamaged = true
      case .different: result.damaged.insert(step.extent)
      case .unreadable(let error):
        result.damaged.insert(step.extent)
        if result.unreadable == nil { result.unreadable = error }
      }
      if result.damaged.extents.count > Verification.runLimit {
        result.isDamagedAllOver = true
        result.damaged = ExtentSet([Extent(offset: 0, length: table.volumeSize)])
      }
    }
    try table.close()
  }

  private func readAll(
    _ image: any StorageFile, _ size: UInt64, _ key: FingerprintKey, _ pace: Pace, into result: inout Verification
  ) throws(ReplError) {
    guard try image.size() >= size else {
      result.damaged.insert(Extent(offset: 0, length: size))
      return
    }
    var bytesRead: UInt64 = 0
    result.actual = try FingerprintScan.sum(
      of: image, size: size, key: key,
      pace: { (bytes) throws(ReplError) in
        bytesRead += bytes
        try pace(bytes)
      })
    result.bytesRead = bytesRead
  }
}
