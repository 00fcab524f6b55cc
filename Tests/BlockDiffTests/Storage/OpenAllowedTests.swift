import BlockDiff
import Glibc
import ReplModel
import TestSupport
import Testing

@Suite struct OpenAllowedTests {
  private let storage = LinuxStorage()

  private func refusal(_ path: String, _ allowed: [String]) -> ReplError? {
    #expect(throws: ReplError.self) { try storage.openAllowed(path, allowedPaths: allowed) }
  }

  @Test func aFileBelowAnAllowedPathIsOpened() throws {
    let directory = try TemporaryDirectory()
    try storage.make(directory.file("volume"), [1, 2])
    let file = try storage.openAllowed(directory.file("volume"), allowedPaths: ["/nowhere", directory.path + "/"])
    #expect(try file.size() == 2)
    try file.close()
    let itself = try storage.openAllowed(directory.file("volume"), allowedPaths: [directory.file("volume")])
    try itself.close()
  }

  @Test func everyRefusalSaysWhatIsWrong() throws {
    let directory = try TemporaryDirectory()
    let allowed = [directory.path]
    try storage.makeDirectory(directory.file("folder"))
    let folder = refusal(directory.file("folder"), allowed)
    #expect(folder?.kind == .invalid && folder?.cause.contains("a directory") == true)
    let missing = refusal(directory.file("none"), allowed)
    #expect(missing?.kind == .notFound && missing?.cause.contains("no such file") == true)
    #expect(symlink("/nowhere/at/all", directory.file("dangling")) == 0)
    let dangling = refusal(directory.file("dangling"), allowed)
    #expect(dangling?.kind == .notFound && dangling?.cause.contains("leads nowhere") == true)
    #expect(mkfifo(directory.file("pipe"), 0o600) == 0)
    #expect(refusal(directory.file("pipe"), allowed)?.cause.contains("a named pipe") == true)
    #expect(refusal("/dev/null", ["/dev"])?.cause.contains("a character device") == true)
    #expect(refusal("relative", allowed)?.cause.contains("absolute") == true)
  }

  @Test func linksMayNotLeadOutOfTheAllowedPaths() throws {
    let directory = try TemporaryDirectory()
    let outside = try TemporaryDirectory()
    try storage.make(outside.file("secret"), [1])
    try storage.make(directory.file("volume"), [1, 2])
    #expect(symlink(outside.file("secret"), directory.file("link")) == 0)
    let link = refusal(directory.file("link"), [directory.path])
    #expect(link?.kind == .refused && link?.cause.contains(outside.file("secret")) == true)
    #expect(symlink(outside.path, directory.file("folder")) == 0)
    #expect(refusal(directory.file("folder/secret"), [directory.path])?.kind == .refused)
    let other = refusal(directory.file("volume/../../\(outside.path.dropFirst(5))/secret"), [directory.path])
    #expect(other != nil)
    let plain = refusal(outside.file("secret"), [directory.path])
    #expect(plain?.kind == .refused && plain?.cause == "lies outside of the allowed paths")
    #expect(refusal(directory.path + "2/volume", [directory.path]) != nil)
    #expect(refusal(directory.file("volume"), [])?.remedy?.contains("none") == true)
    #expect(symlink("volume", directory.file("alias")) == 0)
    let file = try storage.openAllowed(directory.file("alias"), allowedPaths: [directory.path])
    #expect(try file.size() == 2)
    try file.close()
  }

  @Test func uncachedReadsGiveTheSameBytes() throws {
    let directory = try TemporaryDirectory()
    let bytes = (0..<300_001).map { UInt8(truncatingIfNeeded: $0 &* 31) }
    try storage.make(directory.file("volume"), bytes)
    let file = try storage.openAllowed(directory.file("volume"), allowedPaths: [directory.path], uncached: true)
    let buffer = AlignedBuffer(count: 400_000)
    #expect(try file.read(into: buffer.bytes, at: 0) == bytes.count)
    #expect(Array(buffer.prefix(bytes.count)) == bytes)
    try file.close()
  }
}
