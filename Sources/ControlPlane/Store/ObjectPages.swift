import APIModel

/// The objects of a query a page at a time, so that one page is in memory and not all of them. An object that changes
/// meanwhile is seen once, as it was or as it is.
struct ObjectPages: Sendable {
  /// Bytes of a page, about; one object at least is in it.
  static let bytes = 2 << 20

  private let store: any ObjectStore
  private var query: ListQuery?

  init(_ store: any ObjectStore, _ query: ListQuery) {
    self.store = store
    var query = query
    query.maximumBytes = Self.bytes
    self.query = query
  }

  /// The next page; nil after the last one.
  mutating func next() async throws(StatusError) -> [KubeObject]? {
    guard var current = query else { return nil }
    let page = try await store.list(current)
    if page.more, let last = page.items.last {
      current.after = (last.namespace, last.name)
      query = current
    } else {
      query = nil
    }
    return page.items
  }
}
