import ReplModel
import Threads

/// Lets as many documents at once go to a peer as it answers; the others wait their turn, in order.
///
/// Waiting costs no thread. The peer's own limit (``DocumentDesk``) is for peers that do not wait.
final class DocumentGate: Sendable {
  /// Documents that may wait for one peer.
  static let waitingLimit = 64

  private struct Waiter {
    var number: UInt64
    var continuation: CheckedContinuation<Bool, Never>
    var timer: Task<Void, Never>
  }

  private struct Peer {
    var working = 0
    var waiting: [Waiter] = []
  }

  private struct State {
    var peers: [String: Peer] = [:]
    var number: UInt64 = 0
  }

  private let state = Locked(State())

  /// Runs `body` when it is this document's turn.
  ///
  /// - Throws: what `body` throws, `.transient` when the turn does not come within `limit` or too many wait.
  func run<Value: Sendable>(
    _ peer: String, limit: Duration, _ body: @Sendable () async throws(ReplError) -> Value
  ) async throws(ReplError) -> Value {
    guard await enter(peer, limit) else {
      throw ReplError(
        .transient, subject: "document for \(peer)", cause: "others are under way, its turn did not come",
        remedy: "try again")
    }
    defer { leave(peer) }
    return try await body()
  }

  /// Documents that wait for a peer.
  func waiting(_ peer: String) -> Int { state.withLock { $0.peers[peer]?.waiting.count ?? 0 } }

  private func enter(_ peer: String, _ limit: Duration) async -> Bool {
    let number = state.withLock { state in
      state.number += 1
      return state.number
    }
    return await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        if let answer = ask(peer, number, limit, continuation) { continuation.resume(returning: answer) }
        // Cancelled before there was anybody to be told of it.
        if Task.isCancelled { giveUp(peer, number) }
      }
    } onCancel: {
      giveUp(peer, number)
    }
  }

  private func timer(_ peer: String, _ number: UInt64, _ limit: Duration) -> Task<Void, Never> {
    Task { [weak self] in
      guard (try? await Task.sleep(for: limit)) != nil else { return }
      self?.giveUp(peer, number)
    }
  }

  /// Whether a document may go now; nil: it waits.
  private func ask(
    _ name: String, _ number: UInt64, _ limit: Duration, _ continuation: CheckedContinuation<Bool, Never>
  ) -> Bool? {
    state.withLock { state in
      var peer = state.peers[name] ?? Peer()
      defer { state.peers[name] = peer }
      if peer.working < DocumentDesk.concurrent {
        peer.working += 1
        return true
      }
      guard peer.waiting.count < Self.waitingLimit else { return false }
      peer.waiting.append(
        Waiter(number: number, continuation: continuation, timer: timer(name, number, limit)))
      return nil
    }
  }

  private func giveUp(_ peer: String, _ number: UInt64) {
    let waiter = state.withLock { state -> Waiter? in
      guard let index = state.peers[peer]?.waiting.firstIndex(where: { $0.number == number }) else { return nil }
      return state.peers[peer]?.waiting.remove(at: index)
    }
    waiter?.timer.cancel()
    waiter?.continuation.resume(returning: false)
  }

  /// Gives the turn to who waits longest.
  private func leave(_ name: String) {
    let next = state.withLock { state -> Waiter? in
      guard var peer = state.peers[name] else { return nil }
      if !peer.waiting.isEmpty {
        let next = peer.waiting.removeFirst()
        state.peers[name] = peer
        return next
      }
      peer.working -= 1
      state.peers[name] = peer.working > 0 ? peer : nil
      return nil
    }
    next?.timer.cancel()
    next?.continuation.resume(returning: true)
  }
}
