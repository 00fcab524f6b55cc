extension UInt64 {
  /// The sum, or the greatest value where it has no room: for numbers that a peer names.
  package func addingSaturating(_ other: UInt64) -> UInt64 {
    let (sum, overflow) = addingReportingOverflow(other)
    return overflow ? .max : sum
  }
}
