import ReplModel
import TestSupport
import Testing

@testable import Threads

@Suite("Threads that wait for asynchronous work")
struct AsyncBridgeTests {
  /// Where nothing is to run out: tests that block share the threads of asynchronous work.
  private let patience: Duration = .seconds(3_600)

  /// Asks from a thread, as a bridge must be used.
  private func ask(
    _ bridge: AsyncBridge, limit: Duration, _ body: @escaping @Sendable () async throws(ReplError) -> Int
  ) async throws(ReplError) -> Int {
    try await runOnThread("test") { () throws(ReplError) in try bridge.run("question", limit: limit, body) }
  }

  @Test("The thread gets the result, or the error")
  func resultOrError() async throws {
    let bridge = AsyncBridge()
    #expect(try await ask(bridge, limit: patience) { () async throws(ReplError) in 42 } == 42)
    let refusal = ReplError(.notFound, subject: "x", cause: "is not there")
    await #expect(throws: refusal) {
      try await ask(bridge, limit: patience) { () async throws(ReplError) in throw refusal }
    }
  }

  @Test("Work that takes too long is cancelled and no longer waited for")
  func timeLimit() async throws {
    let bridge = AsyncBridge()
    let (cancelled, signal) = AsyncStream.makeStream(of: Void.self)
    do throws(ReplError) {
      _ = try await ask(bridge, limit: .milliseconds(1)) { () async throws(ReplError) in
        // Ends only by being cancelled.
        try? await Task.sleep(for: .seconds(3_600))
        signal.finish()
        return 1
      }
      Issue.record("the limit passed unnoticed")
    } catch { #expect(error.kind == .transient) }
    for await _ in cancelled {}
  }

  @Test("The end of the work is told when it has ended, not when it is no longer waited for")
  func ended() async throws {
    let bridge = AsyncBridge()
    let (released, release) = AsyncStream.makeStream(of: Void.self)
    let (ends, end) = AsyncStream.makeStream(of: Void.self)
    let count = Locked(0)
    await #expect(throws: ReplError.self) {
      try await runOnThread("test") { () throws(ReplError) in
        try bridge.run(
          "question", limit: .milliseconds(1),
          ended: {
            count.withLock { $0 += 1 }
            end.finish()
          }
        ) { () async throws(ReplError) in
          // Does not heed that it is cancelled.
          await Task.detached { for await _ in released {} }.value
        }
      }
    }
    #expect(count.withLock { $0 } == 0)
    release.finish()
    for await _ in ends {}
    #expect(count.withLock { $0 } == 1)
  }

  @Test("Stopping ends every wait, and those to come")
  func stopping() async throws {
    let bridge = AsyncBridge()
    await withTaskGroup(of: ReplError.Kind?.self) { group in
      let (started, signal) = AsyncStream.makeStream(of: Void.self)
      group.addTask {
        do throws(ReplError) {
          _ = try await ask(bridge, limit: patience) { () async throws(ReplError) in
            signal.finish()
            try? await Task.sleep(for: .seconds(3_600))
            return 1
          }
          return nil
        } catch { return error.kind }
      }
      for await _ in started {}
      bridge.stop()
      for await kind in group { #expect(kind == .transient) }
    }
    await #expect(throws: ReplError.self) { try await ask(bridge, limit: patience) { () async throws(ReplError) in 1 } }
  }
}
