import ReplModel

extension Pool {
  /// What lies in the agent's own directory and is none of the agent's: files and directories that the layout does not know,
  /// or that are no directories where it has some. At most ``strayLimit``; nothing is opened or changed.
  public func strays() -> [SkippedEntry] {
    var census = Census(storage: storage)
    let kinds: [(String, (String) -> Bool)] = [
      (layout.staging, { SourceVolume(directoryName: $0) != nil }),
      (layout.ready, { SourceVolume(directoryName: $0) != nil }),
      (layout.repair, { Self.isRepair($0) }),
    ]
    let known = Set(
      (layout.directories + [layout.superblock, layout.lock, layout.probe]).map { $0.dropFirst(layout.root.count + 1) })
    census.look(in: layout.root) { known.contains($0[...]) || $0.hasSuffix(".new") }
    for (directory, isKnown) in kinds {
      let names = census.look(in: directory) { isKnown($0) || (directory == layout.staging && $0.hasSuffix(".lock")) }
      for name in names where isKnown(name) { census.lookInPoint(directory + "/" + name) }
    }
    for volume in census.look(in: layout.snapshots, { VolumeID($0) != nil }) {
      let directory = layout.snapshots + "/" + volume
      for name in census.look(in: directory, { PointID($0) != nil }) {
        census.look(in: directory + "/" + name) { _ in true }
      }
    }
    for cluster in census.look(in: layout.points, { ClusterID.isValid($0) }) {
      let directory = layout.points + "/" + cluster
      for volume in census.look(in: directory, { VolumeID($0) != nil }) {
        census.lookAtPoints(directory + "/" + volume)
      }
    }
    return census.found
  }

  /// Most strays that are told of.
  public static let strayLimit = 100

  static func isRepair(_ name: String) -> Bool {
    let parts = name.split(separator: "~", omittingEmptySubsequences: false)
    return parts.count == 3 && SourceVolume(directoryName: "\(parts[0])~\(parts[1])") != nil && PointID(parts[2]) != nil
  }

  private struct Census {
    let storage: any Storage
    var found: [SkippedEntry] = []

    /// The names in a directory that are known there; of the others a note is made.
    @discardableResult
    mutating func look(in directory: String, _ isKnown: (String) -> Bool) -> [String] {
      guard found.count < Pool.strayLimit else { return [] }
      let names: [String]
      do throws(ReplError) { names = try storage.list(directory) } catch {
        note(directory, "is no directory that can be read: \(error.cause)")
        return []
      }
      for name in names where !isKnown(name) { note(directory + "/" + name, "is none of the agent's") }
      return names.filter(isKnown)
    }

    mutating func lookInPoint(_ directory: String) {
      look(in: directory) { PointPaths.names.contains($0) || $0.hasSuffix(".new") }
    }

    mutating func lookAtPoints(_ directory: String) {
      let names = look(in: directory) {
        PointID($0) != nil || $0 == "promotion" || $0.hasSuffix(".key") || $0.hasSuffix(".new")
          || $0.hasPrefix(PointStore.findingPrefix)
      }
      for name in names where PointID(name) != nil { lookInPoint(directory + "/" + name) }
    }

    private mutating func note(_ path: String, _ cause: String) {
      if found.count < Pool.strayLimit { found.append(SkippedEntry(path, cause)) }
    }
  }
}
