import ReplModel
import Synchronization
import TestSupport
import Testing
import WireTransport

@testable import ReplicationEngine
import Threads

@Suite("Heartbeats go to every peer by itself")
struct HeartbeatTests {
  @Test(
    "One that does not answer holds up none of the others, and is not asked again meanwhile", .timeLimit(.minutes(1)))
  func silentPeer() throws {
    let asked = BoundedQueue<String>(capacity: 16)
    let release = BoundedQueue<Void>(capacity: 1)
    let threads = try SystemThreads()
    defer { threads.stop() }
    let heartbeats = Heartbeats(threads: threads) { cluster in
      _ = asked.tryPut(cluster)
      if cluster == "silent" { _ = release.take(deadline: .after(patience)) }
    }
    try heartbeats.send(to: ["silent"])
    #expect(asked.take(deadline: .after(patience)) == "silent")
    for healthy in ["first", "second", "third"] {
      try heartbeats.send(to: ["silent", healthy])
      #expect(asked.take(deadline: .after(patience)) == healthy)
    }
    _ = release.tryPut(())
    // Its thread needs a moment to end; then it is asked again.
    var again: String?
    while again == nil {
      try heartbeats.send(to: ["silent"])
      again = asked.take(deadline: .after(.milliseconds(5)))
    }
    #expect(again == "silent")
    _ = release.closeAndDrain()
  }
}
