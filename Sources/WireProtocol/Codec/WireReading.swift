import ReplModel

/// What has a binary form inside a body.
protocol WireCodable {
  func encode(into writer: inout ByteWriter)
  init(from reader: inout ByteReader) throws(DecodingFailure)
}

extension ByteReader {
  /// Nanoseconds since 1970, within the limit that keeps differences from overflowing.
  mutating func readInstant() throws(DecodingFailure) -> Timestamp {
    let value: Int64 = try read()
    guard (0...WireLimits.instant).contains(value) else {
      throw failure("an instant from 1970 to 2116, found \(value)")
    }
    return Timestamp(nanoseconds: value)
  }

  /// A count of bytes or an offset inside a volume.
  mutating func readSize() throws(DecodingFailure) -> UInt64 {
    let value: UInt64 = try read()
    guard value <= WireLimits.volumeSize else { throw failure("at most 2^63 - 1 bytes, found \(value)") }
    return value
  }

  /// A generation, an epoch or another number that is counted on from.
  mutating func readCounter() throws(DecodingFailure) -> UInt64 {
    let value: UInt64 = try read()
    guard value <= WireLimits.counter else { throw failure("at most 2^53, found \(value)") }
    return value
  }

  /// An index of a segment of a volume.
  mutating func readSegment() throws(DecodingFailure) -> UInt64 {
    let value: UInt64 = try read()
    guard value <= WireLimits.volumeSize / segmentSize else { throw failure("a segment of a volume, found \(value)") }
    return value
  }

  /// A cluster id: safe as a file name.
  mutating func readClusterID() throws(DecodingFailure) -> String {
    let text = try readString(limit: WireLimits.clusterID)
    guard ClusterID.isValid(text) else { throw failure("a cluster id") }
    return text
  }

  /// The name of a node or, maybe empty, an address.
  mutating func readHost(mayBeEmpty: Bool = false) throws(DecodingFailure) -> String {
    let text = try readString(limit: WireLimits.name)
    guard WireName.isHost(text) || (mayBeEmpty && text.isEmpty) else {
      throw failure("the name of a node or an address")
    }
    return text
  }

  /// The name of a namespace or a volume.
  mutating func readName() throws(DecodingFailure) -> String {
    let text = try readString(limit: WireLimits.name)
    guard WireName.isObjectName(text) else { throw failure("lower-case letters, digits, '-' and '.'") }
    return text
  }

  /// Text for people. It reaches terminals and journals: control characters are shown as a sign of their own.
  mutating func readText(limit: Int) throws(DecodingFailure) -> String {
    WireName.printable(try readString(limit: limit))
  }

  /// A value of an enumeration with numbers.
  mutating func readCase<Value: RawRepresentable>(
    _ what: String, of type: Value.Type = Value.self
  ) throws(DecodingFailure) -> Value where Value.RawValue == UInt8 {
    let raw: UInt8 = try read()
    guard let value = Value(rawValue: raw) else { throw failure("\(what), found \(raw)") }
    return value
  }

  mutating func readBranch() throws(DecodingFailure) -> Branch {
    Branch(epoch: try readCounter(), id: try readIdentifier())
  }

  /// A seal whose counters are within the protocol's limits and whose members are in order.
  mutating func readSeal() throws(DecodingFailure) -> Seal {
    let seal = try Seal(from: &self)
    guard [seal.generation, seal.branch.epoch].allSatisfy({ $0 <= WireLimits.counter }) else {
      throw failure("a generation and an epoch of at most 2^53")
    }
    guard zip(seal.members, seal.members.dropFirst()).allSatisfy({ $0.volume < $1.volume }) else {
      throw failure("members ascending by volume id")
    }
    return seal
  }

  /// A byte range that is not empty, begins at a block boundary and ends within the largest volume.
  mutating func readExtent() throws(DecodingFailure) -> Extent {
    let extent = Extent(offset: try readSize(), length: try readSize())
    guard extent.length > 0, extent.offset % blockSize == 0, extent.end <= WireLimits.volumeSize else {
      throw failure("a byte range of a volume, of whole blocks")
    }
    return extent
  }

  /// Segment numbers, strictly ascending.
  mutating func readSegments(limit: Int) throws(DecodingFailure) -> [UInt64] {
    let segments = try readList(limit: limit) { reader throws(DecodingFailure) in try reader.readSegment() }
    guard zip(segments, segments.dropFirst()).allSatisfy({ $0 < $1 }) else { throw failure("segments ascending") }
    return segments
  }

  /// Segment sums, strictly ascending by segment.
  mutating func readSums(limit: Int) throws(DecodingFailure) -> [SegmentSum] {
    let sums = try readList(limit: limit) { reader throws(DecodingFailure) in
      SegmentSum(segment: try reader.readSegment(), sum: try reader.readFingerprint())
    }
    guard zip(sums, sums.dropFirst()).allSatisfy({ $0.segment < $1.segment }) else {
      throw failure("segments ascending")
    }
    return sums
  }
}

extension ByteWriter {
  mutating func write(_ value: Timestamp) { write(value.nanoseconds) }

  mutating func write(_ value: Branch) {
    write(value.epoch)
    write(value.id)
  }

  mutating func write(_ value: Seal) { value.encode(into: &self) }

  mutating func write(_ values: [SegmentSum]) {
    writeList(values) { writer, value in
      writer.write(value.segment)
      writer.write(value.sum)
    }
  }

  /// Text cut at a character so that it has at most `limit` bytes: for explanations, never for names.
  mutating func writeCut(_ text: String, limit: Int) {
    var (count, end) = (0, text.unicodeScalars.startIndex)
    while end < text.unicodeScalars.endIndex {
      count += UTF8.width(text.unicodeScalars[end])
      guard count <= limit else { break }
      text.unicodeScalars.formIndex(after: &end)
    }
    write(String(text.unicodeScalars[..<end]))
  }
}

extension WireCodable {
  /// A body. What a newer minor version has put after the fields known here is its tail, and is skipped.
  init(body: [UInt8], _ what: String) throws(WireError) {
    do throws(DecodingFailure) {
      var reader = ByteReader(body)
      self = try Self(from: &reader)
    } catch {
      throw WireError(error, in: what)
    }
  }

  var body: [UInt8] {
    var writer = ByteWriter()
    encode(into: &writer)
    return writer.bytes
  }
}
