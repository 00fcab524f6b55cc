import Glibc

/// Blocking TCP sockets over IPv4.
enum Socket {
  static func listen(_ address: String, _ port: UInt16) throws -> Int32 {
    let descriptor = try make()
    var one: Int32 = 1
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &one, 4)
    guard withAddress(address, port, { bind(descriptor, $0, $1) }) == 0, Glibc.listen(descriptor, 64) == 0 else {
      close(descriptor)
      throw Failure("listen on \(address):\(port): error \(errno)")
    }
    return descriptor
  }

  static func connect(_ address: String, _ port: UInt16) throws -> Int32 {
    let descriptor = try make()
    guard withAddress(address, port, { Glibc.connect(descriptor, $0, $1) }) == 0 else {
      close(descriptor)
      throw Failure("connect to \(address):\(port): error \(errno)")
    }
    return descriptor
  }

  private static func make() throws -> Int32 {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { throw Failure("socket: error \(errno)") }
    return descriptor
  }

  private static func withAddress(
    _ text: String, _ port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
  ) -> Int32 {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    inet_pton(AF_INET, text, &address.sin_addr)
    return withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
    }
  }
}
