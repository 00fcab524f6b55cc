public import ReplModel

/// Keeps the fingerprint keys of lineages as files beside the points or snapshots they belong to.
///
/// Files are made with mode 0600 in directories of mode 0700; keys are never logged.
public struct KeyStore: Sendable {
  static let envelope = Envelope(magic: "RPLFPKEY", version: 1, what: "fingerprint key")
  /// The directory that holds the keys.
  public let directory: String
  private let storage: any Storage

  public init(directory: String, storage: any Storage) {
    self.directory = directory
    self.storage = storage
  }

  /// The key of a lineage; `keyNeeded` if there is none here.
  public func key(of lineage: LineageID) throws(ReplError) -> FingerprintKey {
    let path = path(lineage)
    do throws(ReplError) {
      let bytes = try storage.readFile(path, limit: 4096)
      return try Self.envelope.decode(bytes, path: path) { (reader) throws(DecodingFailure) in
        let found: LineageID = try reader.readIdentifier()
        guard found == lineage else { throw reader.failure("lineage \(lineage)") }
        guard let key = FingerprintKey(bytes: Array(try reader.readRaw(FingerprintKey.byteCount))) else {
          throw reader.failure("\(FingerprintKey.byteCount) bytes of key")
        }
        return key
      }
    } catch  where [.notFound, .damaged, .io].contains(error.kind) {
      // One that cannot be read is kept anew when it comes again.
      throw ReplError(
        .keyNeeded, subject: "lineage \(lineage)", cause: "has no fingerprint key here that can be read",
        remedy: "the source begins again and sends the key")
    } catch { throw error }
  }

  /// Keeps a key, durable on return. The same key again is no error; another one for the same lineage is refused.
  public func store(_ key: FingerprintKey, of lineage: LineageID) throws(ReplError) {
    do throws(ReplError) {
      guard try self.key(of: lineage) == key else {
        throw ReplError(
          .refused, subject: "lineage \(lineage)", cause: "has another fingerprint key here than the one offered",
          remedy: "a source whose key is lost begins a new lineage")
      }
      return
    } catch  where error.kind == .keyNeeded {
    } catch { throw error }
    var writer = ByteWriter()
    writer.write(lineage)
    writer.writeRaw(key.bytes)
    try storage.writeFileDurably(path(lineage), Self.envelope.encode(writer.bytes))
  }

  private func path(_ lineage: LineageID) -> String { directory + "/\(lineage).key" }
}

extension PointStore {
  /// The keys of a source volume's points. Makes its directory, durably.
  public func keys(of source: SourceVolume) throws(ReplError) -> KeyStore {
    try storage.makeDurableDirectories(layout.points(of: source), below: layout.root)
    return KeyStore(directory: layout.points(of: source), storage: storage)
  }
}
