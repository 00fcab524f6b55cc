/// The head of an HTTP/1.1 answer and the way its body is framed.
struct HTTPResponse {
  let code: Int
  private let length: Int?
  private let chunked: Bool

  /// Largest body taken into memory.
  private static let maximumBody = 512 << 20

  init(_ connection: UnixConnection) throws(Failure) {
    let words = try connection.readLine().split(separator: " ")
    guard words.count >= 2, words[0].hasPrefix("HTTP/1."), let code = Int(words[1]) else {
      throw Failure(.unreachable, "agent", "what answers on the socket does not speak HTTP")
    }
    var length: Int?
    var chunked = false
    while true {
      let line = try connection.readLine()
      guard !line.isEmpty else { break }
      guard let colon = line.firstIndex(of: ":") else { continue }
      let name = line[..<colon].lowercased()
      let value = line[line.index(after: colon)...].drop { $0 == " " }
      if name == "content-length" { length = Int(value) }
      if name == "transfer-encoding" { chunked = value.lowercased() == "chunked" }
    }
    self.code = code
    self.length = length
    self.chunked = chunked
  }

  /// The whole body.
  func body(_ connection: UnixConnection) throws(Failure) -> [UInt8] {
    if let length, !chunked {
      guard (0...Self.maximumBody).contains(length) else { throw UnixConnection.cut }
      return try connection.read(exactly: length)
    }
    var body: [UInt8] = []
    while let part = try chunk(connection) {
      guard body.count + part.count <= Self.maximumBody else { throw UnixConnection.cut }
      body += part
    }
    return body
  }

  /// The next piece of a body; nil at its end.
  func chunk(_ connection: UnixConnection) throws(Failure) -> [UInt8]? {
    guard chunked else {
      let part = try connection.read(limit: 65_536)
      return part.isEmpty ? nil : Array(part)
    }
    let size = try connection.readLine().split(separator: ";").first ?? ""
    guard let count = Int(size, radix: 16), (0...Self.maximumBody).contains(count) else { throw UnixConnection.cut }
    guard count > 0 else { return nil }
    let part = try connection.read(exactly: count)
    _ = try connection.readLine()
    return part
  }
}
