import APIModel
import ArgumentParser

/// Which recovery point a command is about.
struct PointArgument: ParsableArguments {
  @Option(help: "Id of the point, or how it begins; the newest if not given.") var point: String?

  /// Digits of an id.
  private static let digits = 32

  /// The whole id; nil if none was given.
  func id(_ client: AgentClient, namespace: String, volume: String) throws(Failure) -> String? {
    guard let point, point.count < Self.digits else { return point }
    let points = try client.send("GET", ["agent", "v1", "recoverypoints", namespace, volume]).array ?? []
    let ids = Set(points.map { Field.text($0, "id") }.filter { $0.hasPrefix(point.lowercased()) })
    if ids.count == 1 { return ids.first }
    throw Failure(
      .notFound, "point \(point)",
      ids.isEmpty ? "no point of volume \(namespace)/\(volume) begins so" : "\(ids.count) points begin so",
      remedy: "see replctl recovery-points \(volume) -n \(namespace)")
  }
}
