/// One thing that is wrong with the agent or what it looks after.
public struct HealthFinding: Hashable, Sendable, Codable {
  /// What it is about: `pool main`, `pair shop/site-b`, `volume shop/db`.
  public var subject: String
  /// What is wrong, for people.
  public var text: String

  public init(subject: String, text: String) {
    self.subject = subject
    self.text = text
  }
}
