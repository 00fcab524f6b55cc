import APIModel
import Hummingbird
import Logging
import NIOCore

/// Writes a watch stream to a connection until its time is up, the client goes or the server stops.
struct WatchWriter {
  var stream: WatchStream
  var logger: Logger

  /// Time between bookmarks.
  private static let bookmarkInterval: Duration = .seconds(60)

  func write(to writer: inout any ResponseBodyWriter, request: Hummingbird.RequestBody) async throws {
    let opening = stream.opening()
    if !opening.isEmpty { try await writer.write(ByteBuffer(bytes: opening)) }
    // One task waits for the ends; they all come down to stopping the watch, so that the loop below stays simple.
    let stream = stream
    let ender = Task {
      _ = try? await request.consumeWithInboundCloseHandler { _ in
        try await Task.sleep(for: .seconds(stream.seconds))
      } onInboundClosed: {
        stream.watch.stop()
      }
      stream.watch.stop()
    }
    defer { ender.cancel() }
    try await follow(&writer)
    try await writer.finish(nil)
  }

  private func follow(_ writer: inout any ResponseBodyWriter) async throws {
    var lastBookmark = ContinuousClock.now
    while true {
      let changes: [StoreChange]
      do {
        guard let next = try await stream.watch.next() else { break }
        changes = next
      } catch {
        try await writer.write(ByteBuffer(bytes: stream.failure(error)))
        return
      }
      var lines = stream.lines(changes)
      // A change elsewhere is the occasion for a bookmark; without changes an old position stays good.
      if stream.bookmarks, lines.isEmpty, .now - lastBookmark > Self.bookmarkInterval {
        lines = stream.bookmark(stream.watch.version)
      }
      guard !lines.isEmpty else { continue }
      lastBookmark = .now
      try await writer.write(ByteBuffer(bytes: lines))
    }
    if stream.bookmarks {
      try await writer.write(ByteBuffer(bytes: stream.bookmark(stream.watch.version)))
    }
  }
}
