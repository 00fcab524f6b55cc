import Synchronization
public import WireProtocol

/// What a channel takes of a peer that has not introduced itself: requests of a few types, and nothing else. A header that
/// announces something else closes the connection before memory is taken for it. Safe on every thread.
public final class FrameGate: Sendable {
  private let types: Set<UInt16>
  private let isOpen = Atomic(false)

  public init(only types: Set<FrameType>) { self.types = Set(types.map(\.rawValue)) }

  /// Lets everything in from the next frame on.
  public func open() { isOpen.store(true, ordering: .releasing) }

  func check(_ header: ControlFrameHeader) throws(WireError) {
    guard !isOpen.load(ordering: .acquiring), header.type != FrameType.close.rawValue else { return }
    guard types.contains(header.type), !header.flags.contains(.reply) else {
      throw WireError(.outOfOrder, "frame type \(header.type) has no place here yet")
    }
  }
}
