import APIModel

/// Requests to the agent over its Unix socket, one connection each.
struct AgentClient {
  var socketPath: String

  /// Sends a request and returns the JSON of its answer; an answer that is an error is thrown as ``Failure``.
  func send(
    _ method: String, _ path: [String], query: [(String, String)] = [], body: JSONValue? = nil,
    contentType: String = "application/json", accept: String = "application/json"
  ) throws(Failure) -> JSONValue {
    do {
      return try call(method, path, query: query, body: body, contentType: contentType, accept: accept)
    } catch let failure as Failure { throw failure } catch let status as StatusError { throw Failure(status) } catch {
      throw Failure(.failed, "agent", "\(error)")
    }
  }

  /// As ``send(_:_:query:body:contentType:accept:)``, with nil for what does not exist.
  func find(_ path: [String]) throws(Failure) -> JSONValue? {
    do { return try send("GET", path) } catch {
      if error.code == .notFound { return nil }
      throw error
    }
  }

  private func call(
    _ method: String, _ path: [String], query: [(String, String)], body: JSONValue?, contentType: String,
    accept: String
  ) throws -> JSONValue {
    let connection = try UnixConnection(path: socketPath)
    let bytes = body.map { JSONWriter.bytes($0) } ?? []
    let sent = connection.send(head(method, path, query, contentType, accept, bytes.count) + bytes)
    let response = try HTTPResponse(connection)
    if !sent, response.code < 400 { throw UnixConnection.cut }
    return try Self.value(response.code, try response.body(connection))
  }

  /// Follows a watch: `event` gets type and object of each line and says whether to go on.
  func watch(
    _ path: [String], query: [(String, String)], accept: String = "application/json",
    event: (String, JSONValue) throws -> Bool
  ) throws {
    let connection = try UnixConnection(path: socketPath)
    let query = query + [("watch", "true")]
    guard connection.send(head("GET", path, query, "", accept, 0)) else { throw UnixConnection.cut }
    let response = try HTTPResponse(connection)
    guard response.code < 400 else {
      _ = try Self.value(response.code, try response.body(connection))
      return
    }
    var line: [UInt8] = []
    while let part = try response.chunk(connection) {
      for byte in part {
        guard byte == 0x0A else {
          line.append(byte)
          continue
        }
        let value = try JSONParser.parse(line, maximumDepth: 1_024)
        line = []
        guard try event(value["type"]?.string ?? "", value["object"] ?? .null) else { return }
      }
    }
  }

  private func head(
    _ method: String, _ path: [String], _ query: [(String, String)], _ contentType: String, _ accept: String,
    _ length: Int
  ) -> [UInt8] {
    let target = "/" + path.map(Self.encode).joined(separator: "/")
    let parameters = query.map { "\(Self.encode($0.0))=\(Self.encode($0.1))" }.joined(separator: "&")
    var head = "\(method) \(target)\(parameters.isEmpty ? "" : "?" + parameters) HTTP/1.1\r\n"
    head += "Host: localhost\r\nUser-Agent: replctl\r\nConnection: close\r\nAccept: \(accept)\r\n"
    if length > 0 { head += "Content-Type: \(contentType)\r\nContent-Length: \(length)\r\n" }
    return Array((head + "\r\n").utf8)
  }

  private static func encode(_ text: String) -> String {
    text.utf8.map { byte in
      let letter = (0x61...0x7A).contains(byte) || (0x41...0x5A).contains(byte) || (0x30...0x39).contains(byte)
      if letter || [0x2D, 0x2E, 0x5F, 0x7E, 0x3A].contains(byte) { return String(UnicodeScalar(byte)) }
      let digits = String(byte, radix: 16, uppercase: true)
      return "%" + (digits.count == 1 ? "0" : "") + digits
    }.joined()
  }

  private static func value(_ code: Int, _ body: [UInt8]) throws -> JSONValue {
    guard let value = try? JSONParser.parse(body, maximumDepth: 1_024) else {
      let text = String(decoding: body.prefix(200), as: UTF8.self)
      if code == 404 { throw StatusError(404, "NotFound", "the agent does not know this request: \(text)") }
      throw StatusError(code, "", "the agent answered with code \(code): \(text)")
    }
    guard code >= 400 else { return value }
    throw StatusError(value) ?? StatusError(code, "", "the agent answered with code \(code)")
  }
}
