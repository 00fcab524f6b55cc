import BlockDiff
import Glibc
import ReplModel
import TestSupport
import Testing

/// Nothing that people name may lie among the agent's own files, by whatever way the path leads there.
@Suite(.serialized) struct PrivateDirectoriesTests {
  private func isRefused(_ path: String, _ root: String) -> Bool {
    do throws(ReplError) {
      try PrivateDirectories([root]).requireOutside(path, remedy: "elsewhere")
      return false
    } catch {
      return error.kind == .refused && error.remedy == "elsewhere"
    }
  }

  private func pool() throws -> (TemporaryDirectory, String) {
    let directory = try TemporaryDirectory()
    let root = directory.file("pool/.repl-agent")
    for path in [directory.file("pool"), root, root + "/points", directory.file("pool/volumes")] {
      try LinuxStorage().makeDirectory(path)
    }
    return (directory, root)
  }

  @Test func whatLiesInsideIsRefused() throws {
    let (directory, root) = try pool()
    for path in ["", "/x", "/points", "/points/x", "/points/../x", "/./points//x"] {
      #expect(isRefused(root + path, root), "\(path)")
    }
    for path in ["pool/x", "pool/volumes/x", "pool/.repl-agent-x", "pool/.repl-agent/../x", "pool/.repl-agen"] {
      #expect(!isRefused(directory.file(path), root), "\(path)")
    }
    #expect(!isRefused("/nowhere/at/all", root), "the step itself says that there is no such directory")
  }

  @Test func symbolicLinksAreFollowed() throws {
    let (directory, root) = try pool()
    #expect(symlink(root, directory.file("link")) == 0)
    #expect(symlink(directory.file("pool"), directory.file("whole")) == 0)
    #expect(isRefused(directory.file("link/x"), root))
    #expect(isRefused(directory.file("whole/.repl-agent/points/x"), root))
    #expect(isRefused(directory.file("link"), root))
    #expect(!isRefused(directory.file("whole/volumes/x"), root))
  }

  @Test(.requiresLoopDevices, arguments: [LoopFileSystem.Kind.xfs, .btrfs])
  func bindMountsAreSeenThrough(kind: LoopFileSystem.Kind) throws {
    let disk = try LoopFileSystem(kind)
    defer { disk.close() }
    let root = disk.path + "/.repl-agent"
    for path in [root, root + "/points"] { try LinuxStorage().makeDirectory(path) }
    let directory = try TemporaryDirectory()
    let other = directory.file("bound")
    try LinuxStorage().makeDirectory(other)
    _ = try LoopFileSystem.run(["mount", "--bind", root + "/points", other])
    defer { _ = try? LoopFileSystem.run(["umount", other]) }
    #expect(isRefused(other + "/x", root))
    #expect(isRefused(other, root))
    #expect(!isRefused(directory.file("x"), root))
  }
}
