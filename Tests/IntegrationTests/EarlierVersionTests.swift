import FoundationEssentials
import Glibc
import TestSupport
import Testing

extension Integration {
  /// What an earlier version left behind, as files: Tests/Fixtures/version-0.1.
  @Suite("State directories and pools of version 0.1 are taken over")
  struct EarlierVersion {
    @Test("points, promotion, trust and a session that was cut go on as if nothing had happened")
    func takeOver() throws {
      let work = try TemporaryDirectory()
      // In namespaces of its own, so that nothing outlives the program, even where it is killed at its limit.
      try Command.check(
        "unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "\(Self.fixture)/take-over",
        try Environment.binary("repl-agent"),
        try Environment.binary("replctl"), work.path, seconds: 300)

      let before: [String: [PointView]] = try read("\(Self.fixture)/points.json")
      for (name, points) in before {
        let taken: [PointView] = try read("\(work.path)/\(name).taken-over.json")
        #expect(taken.map(\.id) == points.map(\.id))
        #expect(taken.map(\.fingerprint) == points.map(\.fingerprint))
        #expect(taken.allSatisfy { $0.state == "sealed" }, "\(name): \(taken.map(\.state))")
      }
      let bank: [VolumeView] = try read("\(work.path)/bank.json")
      #expect(bank.map(\.role) == ["promoted"])

      let cut: MigrationView = try read("\(work.path)/cut.json")
      #expect(cut.isSuccessful, "\(cut.reasons)")
      let shipped: [PointView] = try read("\(work.path)/db.shipped.json")
      #expect(shipped.first?.proof == "delta")
      let verified: VerifyView = try read("\(work.path)/verify.json")
      #expect(verified.equal && verified.point == shipped.first?.id)

      let next: MigrationView = try read("\(work.path)/next.json")
      #expect(next.isSuccessful, "\(next.reasons)")
      #expect(next.volumes.allSatisfy { $0.changeSource == "reflink" && $0.bytesChanged ?? .max <= 4096 })
    }

    private static let fixture: String = {
      let here = #filePath.split(separator: "/").dropLast(2)
      return "/" + here.joined(separator: "/") + "/Fixtures/version-0.1"
    }()

    private func read<Value: Decodable>(_ path: String) throws -> Value {
      let text = try Command.check("cat", path)
      return try JSONDecoder().decode(Value.self, from: Data(text.utf8))
    }
  }
}
