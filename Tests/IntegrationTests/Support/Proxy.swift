import Glibc
import Synchronization

/// A bad network between two agents: forwards both ports of an address, counts what goes to the data port, and cuts
/// or holds the line when told to.
final class Proxy: Sendable {
  private struct State {
    var open: Set<Int32> = []
    var dataBytes = 0
    var holdAfter: Int?
    var cutEvery: Int?
    var nextCut = 0
    var cuts = 0
    var closed = false
  }

  let address: String
  private let target: String
  private let state = Mutex(State())
  private let listeners: [Int32]

  /// Stands before the agent at `target`.
  init(before target: String) throws {
    self.target = target
    address = LoopbackAddress.unused()
    listeners = [try Socket.listen(address, 9001), try Socket.listen(address, 9010)]
    for (listener, port) in zip(listeners, [9001, 9010] as [UInt16]) {
      detachThread { [self] in acceptAll(listener, port) }
    }
  }

  /// Bytes that went to the data port so far.
  var dataBytes: Int { state.withLock { $0.dataBytes } }
  /// Times the lines were cut by ``cutEvery``.
  var cuts: Int { state.withLock { $0.cuts } }

  /// From now on: after so many more bytes to the data port nothing goes through any more, until ``release()``.
  func hold(after bytes: Int) { state.withLock { $0.holdAfter = $0.dataBytes + bytes } }
  func release() { state.withLock { $0.holdAfter = nil } }
  var isHolding: Bool { state.withLock { state in state.holdAfter.map { state.dataBytes >= $0 } ?? false } }

  /// From now on all lines are cut each time so many bytes went to the data port.
  func cut(every bytes: Int?) {
    state.withLock { state in
      state.cutEvery = bytes
      state.nextCut = state.dataBytes + (bytes ?? 0)
    }
  }

  /// Cuts all lines now.
  func cut() {
    for descriptor in state.withLock({ $0.open }) { shutdown(descriptor, Int32(SHUT_RDWR)) }
  }

  /// Ends the proxy.
  func close() {
    state.withLock { $0.closed = true }
    for listener in listeners { shutdown(listener, Int32(SHUT_RDWR)) }
    cut()
  }

  private func acceptAll(_ listener: Int32, _ port: UInt16) {
    while true {
      let client = accept(listener, nil, nil)
      guard client >= 0, !state.withLock({ $0.closed }) else { break }
      guard let server = try? Socket.connect(target, port) else {
        Glibc.close(client)
        continue
      }
      state.withLock { $0.open.formUnion([client, server]) }
      let ends = Mutex(2)
      let done: @Sendable () -> Void = { [self] in
        shutdown(client, Int32(SHUT_RDWR))
        shutdown(server, Int32(SHUT_RDWR))
        let last = ends.withLock { left in
          left -= 1
          return left == 0
        }
        guard last else { return }
        state.withLock { $0.open.subtract([client, server]) }
        Glibc.close(client)
        Glibc.close(server)
      }
      detachThread { [self] in
        forward(from: client, to: server, counted: port == 9010)
        done()
      }
      detachThread { [self] in
        forward(from: server, to: client, counted: false)
        done()
      }
    }
    Glibc.close(listener)
  }

  private func forward(from source: Int32, to destination: Int32, counted: Bool) {
    var buffer = [UInt8](repeating: 0, count: 64 * .kibibyte)
    while true {
      while isHolding, !state.withLock({ $0.closed }) { usleep(5_000) }
      let count = buffer.withUnsafeMutableBytes { recv(source, $0.baseAddress, $0.count, 0) }
      guard count > 0 else { return }
      var sent = 0
      while sent < count {
        let part = buffer.withUnsafeBytes { bytes in
          send(destination, bytes.baseAddress?.advanced(by: sent), count - sent, Int32(MSG_NOSIGNAL))
        }
        guard part > 0 else { return }
        sent += part
      }
      if counted, countAndDecide(count) { cut() }
    }
  }

  /// Adds to the count; whether it is time for a cut.
  private func countAndDecide(_ count: Int) -> Bool {
    state.withLock { state in
      state.dataBytes += count
      guard let every = state.cutEvery, state.dataBytes >= state.nextCut else { return false }
      state.nextCut = state.dataBytes + every
      state.cuts += 1
      return true
    }
  }
}
