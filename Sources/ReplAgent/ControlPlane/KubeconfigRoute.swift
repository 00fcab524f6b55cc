import APIModel
import Glibc
import KubeServer
import ReplModel
import StorkControllers

/// Makes a kubeconfig with fresh credentials; throws why there is none.
typealias KubeconfigMaker = @Sendable () throws(ReplError) -> String

/// Credentials for the loopback listener, which only those get who are on the local socket itself.
struct KubeconfigRoute: APIRoutes {
  let paths: [String] = []
  var kubeconfig: KubeconfigMaker?

  func answer(_ request: APIRequest) async throws(StatusError) -> APIResponse? {
    guard request.method == "GET", request.path == ["agent", "v1", "kubeconfig"] else { return nil }
    // The listener's connections come from this very process.
    let json = try Self.answer(kubeconfig, isRelayed: request.process == getpid())
    return .bytes(
      200, contentType: "application/json", JSONWriter.bytes(json), headers: ["Cache-Control": "no-store"])
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
}
