import APIModel
import ArgumentParser

/// A size above zero as people write it on a command line: `4Gi`, `4GiB`, `500MB`, `500 MB`, `1.5G`, `4096`.
struct ByteSize: ExpressibleByArgument {
  var bytes: UInt64

  init?(argument: String) {
    var text = argument.filter { $0 != " " }
    if text.last == "B" { text.removeLast() }
    guard let bytes = Quantity.bytes(text), bytes > 0 else { return nil }
    self.bytes = bytes
  }
}
