import Glibc
public import ReplModel

/// An IPv4 or IPv6 address with a port.
public struct SocketAddress: Hashable, Sendable, CustomStringConvertible {
  /// Numeric text without brackets, such as `127.0.0.1` or `::1`.
  public let host: String
  public let port: UInt16
  let family: Int32
  private let bytes: [UInt8]

  /// Reads the numeric form of an address.
  ///
  /// - Parameter host: `0.0.0.0` and `::` stand for every address of this node; brackets are allowed.
  /// - Throws: `.invalid` for anything else, names among them.
  public static func numeric(host: String, port: UInt16) throws(ReplError) -> SocketAddress {
    guard let first = try look(host: host, port: port, flags: AI_NUMERICHOST | AI_PASSIVE).first else {
      throw ReplError(.invalid, subject: "address '\(host)'", cause: "is not an IPv4 or IPv6 address")
    }
    return first
  }

  /// Addresses of a name, in the order the system prefers. Blocks while the resolver asks.
  static func resolve(host: String, port: UInt16) throws(ReplError) -> [SocketAddress] {
    try look(host: host, port: port, flags: 0)
  }

  init?(_ get: (UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Int32) {
    var storage = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    let done = withUnsafeMutablePointer(to: &storage) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { get($0, &length) == 0 }
    }
    guard done else { return nil }
    self.init(bytes: withUnsafeBytes(of: storage) { Array($0.prefix(Int(length))) })
  }

  private init?(bytes: [UInt8]) {
    var host = [CChar](repeating: 0, count: Int(NI_MAXHOST))
    var service = [CChar](repeating: 0, count: Int(NI_MAXSERV))
    self.bytes = bytes
    family = bytes.count >= 2 ? Int32(UInt16(bytes[0]) | UInt16(bytes[1]) << 8) : AF_UNSPEC
    let code = bytes.withUnsafeBytes { raw -> Int32 in
      guard let address = raw.baseAddress?.assumingMemoryBound(to: sockaddr.self) else { return EAI_FAIL }
      return getnameinfo(
        address, socklen_t(raw.count), &host, socklen_t(host.count), &service, socklen_t(service.count),
        NI_NUMERICHOST | NI_NUMERICSERV)
    }
    let texts = [host, service].map { text in
      String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
    guard code == 0, let port = UInt16(texts[1]) else { return nil }
    self.host = texts[0]
    self.port = port
  }

  /// `host:port`, IPv6 in brackets.
  public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }

  /// Where it comes from, as far as one who floods cannot choose: an IPv4 address, of IPv6 the network of 64 bits.
  var network: String {
    let (address, mapped) = (8..<24, [UInt8](repeating: 0, count: 10) + [0xFF, 0xFF])
    guard family == AF_INET6, bytes.count >= address.upperBound, !bytes[address].starts(with: mapped) else {
      return host
    }
    var prefix = bytes
    for index in address.dropFirst(8) { prefix[index] = 0 }
    return SocketAddress(bytes: prefix)?.host ?? host
  }

  func withSockaddr<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result? {
    bytes.withUnsafeBytes { raw in
      raw.baseAddress.map { body($0.assumingMemoryBound(to: sockaddr.self), socklen_t(raw.count)) }
    }
  }

  private static func look(host: String, port: UInt16, flags: Int32) throws(ReplError) -> [SocketAddress] {
    let bare = host.hasPrefix("[") && host.hasSuffix("]") ? String(host.dropFirst().dropLast()) : host
    var hints = addrinfo()
    hints.ai_flags = flags | AI_NUMERICSERV
    hints.ai_family = AF_UNSPEC
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    var list: UnsafeMutablePointer<addrinfo>?
    let code = getaddrinfo(bare, String(port), &hints, &list)
    guard code == 0 else {
      let kind: ReplError.Kind = flags & AI_NUMERICHOST != 0 ? .invalid : .transient
      throw ReplError(
        kind, subject: "address '\(host)'", cause: String(cString: gai_strerror(code)),
        remedy: "give an IPv4 or IPv6 address, or a name that resolves to one")
    }
    defer { freeaddrinfo(list) }
    var found: [SocketAddress] = []
    var next = list
    while let entry = next {
      if let address = entry.pointee.ai_addr {
        let bytes = UnsafeRawBufferPointer(start: address, count: Int(entry.pointee.ai_addrlen))
        if let value = SocketAddress(bytes: Array(bytes)) { found.append(value) }
      }
      next = entry.pointee.ai_next
    }
    return found
  }
}
