public import ReplModel

/// What reading some segments of an image showed.
public struct SegmentReading: Sendable {
  /// Those that are not what the image's own table says, or cannot be read.
  public internal(set) var different = SegmentSet()
  /// The first that the file system could not read: it names file and offset.
  public internal(set) var unreadable: ReplError?
  /// Bytes of the segments looked at.
  public internal(set) var bytesRead: UInt64 = 0
}

extension PointStore {
  /// Reads segments of a point, or of a prepared member, from the medium and compares them with its table, which must
  /// add up to its seal. Changes nothing.
  ///
  /// - Parameter isTableChecked: whether the table was seen to add up just now, by an earlier call for the same image.
  /// - Throws: `damaged` when there is no table of this image, or it is not what was sealed, or an entry in it is damaged;
  ///   `notFound` for a lost image.
  public func read(
    _ segments: SegmentSet, of point: RecoveryPoint, key: FingerprintKey, isTableChecked: Bool = false,
    pace: Pace = { (_) in }
  ) throws(ReplError) -> SegmentReading {
    let seal = point.record.seal
    guard point.record.keyID == key.id else {
      throw ReplError(
        .keyNeeded, subject: "recovery point \(point.id)", cause: "was sealed with another fingerprint key")
    }
    let table = try SegmentTable.open(point.paths.segments, in: storage)
    defer { try? table.close() }
    let sum = isTableChecked ? seal.sum : try table.total()
    guard table.volumeSize == seal.size, table.keyID == key.id, sum == seal.sum else {
      throw ReplError(.damaged, subject: table.path, cause: "does not add up to the seal of point \(point.id)")
    }
    let image = try storage.open(point.paths.image, .read)
    defer { try? image.close() }
    guard try image.size() == seal.size else {
      throw ReplError(.damaged, subject: image.path, cause: "is not \(seal.size) bytes long")
    }
    var reader = FingerprintReader(
      image, size: seal.size, key: key, buffer: AlignedBuffer(count: Int(segmentSize)), readsMedium: true)
    var (result, entries) = (SegmentReading(), SegmentTableEditor(table))
    for run in segments.clamped(toVolume: seal.size).runs {
      for segment in run.offset..<run.end { try read(segment, &reader, &entries, pace, into: &result) }
    }
    return result
  }

  private func read(
    _ segment: UInt64, _ reader: inout FingerprintReader, _ entries: inout SegmentTableEditor, _ pace: Pace,
    into result: inout SegmentReading
  ) throws(ReplError) {
    let extent = Extent(
      from: segment * segmentSize, to: min((segment + 1) * segmentSize, entries.table.volumeSize))
    let expected = try entries.sum(ofSegment: segment)
    result.bytesRead += extent.length
    do throws(ReplError) {
      guard try reader.sum(extent, pace: pace) != expected else { return }
    } catch {
      guard error.kind == .io else { throw error }
      if result.unreadable == nil { result.unreadable = error }
    }
    result.different.insert(segment)
  }
}
