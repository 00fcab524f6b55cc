public import ReplModel

/// Where everything lies in a pool. docs/on-disk-format.md draws the tree.
public struct PoolLayout: Hashable, Sendable {
  /// The pool's directory, without a slash at the end.
  public let pool: String

  public init(pool: String) { self.pool = pool.count > 1 && pool.hasSuffix("/") ? String(pool.dropLast()) : pool }

  /// The agent's own directory in the pool; all of it lies in one btrfs subvolume.
  public var root: String { pool + "/.repl-agent" }
  public var superblock: String { root + "/superblock" }
  public var lock: String { root + "/lock" }
  /// Written, synced and read back now and then, to see whether the file system works.
  public var probe: String { root + "/probe" }
  public var snapshots: String { root + "/snapshots" }
  public var staging: String { root + "/staging" }
  public var ready: String { root + "/ready" }
  public var repair: String { root + "/repair" }
  public var points: String { root + "/points" }
  /// What is being deleted; emptied at start-up.
  public var trash: String { root + "/trash" }

  /// Directories that ``Pool/open(_:owner:storage:lock:newID:)`` makes.
  var directories: [String] { [snapshots, staging, ready, repair, points, trash] }

  public func staging(_ source: SourceVolume) -> PointPaths {
    PointPaths(directory: staging + "/" + source.directoryName)
  }

  /// Held by whoever has the staging area of a volume open.
  func stagingLock(_ source: SourceVolume) -> String { staging + "/\(source.directoryName).lock" }

  public func ready(_ source: SourceVolume) -> PointPaths {
    PointPaths(directory: ready + "/" + source.directoryName)
  }

  public func repair(_ source: SourceVolume, _ point: PointID) -> PointPaths {
    PointPaths(directory: repair + "/\(source.directoryName)~\(point)")
  }

  /// The directory of a source volume's points and fingerprint keys.
  public func points(of source: SourceVolume) -> String { points + "/\(source.cluster)/\(source.volume)" }

  /// Says that a source volume was promoted here; beside its points.
  public func promotion(of source: SourceVolume) -> String { points(of: source) + "/promotion" }

  /// The live file of a volume that is held for another cluster, once it is promoted: among the pool's own volumes, with
  /// an id in its name, so that it meets no other. Names that are no file names (a peer may send any) are left out.
  public func live(_ source: SourceVolume, namespace: String, name: String) -> String {
    guard Self.isFileName(namespace), Self.isFileName(name), name.utf8.count <= 200 else {
      return volumes + "/\(source.cluster)/\(source.volume).img"
    }
    return volumes + "/\(namespace)/\(name)-\(source.volume).img"
  }

  /// Live images of volumes; the only part of a pool that people and their programs open.
  public var volumes: String { pool + "/volumes" }

  /// 1 to 253 lower-case letters, digits, `-` and `.`, with a letter or digit at both ends.
  private static func isFileName(_ text: String) -> Bool {
    let letters = text.utf8.allSatisfy { byte in
      (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
        || byte == UInt8(ascii: "-") || byte == UInt8(ascii: ".")
    }
    let edges = [text.utf8.first, text.utf8.last].allSatisfy {
      $0 != nil && $0 != UInt8(ascii: "-") && $0 != UInt8(ascii: ".")
    }
    return letters && edges && text.utf8.count <= 253
  }

  public func point(_ source: SourceVolume, _ point: PointID) -> PointPaths {
    PointPaths(directory: points(of: source) + "/\(point)")
  }

  public func snapshot(_ volume: VolumeID, _ point: PointID) -> PointPaths {
    PointPaths(directory: snapshots + "/\(volume)/\(point)")
  }
}

/// The files of a point or of a staging area.
public struct PointPaths: Hashable, Sendable {
  public let directory: String
  public init(directory: String) { self.directory = directory }

  /// Of the files below.
  static let names: Set<String> = ["image", "segments", "seal", "ledger", "header"]

  public var image: String { directory + "/image" }
  public var segments: String { directory + "/segments" }
  /// Only in a point, and in a staging area that is prepared.
  public var seal: String { directory + "/seal" }
  /// Only in staging areas.
  public var ledger: String { directory + "/ledger" }
  /// Only in staging areas, ready clones and repairs: what the directory is for.
  public var header: String { directory + "/header" }
}
