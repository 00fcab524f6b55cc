import ArgumentParser
import Foundation
import Glibc
import Logging
import MetricsExposition
import ReplModel
import ReplicationEngine

/// Runs the agent until SIGTERM or SIGINT.
struct RunCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(commandName: "run", abstract: "Runs the agent.")
  @OptionGroup var file: ConfigurationOption

  func run() async throws {
    var configuration = try file.load()
    if let credentials = ProcessInfo.processInfo.environment["CREDENTIALS_DIRECTORY"] {
      configuration.engine.authorityKeyFile = credentials + "/repl-agent.ca-key"
    }
    // A peer that goes away is an error of a write, not the end of the process.
    signal(SIGPIPE, SIG_IGN)
    let logger = Self.makeLogger(configuration)
    FileLimit.raise()
    let manager = ServiceManager()
    let stop = StopSignals()
    let registry = MetricsRegistry(EngineDefinitions.recorded + ControlPlaneConfiguration.recorded)
    configuration.metrics.warn(logger)
    for warning in ConfigurationCheck(configuration: configuration).warnings { logger.warning("\(warning)") }
    let engine: ReplicationEngine
    do {
      engine = try ReplicationEngine.open(configuration.engine, logger: logger, metrics: registry)
    } catch {
      throw ExitCodes.exit(error)
    }
    logger.notice(
      "agent started",
      metadata: ["cluster": "\(configuration.engine.clusterID)", "node": "\(configuration.engine.node)"])
    let outcome = await serve(engine, configuration, registry, manager, stop, logger)
    manager.stopping()
    Self.forceExit(after: 9)
    engine.stop()
    logger.notice("agent stopped")
    if let outcome { throw ExitCodes.exit(outcome) }
    // Threads that wait for a peer's answer hold nothing that is not durable: they need not be waited for.
    Foundation.exit(0)
  }

  /// Serves the local socket until a signal comes; returns what went wrong, if that ended it.
  private func serve(
    _ engine: ReplicationEngine, _ configuration: AgentConfiguration, _ registry: MetricsRegistry,
    _ manager: ServiceManager, _ stop: StopSignals, _ logger: Logger
  ) async -> ReplError? {
    let loopback = LoopbackAPI(configuration, logger: logger)
    do {
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask {
          var control = ControlPlaneConfiguration(
            socketPath: configuration.socket, databasePath: configuration.engine.stateDirectory + "/objects.db",
            timeZone: configuration.timeZone)
          control.metrics = registry
          control.collectors = [EngineCollector(engine), ProcessCollector()]
          control.metricsListen = configuration.metrics.listener
          control.kubeconfig = { () throws(ReplError) in try loopback.kubeconfig() }
          let service = try ControlPlaneService(configuration: control, service: engine, logger: logger)
          try await service.run { manager.ready() }
        }
        group.addTask { await loopback.run() }
        if let interval = manager.watchdogInterval {
          group.addTask {
            while !Task.isCancelled {
              // The sign of life comes from the engine: one that cannot read its database is not alive.
              if (try? await engine.status()) != nil { manager.alive() }
              try await Task.sleep(for: interval)
            }
          }
        }
        group.addTask { await stop.wait() }
        try await group.next()
        group.cancelAll()
      }
      return nil
    } catch is CancellationError {
      return nil
    } catch let error as ReplError {
      return error
    } catch {
      return ReplError(.io, subject: "local socket \(configuration.socket)", cause: "\(error)")
    }
  }

  private static func makeLogger(_ configuration: AgentConfiguration) -> Logger {
    let level = Logger.Level(rawValue: configuration.logLevel) ?? .info
    let format = configuration.logFormat
    LoggingSystem.bootstrap { label in StandardErrorLog(logLevel: level, format: format, label: label) }
    return Logger(label: "repl-agent")
  }

  /// Whatever hangs, the process ends in time; all that counts is durable already.
  private static func forceExit(after seconds: Int) {
    DispatchQueue.global().asyncAfter(deadline: .now() + .seconds(seconds)) { Foundation.exit(0) }
  }
}

/// SIGTERM and SIGINT as something to wait for.
final class StopSignals: Sendable {
  private let stream: AsyncStream<Void>
  // Sources are only kept alive here and never touched again.
  private nonisolated(unsafe) let sources: [any DispatchSourceSignal]

  init() {
    var made: [any DispatchSourceSignal] = []
    stream = AsyncStream { continuation in
      for number in [SIGTERM, SIGINT] {
        signal(number, SIG_IGN)
        let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
        source.setEventHandler { continuation.finish() }
        source.resume()
        made.append(source)
      }
    }
    sources = made
  }

  /// Returns at the first signal, or when the task is cancelled. For one task: a stream has one reader.
  func wait() async { for await _ in stream {} }
}
