import TestSupport
import Testing

extension Integration {
  /// Extents move, are shared and are copied inside the file; contents are what counts.
  @Suite("A volume may be reshaped between cycles")
  struct Reshaped {
    @Test("defragmented, deduplicated, reflinked in itself", arguments: [LoopFileSystem.Kind.xfs, .btrfs])
    func reshaped(source: LoopFileSystem.Kind) throws {
      try TwoSites.run(source, to: source == .xfs ? .btrfs : .xfs) { sites in
        let volume = try sites.source.createVolume("data", size: 32 * .mebibyte)
        try volume.fill(seed: 1, count: 16 * .mebibyte)
        try fragment(volume)
        try sites.replicate()
        try sites.checkNewestPointIsLive(volume)

        try defragment(volume, source)
        let defragmented = try sites.replicateOne()
        #expect(defragmented.bytesChanged == 0, "moved extents hold the same bytes")
        try sites.checkNewestPointIsLive(volume)

        // The second half becomes a reflink of the first: new contents without a single write.
        try Command.check("xfs_io", "-c", "reflink \(volume.path) 0 16m 16m", volume.path)
        let reflinked = try sites.replicateOne()
        #expect(reflinked.bytesChanged == 16 << 20)
        try sites.checkNewestPointIsLive(volume)

        try volume.fill(seed: 1, at: 16 * .mebibyte, count: 4 * .mebibyte)
        try sites.replicate()
        try Command.check("xfs_io", "-c", "dedupe \(volume.path) 0 16m 4m", volume.path)
        try sites.replicate()
        try sites.checkNewestPointIsLive(volume)
      }
    }

    /// Rewrites every second 64 KiB out of order.
    private func fragment(_ volume: Volume) throws {
      for part in stride(from: 254, through: 0, by: -2) {
        try volume.fill(seed: UInt64(part), at: part * 64 * .kibibyte, count: 64 * .kibibyte)
      }
    }

    private func defragment(_ volume: Volume, _ kind: LoopFileSystem.Kind) throws {
      switch kind {
      case .btrfs: try Command.check("btrfs", "filesystem", "defragment", "-f", "-t", "32M", volume.path)
      case .xfs: _ = try Command.run(["xfs_fsr", volume.path])
      case .ext4: break
      }
    }

    @Test("a btrfs pool balanced while cycles run")
    func balanced() throws {
      try TwoSites.run(.btrfs, to: .xfs) { sites in
        let volume = try sites.source.createVolume("data", size: 32 * .mebibyte)
        let writer = try BlockWriter(volume, method: .direct, seed: 3)
        let checker = PrefixChecker(writer, mayTear: false)
        for _ in 1...3 {
          let name = try sites.begin()
          try Command.check("btrfs", "balance", "start", "--full-balance", sites.source.pool)
          #expect(try sites.end(of: name).isSuccessful)
          let point = try sites.checkNewestPoint(of: volume)
          _ = try checker.check(sites.image(of: point, volume))
        }
        try writer.stop()
        try Command.check("btrfs", "balance", "start", "--full-balance", sites.source.pool)
        try sites.replicate()
        try sites.checkNewestPointIsLive(volume)
      }
    }
  }
}
