import CStorageShims
import Glibc
public import ReplModel

/// The agent's own directories, in which nothing may lie that people name: what was put there would be taken for the agent's,
/// swept away or in its way.
///
/// Decided by where a path leads in its file system, through symbolic links, `..` and bind mounts.
public struct PrivateDirectories: Sendable {
  private let roots: [String]

  /// - Parameter roots: directories that exist.
  public init(_ roots: [String]) { self.roots = roots }

  /// Refuses a path that is, or would be made, in one of the directories. What does not exist, nor the directory it would be
  /// made in, is in none.
  ///
  /// - Parameter remedy: what to do instead.
  public func requireOutside(_ path: String, remedy: String) throws(ReplError) {
    guard let place = Self.place(of: path) else { return }
    for root in roots {
      guard let own = Self.place(of: root), place.isIn(own) else { continue }
      throw ReplError(
        .refused, subject: path, cause: "lies in the agent's own directory \(root)", remedy: remedy)
    }
  }

  /// Where something is, whatever it is mounted on.
  private struct Place {
    /// Of the mount: `major:minor`.
    var device: Substring
    /// From the root of the file system.
    var parts: [Substring]

    func isIn(_ other: Place) -> Bool { device == other.device && parts.starts(with: other.parts) }
  }

  /// Of the path, or else of the directory it would be made in with its name.
  private static func place(of path: String) -> Place? {
    if let found = existingPlace(of: path) { return found }
    let parent = parentDirectory(of: path)
    guard var place = existingPlace(of: parent) else { return nil }
    place.parts.append(contentsOf: path.dropFirst(parent.count).split(separator: "/"))
    return place
  }

  private static func existingPlace(of path: String) -> Place? {
    let descriptor = open(path, CSS_O_PATH | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    guard let real = SystemFile.link("/proc/self/fd/\(descriptor)"), let mount = mount(of: descriptor) else {
      return nil
    }
    let inside = real.split(separator: "/").dropFirst(mount.point.split(separator: "/").count)
    return Place(device: mount.device, parts: mount.root.split(separator: "/") + inside)
  }

  private struct Mount {
    var device: Substring
    var root: String
    var point: String
  }

  private static func mount(of descriptor: Int32) -> Mount? {
    guard let about = try? SystemFile.text("/proc/self/fdinfo/\(descriptor)"),
      let line = about.split(separator: "\n").first(where: { $0.hasPrefix("mnt_id:") }),
      let table = try? SystemFile.text("/proc/self/mountinfo")
    else { return nil }
    let id = line.dropFirst("mnt_id:".count).drop { $0 == " " || $0 == "\t" }
    for line in table.split(separator: "\n") {
      // id parent major:minor root point …
      let fields = line.split(separator: " ")
      guard fields.count > 4, fields[0] == id else { continue }
      return Mount(device: fields[2], root: MountTable.unescaped(fields[3]), point: MountTable.unescaped(fields[4]))
    }
    return nil
  }
}
