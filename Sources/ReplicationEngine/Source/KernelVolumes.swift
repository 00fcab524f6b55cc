import BlockDiff
import ReplModel

/// Live volumes as the kernel has them, opened under `allowedPaths` only.
struct KernelVolumes: LiveVolumes {
  let storage: LinuxStorage
  let allowedPaths: [String]

  func open(_ volume: VolumeRecord) throws(ReplError) -> any StorageFile {
    try storage.openAllowed(volume.path, allowedPaths: allowedPaths)
  }

  func watch(_ volume: VolumeRecord) throws(ReplError) -> any StillnessWatch {
    do throws(ReplError) {
      return EvidenceWatch(
        evidence: try StillnessEvidence.begin(volume.path, allowedPaths: allowedPaths, storage: storage))
    } catch {
      // Asked for by `consistency: none`: the point says `fuzzy` and is never chosen by default.
      guard volume.allowFuzzy, error.kind == .noPointInTime else { throw error }
      return NoWatch(file: try open(volume))
    }
  }

  func identity(of file: any StorageFile) throws(ReplError) -> DurableIdentity? {
    guard let file = file as? LinuxFile else { return nil }
    return try DurableIdentity(file)
  }

  private struct EvidenceWatch: StillnessWatch {
    let evidence: StillnessEvidence
    var file: any StorageFile { evidence.file }
    func check() throws(ReplError) { try evidence.check() }
    func finish() throws(ReplError) { try evidence.finish() }
    func end() {
      evidence.end()
      try? evidence.file.close()
    }
  }

  private struct NoWatch: StillnessWatch {
    let file: any StorageFile
    func check() throws(ReplError) {}
    func finish() throws(ReplError) {}
    func end() { try? file.close() }
  }
}
