import ReplModel
import Threads

/// Says which volumes a run works on: upkeep keeps away from them. Any thread may call.
final class VolumeActivity: Sendable {
  private let question = Locked<@Sendable (VolumeID) -> Bool>({ _ in false })

  /// Sets who knows; until then no volume is busy.
  func ask(_ isBusy: @escaping @Sendable (VolumeID) -> Bool) { question.withLock { $0 = isBusy } }

  func isBusy(_ volume: VolumeID) -> Bool {
    let ask = question.withLock { $0 }
    return ask(volume)
  }
}
