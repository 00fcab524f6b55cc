import APIModel
import KubeModel

/// A document that seldom changes, under a tag by which clients ask whether theirs is still good.
struct TaggedDocument: Sendable {
  var contentType: String
  var bytes: [UInt8]
  /// Names this version of the document.
  let hash: String

  init(contentType: String, _ bytes: [UInt8]) {
    self.contentType = contentType
    self.bytes = bytes
    hash = Self.hash(bytes)
  }

  /// The document, or 304 for a client that has it. The same path may have other forms for other `Accept` headers.
  func answer(_ request: APIRequest, headers: [String: String] = ["Cache-Control": "public", "Vary": "Accept"])
    -> APIResponse
  {
    let tag = "\"\(hash)\""
    let headers = headers.merging(["ETag": tag]) { $1 }
    if request.ifNoneMatch.contains(tag) { return .bytes(304, contentType: contentType, [], headers: headers) }
    return .bytes(200, contentType: contentType, bytes, headers: headers)
  }

  /// FNV-1a over the text: names a version of a document, protects nothing.
  private static func hash(_ bytes: [UInt8]) -> String {
    let hash = bytes.reduce(UInt64(0xCBF2_9CE4_8422_2325)) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01B3 }
    let text = String(hash, radix: 16)
    return String(repeating: "0", count: 16 - text.count) + text
  }
}
