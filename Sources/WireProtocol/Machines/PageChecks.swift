public import ReplModel

/// What only the end that asked can tell of a page: whether it is of what was asked for, and whether asking goes on.
extension ResumeExtentsReply {
  /// Refuses a page that begins before `offset`, so that pages advance and do not overlap, and extents beyond the volume or
  /// with an end that is neither a block boundary nor the volume's.
  public func check(from offset: UInt64, volumeSize: UInt64) throws(WireError) {
    guard extents.first.map({ $0.offset >= offset }) ?? true else {
      throw WireError(.malformedBody, "resumeExtents reply begins before the offset \(offset) asked for")
    }
    guard extents.allSatisfy({ $0.isWholeBlocks(ofVolume: volumeSize) }) else {
      throw WireError(.malformedBody, "resumeExtents reply has an extent that is not of whole blocks of the volume")
    }
  }
}

extension SegmentSumsReply {
  /// Refuses sums of segments that were not asked for.
  public func check(_ request: SegmentSumsRequest) throws(WireError) {
    let end = request.firstSegment.addingReportingOverflow(UInt64(request.count))
    guard sums.allSatisfy({ $0.segment >= request.firstSegment && (end.overflow || $0.segment < end.partialValue) })
    else {
      throw WireError(.malformedBody, "segmentSums reply has a segment that was not asked for")
    }
  }
}
