/// What the front answers by itself, before anything reaches the API.
enum FrontAnswer {
  /// A client without a certificate of ours.
  case unauthorized
  /// The API does not take connections, or too many are open.
  case unavailable(String)

  /// The whole HTTP/1.1 answer.
  var bytes: [UInt8] {
    switch self {
    case .unauthorized: Self.status("401 Unauthorized", 401, reason: "Unauthorized", message: "Unauthorized")
    case .unavailable(let message):
      // Client libraries try again by themselves, but only when they are told when.
      Self.status(
        "503 Service Unavailable", 503, reason: "ServiceUnavailable", message: message, headers: "Retry-After: 1\r\n")
    }
  }

  /// To those who speak plain HTTP to this port; the text is the one other servers send.
  static let plainHTTP = Array(
    "HTTP/1.0 400 Bad Request\r\nConnection: close\r\n\r\nClient sent an HTTP request to an HTTPS server.\n".utf8)

  /// A Kubernetes Status; `message` holds nothing that JSON would have to escape.
  private static func status(_ line: String, _ code: Int, reason: String, message: String, headers: String = "")
    -> [UInt8]
  {
    let body =
      #"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"\#(message)","#
      + #""reason":"\#(reason)","code":\#(code)}"# + "\n"
    let head =
      "HTTP/1.1 \(line)\r\nContent-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n"
      + headers + "Connection: close\r\n\r\n"
    return Array((head + body).utf8)
  }
}
