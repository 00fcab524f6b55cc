import Hummingbird
import Logging
import ServiceLifecycle
import Synchronization

/// One run of the HTTP server: ended in order by cancellation, or by a failure after it began to listen.
final class ServerRun: Sendable {
  private struct State {
    var failure: (any Error)?
    var stop: (@Sendable () -> Void)?
  }

  private let state = Mutex(State())
  private let logger: Logger

  /// How long connections may take to end by themselves.
  private static let drain: Duration = .seconds(2)

  init(logger: Logger) { self.logger = logger }

  /// Ends the run with an error.
  func fail(_ error: any Error) {
    let stop = state.withLock { state in
      state.failure = error
      return state.stop
    }
    stop?()
  }

  /// Serves until the task is cancelled: then no new connections, `onStop`, and what is left after a while is cut.
  func run(_ services: [any Service], onStop: @escaping @Sendable () -> Void) async throws {
    let group = ServiceGroup(
      configuration: ServiceGroupConfiguration(services: services, logger: logger))
    let server = Task { try await group.run() }
    let failed = state.withLock { state in
      state.stop = { server.cancel() }
      return state.failure != nil
    }
    if failed { server.cancel() }
    do {
      try await withTaskCancellationHandler {
        try await server.value
      } onCancel: {
        onStop()
        Task {
          await group.triggerGracefulShutdown()
          try? await Task.sleep(for: Self.drain)
          server.cancel()
        }
      }
    } catch {
      throw state.withLock { $0.failure } ?? error
    }
    if let failure = state.withLock({ $0.failure }) { throw failure }
  }
}
