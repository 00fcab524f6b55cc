/// The end of a name that the server chooses for `metadata.generateName`.
enum GeneratedName {
  /// How many names are tried before a create is refused because they are taken, as many as in Kubernetes
  /// (`maxNameGenerationCreateAttempts`).
  static let attempts = 8

  /// Five letters and digits that spell no words; the same ones as in Kubernetes.
  @Sendable static func suffix() -> String {
    let letters = Array("bcdfghjklmnpqrstvwxz2456789")
    return String((0..<5).compactMap { _ in letters.randomElement() })
  }
}
