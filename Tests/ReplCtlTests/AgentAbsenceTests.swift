import Testing

@testable import ReplCtl

/// An agent that does not answer while somebody waits.
@Suite struct AgentAbsenceTests {
  private static let away = Failure(.unreachable, "agent", "cannot connect")

  /// An absence whose pauses take a second of a clock of their own.
  private final class World {
    var now = ContinuousClock.now
    var told: [String] = []
    var absence = AgentAbsence()

    init() {
      absence.now = { [unowned self] in now }
      absence.pause = { [unowned self] in now += .seconds(1) }
      absence.tell = { [unowned self] in told.append($0) }
    }

    func ask(_ failure: Failure?) throws(Failure) -> Int? {
      try absence.bridge { () throws(Failure) -> Int in
        if let failure { throw failure }
        return 7
      }
    }
  }

  @Test("is waited for and told of once; then the wait goes on")
  func restart() throws {
    let world = World()
    for _ in 0..<30 { #expect(try world.ask(Self.away) == nil) }
    #expect(world.told.count == 1 && world.absence.failure?.cause == "cannot connect")
    #expect(try world.ask(nil) == 7)
    #expect(world.absence.failure == nil)
    #expect(try world.ask(Self.away) == nil)
    #expect(world.told.count == 2)
  }

  @Test("is given up after two minutes without an answer, not after two minutes of many absences")
  func gone() throws {
    let world = World()
    for _ in 0..<119 { _ = try world.ask(Self.away) }
    _ = try world.ask(nil)
    for _ in 0..<120 { #expect(try world.ask(Self.away) == nil) }
    #expect(throws: Failure.self) { try world.ask(Self.away) }
  }

  @Test("what the agent refuses ends the wait at once")
  func refusal() {
    let world = World()
    #expect(throws: Failure.self) { try world.ask(Failure(.notFound, "x", "does not exist")) }
    #expect(world.told.isEmpty)
  }
}
