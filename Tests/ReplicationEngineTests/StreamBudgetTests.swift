import ReplModel
import Testing

@testable import ReplicationEngine

/// `limits.memory` is the agent's, whatever the directions.
@Suite struct StreamBudgetTests {
  private func shipped(_ budget: StreamBudget, _ wanted: Int) throws -> Int {
    var count = 0
    try budget.ship(upTo: wanted) { count = $0 }
    return count
  }

  @Test("who ships takes what is left, and gives it back")
  func shipping() throws {
    let budget = StreamBudget(capacity: 5)
    try budget.ship(upTo: 3) { (first) throws(ReplError) in
      #expect(first == 3)
      try budget.ship(upTo: 3) { (second) throws(ReplError) in
        #expect(second == 2)
        try budget.ship(upTo: 3) { third in #expect(third == 1, "each session gets one") }
      }
    }
    #expect(try shipped(budget, 3) == 3)
    #expect(throws: ReplError.self) {
      try budget.ship(upTo: 3) { (_) throws(ReplError) in throw ReplError(.transient, subject: "link", cause: "cut") }
    }
    #expect(try shipped(budget, 5) == 5)
  }

  @Test("what one direction has taken is not there for the other")
  func directions() throws {
    let budget = StreamBudget(capacity: 5)
    budget.countReceived { 3 }
    #expect(try shipped(budget, 4) == 2)
    try budget.ship(upTo: 2) { _ in #expect(budget.receive { $0 } == 3) }
    #expect(budget.receive { $0 } == 5)
  }
}
