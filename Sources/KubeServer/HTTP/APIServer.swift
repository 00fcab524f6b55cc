import APIModel
import KubeModel
import HTTPTypes
import Hummingbird
import Logging
import NIOCore

/// Turns HTTP requests into ``APIRequest`` and answers back; knows no kind and no verb.
struct APIServer: HTTPResponder {
  typealias Context = PeerContext

  var objects: ObjectAPI
  var routes: [any APIRoutes]
  var discovery: Discovery
  var access: PeerAccess
  var logger: Logger
  var watchLimits = WatchLimits()
  var metrics: RequestMetrics

  func respond(to request: Request, context: PeerContext) async throws -> Response {
    do {
      let process = try await access.check(context.channel)
      var read = try await Self.read(request, context)
      read.process = process
      return response(try await counted(read), channel: context.channel)
    } catch let error as StatusError {
      warn(error, request.method.rawValue)
      var response = response(.status(error), channel: context.channel)
      // Client libraries try again by themselves when this header says when; the status alone does not do.
      if let seconds = error.retryAfterSeconds { response.headers[.retryAfter] = String(seconds) }
      return response
    }
  }

  /// Answers a request and counts it; an error is an answer too.
  private func counted(_ request: APIRequest) async throws(StatusError) -> APIResponse {
    do throws(StatusError) {
      let answer = try await answer(request)
      metrics.request(request, code: answer.code)
      return answer
    } catch {
      metrics.request(request, code: error.code)
      throw error
    }
  }

  private func warn(_ error: StatusError, _ method: String) {
    guard error.code >= 500 else { return }
    logger.warning("request failed", metadata: ["method": "\(method)", "code": "\(error.code)"])
  }

  /// Answers a request without any transport.
  func answer(_ request: APIRequest) async throws(StatusError) -> APIResponse {
    if request.method == "GET", let answer = discovery.answer(request) { return answer }
    for route in routes {
      if let answer = try await route.answer(request) { return answer }
    }
    if let answer = try await objects.answer(request) { return answer }
    if let answer = AccessReviews.answer(request) { return answer }
    return .text(404, "404 page not found\n")
  }

  /// Bodies beyond the limit are read and dropped up to this size, so that a client that sends first and reads then
  /// gets its answer; one that goes on is cut off.
  private static let maximumDrain = 64 << 20

  private static func read(_ request: Request, _ context: PeerContext) async throws -> APIRequest {
    var body: [UInt8] = []
    if request.method != .get, request.method != .head {
      var size = 0
      for try await part in request.body {
        size += part.readableBytes
        if size <= APIRequest.maximumBody { body.append(contentsOf: part.readableBytesView) } else { body = [] }
        if size > maximumDrain {
          context.channel.close(promise: nil)
          throw APIRequest.tooLarge
        }
      }
      guard size <= APIRequest.maximumBody else { throw APIRequest.tooLarge }
    }
    return APIRequest(
      method: request.method.rawValue, path: request.uri.path, query: request.uri.query ?? "",
      accept: request.headers[.accept] ?? "", contentType: request.headers[.contentType] ?? "",
      ifNoneMatch: request.headers[.ifNoneMatch] ?? "", userAgent: request.headers[.userAgent] ?? "", body: body)
  }

  private func response(_ answer: APIResponse, channel: any Channel) -> Response {
    switch answer {
    case .json(let code, let json, let warnings):
      var response = Self.response(code, "application/json", JSONWriter.bytes(json))
      if let name = HTTPField.Name("Warning") {
        for warning in warnings.prefix(16) {
          response.headers.append(HTTPField(name: name, value: "299 - \"\(Self.quoted(warning))\""))
        }
      }
      return response
    case .bytes(let code, let type, let bytes, let headers):
      var response = Self.response(code, type, bytes)
      for (name, value) in headers {
        if let name = HTTPField.Name(name) { response.headers[name] = value }
      }
      return response
    case .watch(let stream):
      let limits = watchLimits
      return Response(
        status: .ok,
        headers: [.contentType: "application/json", .cacheControl: "no-cache, private"],
        body: ResponseBody { writer in
          try await WatchWriter(stream: stream, limits: limits, channel: channel).write(to: &writer)
        })
    }
  }

  private static func response(_ code: Int, _ type: String, _ bytes: [UInt8]) -> Response {
    Response(
      status: HTTPResponse.Status(code: code),
      headers: [.contentType: type, .cacheControl: "no-cache, private"],
      body: ResponseBody(byteBuffer: ByteBuffer(bytes: bytes)))
  }

  /// The text of a quoted string in a header.
  private static func quoted(_ text: String) -> String {
    text.filter { $0.isASCII && !$0.isNewline }.map { $0 == "\"" || $0 == "\\" ? "\\\($0)" : "\($0)" }.joined()
  }
}
