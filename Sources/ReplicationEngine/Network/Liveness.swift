/// By what an end of a connection knows that the other one lives: by bytes that come from it, of whatever frame.
/// docs/wire-protocol.md gives the same figures.
enum Liveness {
  /// Seconds from one heartbeat of a client to the next: while it lives, so does its connection.
  static let heartbeat = 5.0
  /// Seconds that an answer to a heartbeat is waited for before the peer counts as one that does not answer.
  static let heartbeatAnswer = 10.0
  /// A server answers heartbeats whatever else it does: a client ends a control connection that is silent for so long, and
  /// what was asked over it fails with it.
  static let clientSilence = Duration.seconds(30)
  /// A client sends heartbeats: a server ends a control connection that is silent for so long, and its place is free.
  static let serverSilence = Duration.seconds(120)
  /// A source shows that it lives with ``DataStreamSender/silence``: a target ends a data stream that is silent for so long.
  static let streamSilence = Duration.seconds(300)
}
