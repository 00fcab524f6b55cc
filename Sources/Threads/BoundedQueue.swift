/// A queue between threads that never holds more than `capacity` elements: who puts waits while it is full, who takes
/// waits while it is empty.
public final class BoundedQueue<Element: Sendable>: Sendable {
  private struct State {
    var elements: [Element?]
    var first = 0
    var count = 0
    var closed = false

    mutating func append(_ element: Element) {
      elements[(first + count) % elements.count] = element
      count += 1
    }

    mutating func removeFirst() -> Element? {
      guard count > 0 else { return nil }
      defer {
        elements[first] = nil
        first = (first + 1) % elements.count
        count -= 1
      }
      return elements[first]
    }

    mutating func removeAll() -> [Element] {
      var removed: [Element] = []
      while let element = removeFirst() { removed.append(element) }
      return removed
    }
  }

  private enum Taken {
    case element(Element)
    case ended
  }

  private let state: Monitor<State>

  /// - Parameter capacity: at least 1; a smaller number is taken for 1. The room is taken once.
  public init(capacity: Int) {
    state = Monitor(State(elements: Array(repeating: nil, count: max(1, capacity))))
  }

  /// Waits for room and appends.
  ///
  /// - Returns: false if the queue is closed or the deadline passed; the element was not taken then.
  @discardableResult
  public func put(_ element: Element, deadline: Deadline = .never) -> Bool {
    state.wait(until: deadline) { state -> Bool? in
      if state.closed { return false }
      guard state.count < state.elements.count else { return nil }
      state.append(element)
      return true
    } ?? false
  }

  /// Appends if there is room now.
  public func tryPut(_ element: Element) -> Bool {
    state.change { state in
      guard !state.closed, state.count < state.elements.count else { return false }
      state.append(element)
      return true
    }
  }

  /// Waits for the oldest element; nil once the queue is closed and empty, or when the deadline passed.
  public func take(deadline: Deadline = .never) -> Element? {
    let taken = state.wait(until: deadline) { state -> Taken? in
      if let element = state.removeFirst() { return .element(element) }
      return state.closed ? .ended : nil
    }
    guard case .element(let element)? = taken else { return nil }
    return element
  }

  /// No more elements are taken in; those inside can still be taken out. Wakes everybody who waits.
  public func close() { state.change { $0.closed = true } }

  /// Closes and gives back what was inside.
  @discardableResult
  public func closeAndDrain() -> [Element] {
    state.change { state in
      state.closed = true
      return state.removeAll()
    }
  }

  /// Elements inside at this moment.
  public var count: Int { state.look(\.count) }
  /// Whether it was closed.
  public var isClosed: Bool { state.look(\.closed) }
}
