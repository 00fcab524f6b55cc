import APIModel
import Glibc
import Hummingbird
import NIOCore
public import ReplModel

/// Makes a kubeconfig with fresh credentials; throws why there is none.
public typealias KubeconfigMaker = @Sendable () throws(ReplError) -> String

/// The API as the local socket serves it: with credentials for the loopback listener, which only those get who are on
/// the socket itself.
struct LocalResponder: HTTPResponder {
  typealias Context = PeerContext

  static let kubeconfigPath = "/agent/v1/kubeconfig"

  var server: APIServer
  var kubeconfig: KubeconfigMaker?

  func respond(to request: Request, context: PeerContext) async throws -> Response {
    guard request.uri.path == Self.kubeconfigPath, request.method == .get else {
      return try await server.respond(to: request, context: context)
    }
    do {
      try await server.access.check(context.channel)
      // The listener's connections come from this very process.
      let isRelayed = try await server.access.process(context.channel) == getpid()
      return Self.response(200, try Self.answer(kubeconfig, isRelayed: isRelayed))
    } catch let error as StatusError {
      return Self.response(error.code, error.json)
    }
  }

  /// The kubeconfig in an object.
  static func answer(_ kubeconfig: KubeconfigMaker?, isRelayed: Bool) throws(StatusError) -> JSONValue {
    guard !isRelayed else {
      throw StatusError(403, "Forbidden", "credentials are given out on the local socket only")
    }
    guard let kubeconfig else {
      throw StatusError(ReplError(.notFound, subject: "kubeconfig", cause: "this agent has no loopback listener"))
    }
    do throws(ReplError) { return ["kubeconfig": .string(try kubeconfig())] } catch { throw StatusError(error) }
  }

  private static func response(_ code: Int, _ json: JSONValue) -> Response {
    Response(
      status: HTTPResponse.Status(code: code),
      headers: [.contentType: "application/json", .cacheControl: "no-store"],
      body: ResponseBody(byteBuffer: ByteBuffer(bytes: JSONWriter.bytes(json))))
  }
}
