/// Whether to compress the next chunk. Pure: fed with durations, one per data stream.
///
/// A stream's thread compresses, then sends. With l nanoseconds in send per byte on the wire (what the link and its
/// encryption cost), c nanoseconds of LZ4 per raw byte and r bytes of payload per raw byte, a raw byte costs l without and
/// c + r·l with compression. So LZ4 pays while c < (1 − r)·l: on a thin link l is large and it is the win; on a fast one c
/// is the bottleneck. The three are moving averages; while compression is off, single chunks are tried now and then to
/// keep c and r true.
public struct CompressionChoice: Hashable, Sendable {
  /// Smoothed nanoseconds in send per byte on the wire.
  public private(set) var linkCost: Double?
  /// Smoothed nanoseconds of compression per raw byte.
  public private(set) var compressionCost: Double?
  /// Smoothed bytes of payload per raw byte of chunks that were tried.
  public private(set) var ratio: Double?
  /// Whether compression is on at present.
  public private(set) var isOn = true

  /// Chunks until the next trial while off, doubled from ``shortestPause`` to ``longestPause`` as trials fail.
  private var pause = 0
  private var nextPause = shortestPause
  static let shortestPause = 8
  static let longestPause = 64
  /// Weight of the newest figure in the averages.
  private static let weight = 0.125
  /// Gain asked for before switching on, so that the choice does not flutter.
  private static let margin = 0.9

  public init() {}

  /// Says whether the next chunk is to be tried with LZ4; call once per chunk.
  public mutating func shouldCompress() -> Bool {
    if isOn { return true }
    guard pause == 0 else {
      pause -= 1
      return false
    }
    return true
  }

  /// Tells what a trial gave.
  ///
  /// - Parameters:
  ///   - rawBytes: length of the chunk.
  ///   - payloadBytes: what will travel; equal to `rawBytes` when the chunk goes raw after all.
  ///   - nanoseconds: time the trial took, digest not counted.
  public mutating func recordCompression(rawBytes: Int, payloadBytes: Int, nanoseconds: UInt64) {
    guard rawBytes > 0 else { return }
    compressionCost = average(compressionCost, Double(nanoseconds) / Double(rawBytes))
    ratio = average(ratio, Double(payloadBytes) / Double(rawBytes))
    decide(trialPaid: Double(nanoseconds) < Double(rawBytes - payloadBytes) * (linkCost ?? 0))
  }

  /// Tells how long sending took.
  ///
  /// - Parameters:
  ///   - wireBytes: bytes given to the stream.
  ///   - nanoseconds: time the thread was in send: blocked by the link or at work for it; not waits for a bandwidth limit.
  public mutating func recordSend(wireBytes: Int, nanoseconds: UInt64) {
    guard wireBytes > 0 else { return }
    linkCost = average(linkCost, Double(nanoseconds) / Double(wireBytes))
  }

  /// A trial that paid by itself keeps the pauses short: the data may have become compressible.
  private mutating func decide(trialPaid: Bool) {
    guard let link = linkCost, let cost = compressionCost, let ratio else { return }
    let gain = (1 - ratio) * link
    let pays = isOn ? cost < gain : cost < gain * Self.margin
    if pays {
      (isOn, pause, nextPause) = (true, 0, Self.shortestPause)
    } else {
      isOn = false
      pause = trialPaid ? Self.shortestPause : nextPause
      nextPause = trialPaid ? Self.shortestPause : min(nextPause * 2, Self.longestPause)
    }
  }

  private func average(_ old: Double?, _ new: Double) -> Double {
    old.map { $0 + (new - $0) * Self.weight } ?? new
  }
}
