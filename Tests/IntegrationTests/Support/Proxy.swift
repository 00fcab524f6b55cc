import Glibc
import Synchronization

/// A bad network between two agents: forwards both ports of an address, counts what goes to them, and cuts or holds the
/// line when told to.
final class Proxy: Sendable {
  /// The two ports of an agent.
  enum Port: UInt16, Sendable, CaseIterable {
    case control = 9001
    case data = 9010
  }

  private struct State {
    var open: Set<Int32> = []
    var bytes: [Port: Int] = [:]
    var hold: (port: Port, after: Int)?
    var holdsAnswers = false
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
    let address = address
    listeners = try Port.allCases.map { try Socket.listen(address, $0.rawValue) }
    for (listener, port) in zip(listeners, Port.allCases) {
      detachThread { [self] in acceptAll(listener, port) }
    }
  }

  /// Bytes that went to the data port so far.
  var dataBytes: Int { state.withLock { $0.bytes[.data, default: 0] } }
  /// Times the lines were cut by ``cutEvery``.
  var cuts: Int { state.withLock { $0.cuts } }

  /// From now on: after so many more bytes to a port nothing goes through any more, until ``release()``.
  func hold(after bytes: Int, to port: Port = .data) {
    state.withLock { $0.hold = (port, $0.bytes[port, default: 0] + bytes) }
  }

  /// Everything goes to the target again, but nothing comes back from its control port, until ``release()``.
  func holdAnswers() {
    state.withLock { state in
      state.holdsAnswers = true
      state.hold = nil
    }
  }

  func release() {
    state.withLock { state in
      state.hold = nil
      state.holdsAnswers = false
    }
  }

  var isHolding: Bool {
    state.withLock { state in state.hold.map { state.bytes[$0.port, default: 0] >= $0.after } ?? false }
  }

  /// From now on all lines are cut each time so many bytes went to the data port.
  func cut(every bytes: Int?) {
    state.withLock { state in
      state.cutEvery = bytes
      state.nextCut = state.bytes[.data, default: 0] + (bytes ?? 0)
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

  private func acceptAll(_ listener: Int32, _ port: Port) {
    while true {
      let client = accept(listener, nil, nil)
      guard client >= 0, !state.withLock({ $0.closed }) else { break }
      guard let server = try? Socket.connect(target, port.rawValue) else {
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
        forward(from: client, to: server, port)
        done()
      }
      detachThread { [self] in
        forward(from: server, to: client, port, answers: true)
        done()
      }
    }
    Glibc.close(listener)
  }

  private func forward(from source: Int32, to destination: Int32, _ port: Port, answers: Bool = false) {
    var buffer = [UInt8](repeating: 0, count: 64 * .kibibyte)
    while true {
      waitWhileHeld(answers: answers && port == .control)
      let count = buffer.withUnsafeMutableBytes { recv(source, $0.baseAddress, $0.count, 0) }
      guard count > 0 else { return }
      waitWhileHeld(answers: answers && port == .control)
      var sent = 0
      while sent < count {
        let part = buffer.withUnsafeBytes { bytes in
          send(destination, bytes.baseAddress?.advanced(by: sent), count - sent, Int32(MSG_NOSIGNAL))
        }
        guard part > 0 else { return }
        sent += part
      }
      if !answers, countAndDecide(count, port) { cut() }
    }
  }

  private func waitWhileHeld(answers: Bool) {
    while isHolding || state.withLock({ $0.holdsAnswers && answers }) {
      guard !state.withLock({ $0.closed }) else { return }
      usleep(5_000)
    }
  }

  /// Adds to the count; whether it is time for a cut.
  private func countAndDecide(_ count: Int, _ port: Port) -> Bool {
    state.withLock { state in
      state.bytes[port, default: 0] += count
      let sent = state.bytes[.data, default: 0]
      guard port == .data, let every = state.cutEvery, sent >= state.nextCut else { return false }
      state.nextCut = sent + every
      state.cuts += 1
      return true
    }
  }
}
