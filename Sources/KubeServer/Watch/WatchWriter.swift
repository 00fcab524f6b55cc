import APIModel
import KubeModel
import Hummingbird
import NIOCore
import Synchronization

/// Times of a watch.
public struct WatchLimits: Sendable {
  /// Between bookmarks, when nothing else is sent.
  public var bookmarkInterval: Duration
  /// How long a client may take to read what was sent; one that takes longer is cut off.
  public var stall: Duration

  public init(bookmarkInterval: Duration = .seconds(60), stall: Duration = .seconds(30)) {
    self.bookmarkInterval = bookmarkInterval
    self.stall = stall
  }
}

/// Writes a watch stream to a connection until its time is up, the client goes or the server stops.
struct WatchWriter {
  var stream: WatchStream
  var limits: WatchLimits
  var channel: any Channel

  func write(to writer: inout any ResponseBodyWriter) async throws {
    // Tasks beside the one that writes; all they do comes down to waking or stopping the watch, or cutting the
    // connection, so that the loop below stays simple.
    let (stream, limits, channel) = (stream, limits, channel)
    let pulse = Pulse()
    ClientEnd.follow(channel) { stream.watch.stop() }
    let ender = Task {
      if (try? await Task.sleep(for: .seconds(stream.seconds))) != nil { stream.watch.stop() }
    }
    let ticker = Task {
      while (try? await Task.sleep(for: min(limits.bookmarkInterval, limits.stall / 2))) != nil {
        if pulse.isStalled(for: limits.stall) { return channel.close(promise: nil) }
        if stream.bookmarks { stream.watch.wake() }
      }
    }
    defer {
      ender.cancel()
      ticker.cancel()
      ClientEnd.follow(channel, nil)
    }
    try await follow(&writer, pulse)
    try await writer.finish(nil)
  }

  private func follow(_ writer: inout any ResponseBodyWriter, _ pulse: Pulse) async throws {
    var feed = WatchFeed(stream)
    var lastWrite = ContinuousClock.now
    while true {
      var lines: [[UInt8]] = []
      var over = false
      switch await feed.next() {
      case .lines(let found): lines = found
      case .last(let found): (lines, over) = (found, true)
      case .end:
        if stream.bookmarks { lines = stream.bookmark(feed.version) }
        over = true
      }
      if lines.isEmpty, stream.bookmarks, .now - lastWrite >= limits.bookmarkInterval {
        lines = stream.bookmark(feed.version)
      }
      if !lines.isEmpty {
        pulse.begin()
        try await write(lines, to: &writer)
        pulse.end()
        lastWrite = .now
      }
      if over { return }
    }
  }

  private func write(_ pieces: [[UInt8]], to writer: inout any ResponseBodyWriter) async throws {
    for slice in Self.slices(of: pieces) {
      var buffer = ByteBufferAllocator().buffer(capacity: slice.reduce(0) { $0 + $1.count })
      for part in slice { buffer.writeBytes(part) }
      try await writer.write(buffer)
      // The writer learns that the connection is full when its event loop has taken the slice, and not before.
      try await channel.eventLoop.submit {}.get()
    }
  }

  /// Bytes that are copied for a connection at once: what a client that does not read keeps beside the shared texts.
  static let sliceBytes = 64 << 10

  /// The bytes of the pieces in slices of ``sliceBytes``, the last one shorter. Nothing is copied.
  static func slices(of pieces: [[UInt8]]) -> [[ArraySlice<UInt8>]] {
    var (slices, slice, room): ([[ArraySlice<UInt8>]], [ArraySlice<UInt8>], Int) = ([], [], sliceBytes)
    for piece in pieces {
      var rest = piece[...]
      while !rest.isEmpty {
        let part = rest.prefix(room)
        slice.append(part)
        rest = rest.dropFirst(part.count)
        room -= part.count
        guard room == 0 else { continue }
        slices.append(slice)
        (slice, room) = ([], sliceBytes)
      }
    }
    return slice.isEmpty ? slices : slices + [slice]
  }
}

/// Since when a write has been waiting for the client.
private final class Pulse: Sendable {
  private let since = Mutex<ContinuousClock.Instant?>(nil)

  func begin() { since.withLock { $0 = .now } }
  func end() { since.withLock { $0 = nil } }

  func isStalled(for limit: Duration) -> Bool {
    since.withLock { since in since.map { .now - $0 >= limit } ?? false }
  }
}
