import APIModel
import KubeModel

/// What a watch sends next: first the objects there are, page by page, then changes as they come.
///
/// Pages are read when the client has taken the one before, so a watcher that does not read holds one page at most, or one
/// object where that is larger. They are of different versions; a change that a page shows already is not sent again.
struct WatchFeed {
  private let stream: WatchStream
  private var pages: [Page] = []
  private var reading: Bool

  /// A page that was sent: it shows every object up to `last` as of `version`.
  private struct Page {
    var last: (namespace: String, name: String)?
    var version: Int64
  }

  /// What comes next.
  enum Part {
    /// Lines in pieces, which share the text of the objects; may be empty when the watch was woken for another reason.
    case lines([[UInt8]])
    /// Lines after which the stream is over.
    case last([[UInt8]])
    case end
  }

  /// Objects and bytes of one page.
  private static let pageObjects = 500
  private static let pageBytes = 64 << 10

  init(_ stream: WatchStream) {
    self.stream = stream
    reading = stream.initial
  }

  /// Everything up to this version has been handed out.
  var version: Int64 { reading ? 0 : stream.watch.version }

  mutating func next() async -> Part {
    do {
      if reading { return .lines(try await page()) }
      guard let changes = try await stream.watch.next() else { return .end }
      return .lines(try lines(changes))
    } catch { return .last(stream.failure(error)) }
  }

  private mutating func page() async throws(StatusError) -> [[UInt8]] {
    var query = stream.query
    query.limit = Self.pageObjects
    query.maximumBytes = Self.pageBytes
    query.after = pages.last?.last
    let page = try await stream.store.texts(query)
    var lines: [[UInt8]] = []
    for object in page.items { lines += try stream.line(object) }
    let last = page.more ? page.items.last.map { ($0.namespace, $0.name) } : nil
    pages.append(Page(last: last, version: page.version))
    guard last == nil else { return lines }
    reading = false
    if stream.endOfInitial {
      lines += stream.bookmark(stream.watch.version, annotations: ["k8s.io/initial-events-end": "true"])
    }
    return lines
  }

  private mutating func lines(_ changes: [StoreChange]) throws(StatusError) -> [[UInt8]] {
    var lines: [[UInt8]] = []
    for change in changes where !isShown(change) { lines += try stream.line(change) }
    // Once past the newest page there is nothing left to be compared with.
    if let last = changes.last, let newest = pages.last, last.version >= newest.version { pages = [] }
    return lines
  }

  private func isShown(_ change: StoreChange) -> Bool {
    let key = (change.object.namespace, change.object.name)
    let page = pages.first { page in page.last.map { key <= $0 } ?? true }
    return page.map { change.version <= $0.version } ?? false
  }
}
