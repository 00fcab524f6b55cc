import ReplModel

extension Hello: WireCodable {
  func encode(into writer: inout ByteWriter) {
    writer.write(major)
    writer.write(minor)
    writer.write(features)
    writer.write(clusterID)
    writer.write(node)
    writer.write(software)
    writer.write(maxChunk)
    writer.write(codecs)
  }

  /// Of another major version only the version is read: the rest may look different.
  init(from reader: inout ByteReader) throws(DecodingFailure) {
    let (major, minor): (UInt16, UInt16) = (try reader.read(), try reader.read())
    guard major == Self.protocolMajor else {
      self.init(
        major: major, minor: minor, features: 0, clusterID: "", node: "", software: "", maxChunk: 0, codecs: 0)
      return
    }
    self.init(
      major: major, minor: minor, features: try reader.read(), clusterID: try reader.readClusterID(),
      node: try reader.readHost(), software: try reader.readText(limit: WireLimits.software),
      maxChunk: try reader.read(), codecs: try reader.read())
  }
}

extension Heartbeat: WireCodable {
  func encode(into writer: inout ByteWriter) { writer.write(sentAt) }
  init(from reader: inout ByteReader) throws(DecodingFailure) { self.init(sentAt: try reader.readInstant()) }
}

extension HeartbeatReply: WireCodable {
  func encode(into writer: inout ByteWriter) {
    writer.write(sentAt)
    writer.write(receivedAt)
    writer.write(repliedAt)
    writer.write(repairWanted)
  }

  init(from reader: inout ByteReader) throws(DecodingFailure) {
    self.init(
      sentAt: try reader.readInstant(), receivedAt: try reader.readInstant(), repliedAt: try reader.readInstant(),
      repairWanted: try reader.readBool())
  }
}

extension InventoryRequest: WireCodable {
  func encode(into writer: inout ByteWriter) { writer.write(volume) }
  init(from reader: inout ByteReader) throws(DecodingFailure) { self.init(volume: try reader.readIdentifier()) }
}

extension PointSummary: WireCodable {
  func encode(into writer: inout ByteWriter) { encode(into: &writer, damageLimit: Self.damageLimit) }

  func encode(into writer: inout ByteWriter, damageLimit: Int) {
    writer.write(point)
    // Of a point that a version before took with a larger one.
    writer.write(min(generation, WireLimits.counter))
    writer.write(size)
    writer.write(fingerprint)
    writer.write(takenAt)
    writer.write(state.rawValue)
    writer.writeList(Array(damagedSegments.prefix(min(damageLimit, Self.damageLimit)))) { $0.write($1) }
  }

  init(from reader: inout ByteReader) throws(DecodingFailure) {
    self.init(
      point: try reader.readIdentifier(), generation: try reader.readCounter(), size: try reader.readSize(),
      fingerprint: try reader.readFingerprint(), takenAt: try reader.readInstant(),
      state: try reader.readCase("a state of a point"),
      damagedSegments: try reader.readSegments(limit: Self.damageLimit))
  }
}

extension InventoryReply: WireCodable {
  /// The damage of all points together is cut at the limit; what is repaired makes room for the rest.
  func encode(into writer: inout ByteWriter) {
    var room = WireLimits.inventoryDamage
    writer.writeList(Array(points.prefix(Self.pointLimit))) { writer, point in
      point.encode(into: &writer, damageLimit: room)
      room -= min(room, point.damagedSegments.count, PointSummary.damageLimit)
    }
  }

  init(from reader: inout ByteReader) throws(DecodingFailure) {
    self.init(points: try reader.readList(limit: Self.pointLimit, PointSummary.init(from:)))
    guard points.reduce(0, { $0 + $1.damagedSegments.count }) <= WireLimits.inventoryDamage else {
      throw reader.failure("at most \(WireLimits.inventoryDamage) damaged segments in all")
    }
  }
}
