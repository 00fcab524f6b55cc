import BlockDiff
import Foundation
import GRDB
import ReplModel

extension SegmentSet {
  /// As a column: nil for none.
  var column: Data? { isEmpty ? nil : Data(encoded) }
}

extension Row {
  /// A column of segments. One that cannot be read stands for all segments: nothing is trusted for its loss.
  func segments(_ column: String) throws -> SegmentSet {
    let value: DatabaseValue = self[column]
    if value.isNull { return SegmentSet() }
    let segments = Data.fromDatabaseValue(value).flatMap { SegmentSet(encoded: Array($0)) }
    return segments ?? SegmentSet(allOf: UInt64(Int64.max))
  }
}

/// Segment numbers as a blob of little-endian 64-bit words.
enum SegmentList {
  static func encode(_ segments: [UInt64]) -> Data {
    var writer = ByteWriter()
    for segment in segments { writer.write(segment) }
    return Data(writer.bytes)
  }

  static func decode(_ data: Data) -> [UInt64] {
    var reader = ByteReader(Array(data))
    var segments: [UInt64] = []
    while let segment: UInt64 = try? reader.read() { segments.append(segment) }
    return segments
  }
}
