import APIModel
import KubeModel

/// The objects of one document, of bounded count and bytes. Pure.
struct ResourceBatch: Sendable {
  /// Bytes of objects in one document; an object that is larger travels alone.
  private static let bytes = 2 << 20

  private(set) var items: [TravellingObject] = []
  /// Objects that no document takes: the other end has the bounds of its API.
  private(set) var failed: [ResourceResult] = []
  private var size = 0

  /// Takes an object; false when it is for the next document.
  mutating func take(_ item: TravellingObject) -> Bool {
    let bytes = JSONWriter.bytes(item.object.json).count
    guard bytes <= ResourceKind.maximumBytes else {
      failed.append(.failed(item.object, "has \(bytes) bytes, at most \(ResourceKind.maximumBytes) can be sent"))
      return true
    }
    guard items.isEmpty || items.count < ResourceDocument.itemLimit && size + bytes <= Self.bytes else { return false }
    items.append(item)
    size += bytes
    return true
  }
}
