import NIOCore

/// Knows when the client of a connection has ended its side, or the connection is gone. One in each connection's pipeline.
///
/// Nobody reads from a connection while its answer is being written, so a watch would not see its client go: this sees
/// it without taking anything off the connection. For the event loop of its channel.
final class ClientEnd: ChannelInboundHandler, RemovableChannelHandler {
  typealias InboundIn = NIOAny

  private var hasEnded = false
  private var onEnd: (@Sendable () -> Void)?

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if event as? ChannelEvent == .inputClosed { end() }
    context.fireUserInboundEventTriggered(event)
  }

  func channelInactive(context: ChannelHandlerContext) {
    end()
    context.fireChannelInactive()
  }

  func handlerRemoved(context: ChannelHandlerContext) { end() }

  private func end() {
    hasEnded = true
    onEnd?()
    onEnd = nil
  }

  private func call(_ action: (@Sendable () -> Void)?) {
    if hasEnded { action?() } else { onEnd = action }
  }

  /// Has `action` called once when the client of a channel ends its side, at once if it has; nil calls nothing any more.
  /// From any thread; does not wait.
  static func follow(_ channel: any Channel, _ action: (@Sendable () -> Void)?) {
    channel.eventLoop.execute {
      // Without a handler in it the pipeline is one of a connection that is gone.
      guard let handler = try? channel.pipeline.syncOperations.handler(type: ClientEnd.self) else {
        action?()
        return
      }
      handler.call(action)
    }
  }
}
