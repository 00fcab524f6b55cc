import BlockDiff
import ReplModel

/// The names of a ``SimulatedDisk`` and what of them is on the medium. Touched only under the disk's lock.
struct SimulatedTree {
  /// A change of names that is not on the medium yet.
  enum Change {
    case add(SimulatedInode, String, SimulatedInode)
    case remove(SimulatedInode, String)
    /// Atomic on the medium too, between two directories.
    case move(SimulatedInode, String, SimulatedInode, String, SimulatedInode)

    /// Numbers of the directories it touches.
    var directories: [UInt64] {
      switch self {
      case .add(let parent, _, _), .remove(let parent, _): [parent.number]
      case .move(let from, _, let to, _, _): [from.number, to.number]
      }
    }

    func apply() {
      switch self {
      case .add(let parent, let name, let inode): parent.durableEntries[name] = inode
      case .remove(let parent, let name): parent.durableEntries[name] = nil
      case .move(let from, let name, let to, let newName, let inode):
        from.durableEntries[name] = nil
        to.durableEntries[newName] = inode
      }
    }
  }

  private(set) var root: SimulatedInode
  private var unsynced: [Change] = []
  private var nextNumber: UInt64 = 2
  /// Advances with every change; the times of files are taken from it.
  private var ticks: Int64 = 0

  init() {
    root = SimulatedInode(number: 1, isDirectory: true, attributes: .init(modified: 0, changed: 0))
  }

  mutating func tick() -> Int64 {
    ticks += 1
    return 1_700_000_000_000_000_000 + ticks * 1_000_000
  }

  mutating func makeInode(isDirectory: Bool) -> SimulatedInode {
    defer { nextNumber += 1 }
    let now = tick()
    return SimulatedInode(
      number: nextNumber, isDirectory: isDirectory, attributes: .init(modified: now, changed: now))
  }

  func find(_ path: String) -> SimulatedInode? {
    var current = root
    for name in path.split(separator: "/") {
      guard let next = current.entries[String(name)] else { return nil }
      current = next
    }
    return current
  }

  func parent(of path: String) throws(ReplError) -> (SimulatedInode, String) {
    let directory = parentDirectory(of: path)
    guard let parent = find(directory), parent.isDirectory, let name = path.split(separator: "/").last else {
      throw ReplError(.notFound, subject: path, cause: "there is no directory \(directory)")
    }
    return (parent, String(name))
  }

  mutating func add(_ inode: SimulatedInode, at path: String) throws(ReplError) {
    let (parent, name) = try parent(of: path)
    guard parent.entries[name] == nil else { throw ReplError(.exists, subject: path, cause: "is there already") }
    parent.entries[name] = inode
    unsynced.append(.add(parent, name, inode))
  }

  mutating func remove(_ path: String) throws(ReplError) {
    let (parent, name) = try parent(of: path)
    parent.entries[name] = nil
    unsynced.append(.remove(parent, name))
  }

  mutating func move(_ path: String, to newPath: String, replacing: Bool) throws(ReplError) {
    let (from, name) = try parent(of: path)
    let (to, newName) = try parent(of: newPath)
    guard let inode = from.entries[name] else { throw ReplError(.notFound, subject: path, cause: "is not there") }
    if inode.attributes.isImmutable { throw ReplError(.refused, subject: path, cause: "is immutable") }
    if let old = to.entries[newName] {
      guard replacing else { throw ReplError(.exists, subject: newPath, cause: "is there already") }
      if old.attributes.isImmutable { throw ReplError(.refused, subject: newPath, cause: "is immutable") }
    }
    from.entries[name] = nil
    to.entries[newName] = inode
    if !inode.isDirectory { inode.attributes.changed = tick() }
    unsynced.append(.move(from, name, to, newName, inode))
  }

  /// fsync of a directory: its changes reach the medium, and with them the earlier ones of directories that renames
  /// tie to it.
  mutating func synchronize(_ directory: SimulatedInode) {
    var needed: Set<UInt64> = [directory.number]
    var chosen: [Int] = []
    for index in unsynced.indices.reversed() where unsynced[index].directories.contains(where: needed.contains) {
      needed.formUnion(unsynced[index].directories)
      chosen.append(index)
    }
    for index in chosen.reversed() { unsynced[index].apply() }
    let gone = Set(chosen)
    unsynced = unsynced.enumerated().filter { !gone.contains($0.offset) }.map(\.element)
  }

  /// All inodes that can be reached now or after a crash.
  var inodes: [SimulatedInode] {
    var found: [UInt64: SimulatedInode] = [:]
    func visit(_ inode: SimulatedInode) {
      guard found.updateValue(inode, forKey: inode.number) == nil else { return }
      inode.entries.values.forEach(visit)
      inode.durableEntries.values.forEach(visit)
    }
    visit(root)
    return found.values.sorted { $0.number < $1.number }
  }

  /// All files that have a name now.
  var visibleFiles: [SimulatedInode] {
    func files(_ inode: SimulatedInode) -> [SimulatedInode] {
      inode.isDirectory ? inode.entries.values.flatMap(files) : [inode]
    }
    return files(root)
  }

  /// The tree that a power cut leaves on the medium: of the unsynced changes of names a random prefix per directory.
  /// Shares nothing with this one.
  func crashed(using generator: inout SeededGenerator) -> SimulatedTree {
    // Changes of the lists are made to copies of the medium's names, not to the tree itself.
    var names = Dictionary(uniqueKeysWithValues: inodes.map { ($0.number, $0.durableEntries) })
    var stopped: Set<UInt64> = []
    let survival = [0, 2, 3, 4].randomElement(using: &generator) ?? 3
    for change in unsynced {
      let survives = Int.random(in: 0..<4, using: &generator) < survival
      guard survives, !change.directories.contains(where: stopped.contains) else {
        stopped.formUnion(change.directories)
        continue
      }
      switch change {
      case .add(let parent, let name, let inode): names[parent.number, default: [:]][name] = inode
      case .remove(let parent, let name): names[parent.number, default: [:]][name] = nil
      case .move(let from, let name, let to, let newName, let inode):
        names[from.number, default: [:]][name] = nil
        names[to.number, default: [:]][newName] = inode
      }
    }
    var result = self
    result.unsynced = []
    result.root = Self.copy(root, names, &generator)
    return result
  }

  private static func copy(
    _ inode: SimulatedInode, _ names: [UInt64: [String: SimulatedInode]], _ generator: inout SeededGenerator
  ) -> SimulatedInode {
    let attributes = Bool.random(using: &generator) ? inode.attributes : inode.durableAttributes
    let copy = SimulatedInode(number: inode.number, isDirectory: inode.isDirectory, attributes: attributes)
    guard inode.isDirectory else {
      copy.load(inode.crashed(using: &generator), attributes)
      return copy
    }
    for (name, child) in (names[inode.number] ?? [:]).sorted(by: { $0.key < $1.key }) {
      let made = Self.copy(child, names, &generator)
      copy.entries[name] = made
      copy.durableEntries[name] = made
    }
    return copy
  }
}
