import CStorageShims
import Glibc
public import ReplModel

/// A dedicated thread for blocking work, so that the threads of structured concurrency are never blocked.
public final class WorkerThread: Sendable {
  private enum Handle {
    case running(pthread_t)
    case joined
  }

  private final class Start: Sendable {
    let name: String
    let body: @Sendable () -> Void
    init(name: String, body: @escaping @Sendable () -> Void) {
      self.name = name
      self.body = body
    }
  }

  private let handle: Locked<Handle>

  /// Starts the thread.
  ///
  /// - Parameters:
  ///   - name: shown by `top -H`; cut to 15 bytes.
  ///   - stackSize: bytes of address space, taken as they are touched.
  /// - Throws: `.transient` when the system has no thread left.
  public init(name: String, stackSize: Int = 1 << 20, _ body: @escaping @Sendable () -> Void) throws(ReplError) {
    var attributes = pthread_attr_t()
    pthread_attr_init(&attributes)
    defer { pthread_attr_destroy(&attributes) }
    pthread_attr_setstacksize(&attributes, max(stackSize, 256 << 10))
    let start = Unmanaged.passRetained(Start(name: name, body: body))
    var thread = pthread_t()
    let code = pthread_create(
      &thread, &attributes,
      { argument in
        guard let argument else { return nil }
        let start = Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
        WorkerThread.setName(start.name)
        start.body()
        return nil
      }, start.toOpaque())
    guard code == 0 else {
      start.release()
      throw ReplError(.transient, subject: "thread \(name)", cause: "cannot start: \(String(cString: strerror(code)))")
    }
    handle = Locked(.running(thread))
  }

  deinit {
    if case .running(let thread) = handle.withLock({ $0 }) { pthread_detach(thread) }
  }

  /// Waits until the thread has ended. At once when called again, or by the thread itself.
  public func join() {
    let thread = handle.withLock { handle -> pthread_t? in
      guard case .running(let thread) = handle, pthread_equal(thread, pthread_self()) == 0 else { return nil }
      handle = .joined
      return thread
    }
    if let thread { pthread_join(thread, nil) }
  }

  /// A name cut within a character may be refused by the system; the thread keeps its old one then.
  private static func setName(_ name: String) {
    css_thread_set_name(String(decoding: name.utf8.prefix(15), as: UTF8.self))
  }
}
