public import APIModel

/// A part of the objects of a kind, and where the next one begins.
public struct KubePage: Sendable {
  public var items: [KubeObject]
  /// For ``KubeStore/page(_:namespace:after:)``; nil with the last page.
  public var next: String?

  public init(items: [KubeObject], next: String?) {
    self.items = items
    self.next = next
  }
}

/// The objects of a kind in a namespace a page at a time, so that one page is in memory and not all of them. An object that
/// changes meanwhile is seen once, as it was or as it is.
public struct KubePages: Sendable {
  private let store: any KubeStore
  private let kind: ResourceKind
  private let namespace: String
  private var token: String?
  private var isOver = false

  public init(_ store: any KubeStore, _ kind: ResourceKind, namespace: String) {
    self.store = store
    self.kind = kind
    self.namespace = namespace
  }

  /// The next page; nil after the last one.
  public mutating func next() async throws(StatusError) -> [KubeObject]? {
    guard !isOver else { return nil }
    let page = try await store.page(kind, namespace: namespace, after: token)
    (token, isOver) = (page.next, page.next == nil)
    return page.items
  }
}
