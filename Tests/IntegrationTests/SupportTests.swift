import Glibc
import TestSupport
import Testing

extension Integration {
  /// A checker that cannot fail proves nothing.
  @Suite("The checks of this suite notice what they are there for")
  struct Support {
    @Test(
      "a reflink of a file under a writer is a prefix; one lost or foreign block is noticed",
      arguments: WriteMethod.allCases)
    func prefixChecker(method: WriteMethod) throws {
      let disk = try LoopFileSystem(.xfs)
      defer { disk.close() }
      let path = "\(disk.path)/volume"
      try Command.check("truncate", "--size=4M", path)
      let writer = try BlockWriter(path, method: method, seed: 7)
      let checker = PrefixChecker(writer, mayTear: method == .mapped)
      try eventually("some writes") { writer.written > 2000 }
      let copy = "\(disk.path)/copy"
      try Command.check("cp", "--reflink=always", path, copy)
      let count = try checker.check(copy)
      #expect(count >= 2000)
      try writer.stop()
      #expect(try checker.check(path) == writer.written)

      let file = try OpenFile(copy, O_RDWR)
      // Not the newest write: a file without that one is still a prefix.
      let ends = [writer.schedule.place(of: count), writer.schedule.place(of: count + 1)]
      guard let block = (1...count / 2).map(writer.schedule.place).first(where: { !ends.contains($0) }) else {
        throw Failure("no block to damage")
      }
      let place = Int(block) * 4096
      let intact = try file.read(4096, at: place)
      try file.write([UInt8](repeating: 0, count: 4096), at: place)
      #expect(throws: Failure.self, "a write is missing, newer ones are there") { try checker.check(copy) }
      try file.write(intact, at: place)
      _ = try checker.check(copy)
      try file.write([1], at: place + 4000)
      #expect(throws: Failure.self, "a block with bytes of two writes") { try checker.check(copy) }
    }

    @Test("a proxy counts, holds and cuts")
    func proxy() throws {
      let address = LoopbackAddress.unused()
      let listener = try Socket.listen(address, 9010)
      let control = try Socket.listen(address, 9001)
      defer {
        close(listener)
        close(control)
      }
      let proxy = try Proxy(before: address)
      defer { proxy.close() }
      let client = try Socket.connect(proxy.address, 9010)
      let server = accept(listener, nil, nil)
      defer {
        close(client)
        close(server)
      }
      let bytes = [UInt8](repeating: 1, count: 1000)
      #expect(bytes.withUnsafeBytes { send(client, $0.baseAddress, $0.count, 0) } == 1000)
      var buffer = [UInt8](repeating: 0, count: 4096)
      #expect(recv(server, &buffer, 1000, Int32(MSG_WAITALL)) == 1000)
      // Counted right after they were passed on.
      try eventually("the proxy has counted them") { proxy.dataBytes == 1000 }
      proxy.hold(after: 0)
      #expect(proxy.isHolding)
      proxy.release()
      proxy.cut()
      #expect(recv(server, &buffer, 4096, 0) <= 0)
    }
  }
}
