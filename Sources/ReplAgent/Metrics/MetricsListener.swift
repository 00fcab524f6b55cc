import Glibc
import Hummingbird
import HummingbirdCore
import Logging
import MetricsExposition
import NIOCore
import ReplModel
import ServiceLifecycle

/// Where metrics are served: plain HTTP, for reading only.
struct MetricsAddress: Hashable, Sendable {
  /// A name or an address; IPv6 without brackets.
  var host: String
  var port: UInt16

  init(host: String, port: UInt16) {
    self.host = host
    self.port = port
  }
}

/// `GET /metrics` and `GET /healthz`, and nothing else.
struct MetricsResponder: HTTPResponder {
  typealias Context = BasicRequestContext

  var page: MetricsPage
  /// Whether nothing keeps the agent from its work.
  var isHealthy: @Sendable () async -> Bool

  /// What does is told on the socket only: anybody may read here.
  static let unhealthy = "the agent cannot do its work: see replctl status\n"

  func respond(to request: Request, context: BasicRequestContext) async throws -> Response {
    let response = await answer(request)
    return request.method == .head ? response.createHeadResponse() : response
  }

  private func answer(_ request: Request) async -> Response {
    guard ["/metrics", "/healthz"].contains(request.uri.path) else { return Self.text(.notFound, "404 not found\n") }
    guard request.method == .get || request.method == .head else {
      var response = Self.text(.methodNotAllowed, "405 method not allowed\n")
      response.headers[.allow] = "GET, HEAD"
      return response
    }
    if request.uri.path == "/healthz" {
      return await isHealthy() ? Self.text(.ok, "ok\n") : Self.text(.serviceUnavailable, Self.unhealthy)
    }
    return Self.text(.ok, await page.text(), type: ExpositionText.contentType)
  }

  private static func text(
    _ status: HTTPResponse.Status, _ text: String, type: String = "text/plain; charset=utf-8"
  ) -> Response {
    Response(
      status: status, headers: [.contentType: type, .cacheControl: "no-store"],
      body: ResponseBody(byteBuffer: ByteBuffer(string: text)))
  }
}

/// The listener for metrics, a part of the control plane's run: an address that cannot be had ends that run.
final class MetricsListener: Service {
  /// Connections at once; scrapers need few.
  private static let connections = 32

  private let address: MetricsAddress
  private let responder: MetricsResponder
  private let logger: Logger
  private let listening: AsyncStream<Bool>
  private let announce: AsyncStream<Bool>.Continuation

  init(_ address: MetricsAddress, _ responder: MetricsResponder, logger: Logger) {
    self.address = address
    self.responder = responder
    self.logger = logger
    (listening, announce) = AsyncStream.makeStream(of: Bool.self)
  }

  /// Returns when it listens: true; or when it never will: false. For one task, once.
  func waitUntilListening() async -> Bool {
    for await isListening in listening { return isListening }
    return false
  }

  /// Serves until it is shut down.
  func run() async throws {
    defer { announce.finish() }
    var quiet = logger
    quiet.logLevel = max(logger.logLevel, .warning)
    let application = Application(
      responder: responder,
      server: .http1(configuration: .init(idleTimeout: .seconds(60))),
      configuration: ApplicationConfiguration(
        address: .hostname(address.host, port: Int(address.port)),
        availableConnectionsDelegate: MaximumAvailableConnections(Self.connections)),
      onServerRunning: { [logger, announce] channel in
        logger.info("listening", metadata: ["metrics": "\(channel.localAddress.map { "\($0)" } ?? "")"])
        announce.yield(true)
      }, logger: quiet)
    do {
      try await application.run()
    } catch let error as IOError {
      throw failure("\(error)", error.errnoCode)
    } catch is CancellationError {
      throw CancellationError()
    } catch {
      throw failure("\(error)", 0)
    }
  }

  private func failure(_ text: String, _ code: Int32) -> ReplError {
    let host = address.host.contains(":") ? "[\(address.host)]" : address.host
    let isTaken = code == EADDRINUSE
    return ReplError(
      isTaken ? .refused : .io, subject: "metrics.listen \(host):\(address.port)",
      cause: isTaken ? "the address is in use" : "cannot be listened on: \(text)",
      remedy: "choose another address under metrics.listen, or leave it out")
  }
}
