import ReplModel
import WireProtocol

/// Ships damaged segments of sealed points again, from their twins here.
struct RepairRun: Sendable {
  let context: SourceContext
  let link: any PeerLink

  func run() {}
}
