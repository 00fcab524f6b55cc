import BlockDiff
import Glibc
import ReplModel
import TestSupport
import Testing

@Suite struct LinuxStorageTests {
  private let storage = LinuxStorage()

  @Test func readsAndWritesAtOffsets() throws {
    let directory = try TemporaryDirectory()
    let file = try storage.open(directory.file("file"), .createNew)
    let bytes = (0..<100_000).map { UInt8(truncatingIfNeeded: $0 / 7) }
    try bytes.withUnsafeBytes { try file.write($0, at: 5000) }
    try file.synchronize()
    try file.synchronizeData()
    #expect(try file.size() == 105_000)
    let buffer = AlignedBuffer(count: 200_000)
    #expect(try file.read(into: buffer.bytes, at: 0) == 105_000)
    #expect(Array(buffer.bytes[5000..<105_000]) == bytes && buffer.bytes[..<5000].allSatisfy { $0 == 0 })
    #expect(try file.read(into: buffer.bytes, at: 105_000) == 0)
    try file.truncate(to: 10)
    #expect(try file.size() == 10)
    try file.close()
    try file.close()
  }

  @Test func errorsNameTheFileAndWhatToDo() throws {
    let directory = try TemporaryDirectory()
    let missing = #expect(throws: ReplError.self) { try storage.open(directory.file("none"), .read) }
    #expect(missing?.kind == .notFound && missing?.subject == directory.file("none"))
    let file = try storage.open(directory.file("file"), .createNew)
    let existing = #expect(throws: ReplError.self) { try storage.open(directory.file("file"), .createNew) }
    #expect(existing?.kind == .exists)
    try file.close()
    let listed = #expect(throws: ReplError.self) { try storage.list(directory.file("none")) }
    #expect(listed?.kind == .notFound)
    #expect(symlink(directory.file("file"), directory.file("link")) == 0)
    #expect(throws: ReplError.self) { try storage.open(directory.file("link"), .read) }
  }

  @Test func renamingReplacesNothingUnlessAsked() throws {
    let directory = try TemporaryDirectory()
    try storage.make(directory.file("one"), [1])
    try storage.make(directory.file("two"), [2])
    let error = #expect(throws: ReplError.self) { try storage.rename(directory.file("one"), to: directory.file("two")) }
    #expect(error?.kind == .exists)
    try storage.replace(directory.file("one"), with: directory.file("two"))
    #expect(try storage.bytes(directory.file("two")) == [1])
    #expect(try storage.list(directory.path) == ["two"])
    try storage.rename(directory.file("two"), to: directory.file("three"))
    #expect(try storage.exists(directory.file("three")) && !storage.exists(directory.file("two")))
  }

  @Test func directoriesAreMadeListedAndRemoved() throws {
    let directory = try TemporaryDirectory()
    let tree = directory.file("tree")
    try storage.makeDirectory(tree)
    try storage.makeDirectory(tree)
    try storage.makeDirectory(tree + "/inner")
    try storage.make(tree + "/b", [1])
    try storage.make(tree + "/inner/a", [1])
    #expect(symlink("/etc", tree + "/link") == 0)
    #expect(try storage.list(tree) == ["b", "inner", "link"])
    try storage.synchronizeDirectory(tree)
    try storage.removeTree(tree)
    #expect(try !storage.exists(tree) && storage.exists("/etc"))
    try storage.removeTree(tree)
    try storage.removeFile(tree)
    #expect(throws: ReplError.self) { try storage.makeDirectory(directory.file("a/b")) }
    try storage.make(directory.file("file"), [1])
    #expect(throws: ReplError.self) { try storage.makeDirectory(directory.file("file")) }
  }

  @Test func dataIsFoundBetweenHoles() throws {
    let directory = try TemporaryDirectory()
    let file = try storage.open(directory.file("file"), .createNew)
    try file.truncate(to: 10 << 20)
    try [UInt8](repeating: 1, count: 65_536).withUnsafeBytes { try file.write($0, at: 1 << 20) }
    #expect(try file.nextData(from: 0) == Extent(offset: 1 << 20, length: 65_536))
    #expect(try file.nextData(from: (1 << 20) + 65_536) == nil)
    #expect(try file.nextData(from: 20 << 20) == nil)
    try file.punchHole(Extent(offset: 1 << 20, length: 65_536))
    #expect(try file.nextData(from: 0) == nil && file.size() == 10 << 20)
    try file.close()
  }

  @Test(.requiresLoopDevices, arguments: [LoopFileSystem.Kind.xfs, .btrfs, .ext4])
  func tellsFileSystemsApart(kind: LoopFileSystem.Kind) throws {
    let disk = try LoopFileSystem(kind)
    defer { disk.close() }
    try storage.make(disk.path + "/file", [1])
    let file = try storage.open(disk.path + "/file", .read)
    let expected: FileSystemKind =
      switch kind {
      case .xfs: .xfs
      case .btrfs: .btrfs
      case .ext4: .other(magic: 0xef53)
      }
    #expect(try file.fileSystem() == expected)
    #expect(try file.stamp().size == 1)
    try file.close()
    #expect(try storage.space(at: disk.path).total > 1 << 20)
  }

  @Test(.requiresLoopDevices, arguments: [LoopFileSystem.Kind.xfs, .btrfs])
  func immutableFilesCannotBeWrittenButClonedAndRemovedWithTheirTree(kind: LoopFileSystem.Kind) throws {
    let disk = try LoopFileSystem(kind)
    defer { disk.close() }
    let point = disk.path + "/points"
    try storage.makeDirectory(point)
    try storage.make(point + "/image", [1, 2, 3])
    try storage.setImmutable(point + "/image", true)
    try storage.setImmutable(point + "/image", true)
    #expect(throws: ReplError.self) { try storage.open(point + "/image", .readWrite) }
    #expect(throws: ReplError.self) { try storage.removeFile(point + "/image") }
    let file = try storage.open(point + "/image", .read)
    let clone = try storage.clone(file, to: disk.path + "/clone")
    try [UInt8(9)].withUnsafeBytes { try clone.write($0, at: 0) }
    try clone.close()
    try file.close()
    #expect(try storage.bytes(point + "/image") == [1, 2, 3])
    try storage.removeTree(point)
    #expect(try !storage.exists(point))
  }

  @Test(.requiresLoopDevices) func aCloneThatFailsLeavesNothing() throws {
    let disk = try LoopFileSystem(.ext4, megabytes: 64)
    let other = try LoopFileSystem(.xfs)
    defer {
      disk.close()
      other.close()
    }
    try storage.make(disk.path + "/file", [1])
    let file = try storage.open(disk.path + "/file", .read)
    defer { try? file.close() }
    let unsupported = #expect(throws: ReplError.self) { try storage.clone(file, to: disk.path + "/clone") }
    #expect(unsupported?.kind == .refused && unsupported?.remedy?.contains("reflink") == true)
    #expect(try !storage.exists(disk.path + "/clone"))
    let elsewhere = #expect(throws: ReplError.self) { try storage.clone(file, to: other.path + "/clone") }
    #expect(elsewhere?.kind == .refused)
    #expect(try !storage.exists(other.path + "/clone"))
  }

  @Test(.requiresLoopDevices) func aFullFileSystemSaysHowMuchIsMissing() throws {
    let disk = try LoopFileSystem(.ext4, megabytes: 16)
    defer { disk.close() }
    let file = try storage.open(disk.path + "/file", .createNew)
    defer { try? file.close() }
    let bytes = [UInt8](repeating: 1, count: 32 << 20)
    let error = #expect(throws: ReplError.self) { try bytes.withUnsafeBytes { try file.write($0, at: 0) } }
    #expect(error?.kind == .noSpace)
    #expect(error?.cause.contains("bytes are missing") == true)
  }

  @Test(.requiresLoopDevices) func aBlockDeviceHasItsSizeAndIsAllData() throws {
    let disk = try LoopFileSystem(.ext4, megabytes: 64)
    defer { disk.close() }
    let volume = try LiveVolumeFile.inspect(disk.device, allowedPaths: ["/dev"])
    #expect(volume.kind == .device && volume.size == 64 << 20)
    let file = try storage.openAllowed(disk.device, allowedPaths: ["/dev"])
    #expect(try file.nextData(from: 4096) == Extent(from: 4096, to: 64 << 20))
    try file.close()
  }

  @Test(.requiresLoopDevices, arguments: [LoopFileSystem.Kind.xfs, .btrfs])
  func extentMapsComeInPages(kind: LoopFileSystem.Kind) throws {
    let disk = try LoopFileSystem(kind)
    defer { disk.close() }
    let path = disk.path + "/file"
    try fileCommands(path, (0..<50).map { "pwrite -q -S 1 \($0 * 8192) 4096" } + ["fsync"])
    let file = try storage.open(path, .read)
    defer { try? file.close() }
    var found: [Extent] = []
    var position: UInt64 = 0
    while true {
      let page = try file.extentMap(from: position, limit: 7, sync: true)
      guard let last = page.last else { break }
      #expect(page.count <= 7)
      // XFS may have allocated more between them, unwritten.
      found += page.filter { $0.flags & 0x800 == 0 }.map(\.logical)
      position = last.logical.end
    }
    #expect(found == (0..<50).map { Extent(offset: UInt64($0) * 8192, length: 4096) })
  }

  /// libvirt makes its images so; without it the kernel refuses to share blocks.
  @Test(.requiresLoopDevices) func aCloneTakesOverTheNoCopyOnWriteFlag() throws {
    let disk = try LoopFileSystem(.btrfs, megabytes: 128)
    defer { disk.close() }
    let path = disk.path + "/image"
    try LoopFileSystem.run(["touch", path])
    try LoopFileSystem.run(["chattr", "+C", path])
    let file = try storage.openFile(path, .readWrite)
    try [UInt8](repeating: 3, count: 8192).withUnsafeBytes { try file.write($0, at: 0) }
    let copy = try storage.clone(file, to: disk.path + "/clone")
    #expect(try copy.size() == 8192)
    #expect(try LoopFileSystem.run(["lsattr", disk.path + "/clone"]).split(separator: " ")[0].contains("C"))
    try copy.close()
    try file.close()
  }
}
