import BlockDiff
import Logging
import ReplModel
import WireProtocol

/// What the log says of sessions at the target: one line for each step that people follow, with names.
struct SessionLog: Sendable {
  let logger: Logger

  func begun(_ session: TargetSession) {
    var metadata = Self.names(of: session)
    metadata["snapshot"] = "\(session.begin.snapshot)"
    metadata["generation"] = "\(session.begin.generation)"
    metadata["size"] = "\(session.begin.size)"
    switch session.outcome {
    case .base(let point): metadata["base"] = "\(point)"
    case .compareWith(let point): metadata["compare"] = "\(point)"
    case .full(let reason): metadata["full"] = "\(reason)"
    // Nothing is shipped: the line of its point is to come.
    case .prepared, .proving, .alreadySealed: return
    }
    logger.info(session.isRepair ? "repair begun" : "session begun", metadata: metadata)
  }

  /// - Parameter durable: bytes that need not be sent again.
  func resumed(_ session: TargetSession, durable: UInt64) {
    var metadata = Self.names(of: session)
    metadata["durable"] = "\(durable)"
    logger.info("session resumed", metadata: metadata)
  }

  func aborted(_ session: TargetSession, discard: Bool) {
    var metadata = Self.names(of: session)
    metadata["staged"] = discard ? "thrown away" : "kept"
    metadata["received"] = "\(session.bytesReceived)"
    logger.info("session aborted by its source", metadata: metadata)
  }

  func unequal(_ session: TargetSession, final: Bool) {
    var metadata = Self.names(of: session)
    metadata["snapshot"] = "\(session.begin.snapshot)"
    metadata["next"] = final ? "staging is thrown away" : "what differs is shipped once more"
    logger.warning("what was received does not equal its source", metadata: metadata)
  }

  func notProven(_ session: TargetSession, _ error: ReplError) {
    var metadata = Self.names(of: session)
    metadata["reason"] = "\(error)"
    logger.warning("a proof could not be completed", metadata: metadata)
  }

  /// - Parameters:
  ///   - session: the one that shipped it; nil when it is not open any more.
  ///   - seconds: since that was begun.
  func sealed(
    _ seal: Seal, namespace: String, name: String, cluster: String, session: TargetSession?, seconds: Double
  ) {
    var metadata: Logger.Metadata = [
      "volume": "\(namespace)/\(name)", "cluster": "\(cluster)", "point": "\(seal.point)",
      "generation": "\(seal.generation)", "proof": "\(seal.proof.name)", "size": "\(seal.size)",
    ]
    // Of one that an earlier life of the agent began, neither is known.
    if let session, session.isWhole {
      metadata["received"] = "\(session.bytesReceived)"
      metadata["seconds"] = "\((seconds * 1000).rounded() / 1000)"
    }
    logger.info("point sealed", metadata: metadata)
  }

  private static func names(of session: TargetSession) -> Logger.Metadata {
    ["volume": "\(session.volume.namespace)/\(session.volume.name)", "cluster": "\(session.peer)"]
  }
}
