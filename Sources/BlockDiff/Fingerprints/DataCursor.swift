import ReplModel

/// Finds the allocated parts of a file in ascending order, asking the file system once per run of data and not once
/// per question. Used by one thread.
struct DataCursor {
  private let file: any StorageFile
  /// The last answer: where it was asked from, and the data found.
  private var asked: UInt64?
  private var data: Extent?

  init(_ file: any StorageFile) { self.file = file }

  /// The first part of `extent` that holds data, or nil when it is a hole.
  mutating func firstData(in extent: Extent) throws(ReplError) -> Extent? {
    if !covers(extent.offset) {
      data = try file.nextData(from: extent.offset)
      asked = extent.offset
    }
    return data?.intersection(extent)
  }

  private func covers(_ position: UInt64) -> Bool {
    guard let asked, asked <= position else { return false }
    guard let data else { return true }
    return position < data.end
  }
}
