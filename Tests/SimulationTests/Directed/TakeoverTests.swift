import BlockDiff
import ReplModel
import Synchronization
import TestSupport
import Testing
import WireProtocol
import WireTransport

@testable import ReplicationEngine
import Threads

/// A peer that begins one volume many times at once, and whose streams write on: no point ever changes.
@Suite struct TakeoverTests {
  private static func begin(_ world: World, _ generation: UInt64) -> BeginSession {
    let volume = world.volumes[0]
    return BeginSession(
      session: .random(using: &world.generator), volume: volume.id, namespace: "app", name: volume.name,
      lineage: volume.lineage, key: world.key, branch: volume.branch, snapshot: .random(using: &world.generator),
      generation: generation, size: volume.size, takenAt: world.clock.now(), consistency: .volume, kind: .full,
      candidates: [], group: .random(using: &world.generator),
      members: [GroupMember(volume: volume.id, size: volume.size)], acceptShrink: false, streams: 2)
  }

  private static func seal(_ begin: BeginSession) -> Seal {
    Seal(
      point: begin.snapshot, volume: begin.volume, lineage: begin.lineage, branch: begin.branch, base: nil,
      generation: begin.generation, size: begin.size, fingerprint: .zero, nonZeroBlocks: 0, takenAt: begin.takenAt,
      consistency: begin.consistency, proof: .full, group: begin.group, members: begin.members)
  }

  /// Begins, starts, opens the streams, seals zeros; the streams write on after it, and while it is sealed too unless late.
  private struct Attacker: Sendable {
    let service: TargetService
    let begin: BeginSession
    /// Whether the streams write only after the seal was asked for. What they write before seldom matches.
    let isLate: Bool

    func run() -> Bool {
      guard case .beginSession(let reply) = ask(.beginSession(begin)) else { return false }
      let start = StartSession(
        session: begin.session, base: nil, kind: .full, planDigest: Fingerprint(low: 1, high: 1), plannedBytes: 0)
      guard case .startSession = ask(.startSession(start)) else { return false }
      var streams: [TargetStream] = []
      var writers: [WorkerThread] = []
      for ticket in reply.tickets {
        guard let stream = try? service.attach(session: begin.session, ticket: ticket, from: "source") else { continue }
        streams.append(stream)
        if !isLate, let writer = try? WorkerThread(name: "writer", { write(stream) }) { writers.append(writer) }
        // The end is acknowledged to a peer that does not mean it.
        stream.close()
      }
      let isPrepared =
        ask(.sealSession(SealSession(session: begin.session, seal: TakeoverTests.seal(begin))))
        == .sealSession(.prepared)
      for stream in streams where isLate { write(stream) }
      if isPrepared { _ = ask(.commitGroup(CommitGroup(group: begin.group))) }
      for writer in writers { writer.join() }
      return isPrepared
    }

    /// Asks again while the work goes on, as a source does.
    private func ask(_ request: ControlRequest) -> ControlReply {
      while true {
        let reply = service.handle(request, from: "source")
        guard case .underWay = reply else { return reply }
      }
    }

    private func write(_ stream: TargetStream) {
      let block = [UInt8](repeating: 0xAA, count: 4096)
      for index in 0..<UInt64(30) {
        try? block.withUnsafeBytes { try stream.write($0, at: index % 256 * 4096) }
        try? stream.writeZeros(Extent(offset: index % 256 * 4096, length: 4096))
      }
      try? block.withUnsafeBytes { try stream.write($0, at: 0) }
    }
  }

  @Test("of sessions that begin one volume at once each sealed point keeps the bytes it was sealed with")
  func manyAtOnce() throws {
    let world = try World.written(1)
    var context = world.targetContext
    context.budgets = TargetBudgets()
    context.budgets.unconfirmedPoints = .max
    context.spawn = { (work) throws(ReplError) in _ = try WorkerThread(name: "work", work) }
    let service = TargetService(context: context)
    // Some sessions are taken over, some do not match: it goes on until two were sealed.
    var round = 0
    while try world.points(world.volumes[0]).count < 2, round < 40 {
      let attackers = (0..<3).map { index in
        Attacker(
          service: service, begin: Self.begin(world, UInt64(round * 3 + index + 1)), isLate: !round.isMultiple(of: 2))
      }
      let threads = try attackers.map { attacker in try WorkerThread(name: "attacker") { _ = attacker.run() } }
      for thread in threads { thread.join() }
      round += 1
    }
    #expect(try world.points(world.volumes[0]).count >= 2)
    let source = try SourceVolume(cluster: "source", volume: world.volumes[0].id)
    for point in try world.points(world.volumes[0]) {
      let image = world.target.layout.point(source, point.point).image
      let bytes = try #require(world.target.disk.contents(image))
      #expect(bytes.allSatisfy { $0 == 0 }, "point \(point.point) was changed after it was sealed")
    }
  }
}
