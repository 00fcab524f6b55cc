public import ReplModel
import Threads

/// Runs blocking work on a thread of its own and awaits its result.
///
/// - Throws: what `body` throws, or `.transient` when no thread can be started.
public func runOnThread<Value: Sendable>(
  _ name: String, _ body: @escaping @Sendable () throws(ReplError) -> Value
) async throws(ReplError) -> Value {
  let result: Result<Value, ReplError> = await withCheckedContinuation { continuation in
    do throws(ReplError) {
      _ = try WorkerThread(name: name) {
        do throws(ReplError) {
          continuation.resume(returning: .success(try body()))
        } catch {
          continuation.resume(returning: .failure(error))
        }
      }
    } catch {
      continuation.resume(returning: .failure(error))
    }
  }
  return try result.get()
}
