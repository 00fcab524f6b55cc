public import APIModel

/// Paths that a program serves beside its objects, on the same socket.
public protocol APIRoutes: Sendable {
  /// What there is to ask for, for people who begin at the root: `/healthz`.
  var paths: [String] { get }
  /// Answers a request; nil for paths of others. Called from any task, before the objects are looked at.
  func answer(_ request: APIRequest) async throws(StatusError) -> APIResponse?
}

extension StatusError {
  /// 405 with the text real servers send.
  public static let methodNotAllowed = StatusError(
    405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
}
