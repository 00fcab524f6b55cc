import APIModel
import KubeModel

/// `kubectl auth can-i` and `whoami`: whoever reached this API may do everything it offers.
enum AccessReviews {
  /// The answer to a review; nil for other paths.
  static func answer(_ request: APIRequest) -> APIResponse? {
    guard request.method == "POST", request.path.count == 4, request.path[0] == "apis", request.path[2] == "v1" else {
      return nil
    }
    switch (request.path[1], request.path[3]) {
    case ("authorization.k8s.io", "selfsubjectaccessreviews"):
      return .json(
        201,
        [
          "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "metadata": [:], "spec": [:],
          "status": ["allowed": true],
        ])
    case ("authentication.k8s.io", "selfsubjectreviews"):
      return .json(
        201,
        [
          "apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview", "metadata": [:],
          "status": ["userInfo": ["username": "local", "groups": ["system:authenticated"]]],
        ])
    default: return nil
    }
  }
}
