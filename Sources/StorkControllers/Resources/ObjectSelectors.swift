import APIModel
import KubeModel

/// Which objects a Migration means, by labels and annotations: the same for the volumes it ships and for the objects it
/// sends. Pure.
struct ObjectSelectors: Hashable, Sendable {
  /// All must match.
  var selectors: [String: String]
  /// None may match.
  var excludeSelectors: [String: String]

  init(_ migration: KubeObject) {
    let spec = migration.spec
    func map(_ key: String) -> [String: String] { spec[key]?.object?.compactMapValues(\.text) ?? [:] }
    selectors = map("selectors")
    excludeSelectors = map("excludeSelectors")
  }

  /// What is being deleted, or says that it is to be left out, is not meant.
  func select(_ object: KubeObject) -> Bool {
    let labels = object.labels
    let annotations = object.annotations
    return !object.isDeleting && selectors.allSatisfy { labels[$0.key] == $0.value }
      && !excludeSelectors.contains { labels[$0.key] == $0.value }
      && ![Stork.skipResource, MigrationMark.oldSkipResource].contains { annotations[$0]?.lowercased() == "true" }
  }
}
