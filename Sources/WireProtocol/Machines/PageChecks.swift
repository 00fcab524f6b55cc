import ReplModel

/// What only the end that asked can tell of a page: whether it is of what was asked for.
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
