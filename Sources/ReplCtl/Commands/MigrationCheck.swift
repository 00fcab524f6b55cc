import APIModel

/// Whether what a Migration needs is there, in the lines of `storkctl create migrations --dry-run`.
struct MigrationCheck {
  var options: GlobalOptions
  var migration: JSONValue

  private static let ok = "Ok"
  private static let none = "NotConfigured"

  /// Prints a line for each check.
  ///
  /// - Throws: when one of them says that the Migration would not run.
  func run() throws(Failure) {
    let client = options.client
    let catalog = try KindCatalog(client)
    let results = [
      ("[Optional] Checking Migration Namespaces", try namespaces(client)),
      ("[Required] Checking ClusterPair Status", try clusterPair(client, catalog)),
      ("[Optional] Checking PreExec Rule", try rule("spec.preExecRule", client, catalog)),
      ("[Optional] Checking PostExec Rule", try rule("spec.postExecRule", client, catalog)),
    ]
    for (check, result) in results { Console.standard.line("\(check)....\(result)") }
    guard results.allSatisfy({ $0.1 == Self.ok || $0.1 == Self.none }) else {
      throw Failure(.refused, "", "the migration is not ready to run", remedy: "see the lines above")
    }
    Console.standard.line("All Ready!!")
  }

  private var namespace: String {
    let own = Field.text(migration, "metadata.namespace")
    return own.isEmpty ? options.namespace : own
  }

  private func namespaces(_ client: AgentClient) throws(Failure) -> String {
    let names = (migration[at: "spec.namespaces"]?.array ?? []).compactMap(\.string)
    for name in names where try client.find(["api", "v1", "namespaces", name]) == nil {
      return "Missing namespace \(name)"
    }
    return names.isEmpty ? Self.none : Self.ok
  }

  private func clusterPair(_ client: AgentClient, _ catalog: KindCatalog) throws(Failure) -> String {
    let name = Field.text(migration, "spec.clusterPair")
    guard !name.isEmpty else { return "ClusterPair is empty" }
    let path = try catalog.kind("clusterpairs").path(namespace: namespace, name: name)
    guard let pair = try client.find(path) else { return "NotFound" }
    let storage = Field.text(pair, "status.storageStatus")
    let needsStorage = migration[at: "spec.includeVolumes"]?.bool ?? true
    let isReady = Field.text(pair, "status.schedulerStatus") == "Ready" && (storage == "Ready" || !needsStorage)
    return isReady ? Self.ok : "NotReady"
  }

  private func rule(_ path: String, _ client: AgentClient, _ catalog: KindCatalog) throws(Failure) -> String {
    let name = Field.text(migration, path)
    guard !name.isEmpty else { return Self.none }
    return try client.find(catalog.kind("rules").path(namespace: namespace, name: name)) == nil ? "NotFound" : Self.ok
  }
}
