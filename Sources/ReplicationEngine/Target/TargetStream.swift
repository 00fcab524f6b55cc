import BlockDiff
import ReplModel
import Synchronization
import WireProtocol

/// One data stream of a session at the target: checked frames in, staged bytes out. Used by one thread, except what ends
/// it.
final class TargetStream: Sendable {
  /// What a stream writes into. A writer of a staging area is shut out when its session ends or begins again.
  enum Sink: Sendable {
    case staging(StagingWriter)
    case repair(RepairSlot)
  }

  private let session: TargetSession
  private let sink: Sink
  private let round: Int
  private let disconnect: @Sendable () -> Void
  private let isClosed = Atomic<Bool>(false)

  /// - Parameter disconnect: ends the connection under the stream, from any thread.
  init(session: TargetSession, sink: Sink, round: Int, disconnect: @escaping @Sendable () -> Void) {
    self.session = session
    self.sink = sink
    self.round = round
    self.disconnect = disconnect
  }

  /// Size of the volume in bytes.
  var volumeSize: UInt64 { session.begin.size }

  /// What a frame of the stream may be.
  var limits: StreamLimits {
    StreamLimits(
      volumeSize: volumeSize, maxChunk: session.agreement.maxChunk, codecs: session.agreement.codecs)
  }

  /// Stages raw bytes whose digest has been checked.
  func write(_ raw: UnsafeRawBufferPointer, at offset: UInt64) throws(ReplError) {
    try counted(UInt64(raw.count)) { () throws(ReplError) in
      switch sink {
      case .staging(let staging): try staging.write(raw, at: offset)
      case .repair(let slot): try slot.write(raw, at: offset)
      }
    }
  }

  func writeZeros(_ extent: Extent) throws(ReplError) {
    try counted(blockSize) { () throws(ReplError) in
      switch sink {
      case .staging(let staging): try staging.writeZeros(extent)
      case .repair(let slot): try slot.writeZeros(extent)
      }
    }
  }

  /// Room is made for what finds none. An error of storage ends the stream, and is counted.
  private func counted(_ bytes: UInt64, _ body: () throws(ReplError) -> Void) throws(ReplError) {
    do throws(ReplError) {
      try session.takeRoom(bytes)
      do throws(ReplError) { return try body() } catch {
        guard error.kind == .noSpace else { throw error }
      }
      try session.withRoom(body)
    } catch {
      session.noteStorageError(error)
      throw error
    }
  }

  /// Its session is over for it: the connection need not be waited for.
  func cut() { disconnect() }

  /// The stream is over, in order or not. Called before its end is acknowledged: from then on the source may seal.
  func close() {
    guard !isClosed.exchange(true, ordering: .relaxed) else { return }
    session.streamClosed(self, round: round)
  }
}
