import APIModel
import ArgumentParser
import Glibc

struct ApplyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "apply", abstract: "Makes or changes the objects of YAML or JSON files.")

  @Option(name: [.short, .customLong("filename")], help: "File; - for standard input. May be repeated.")
  var file: [String]
  @OptionGroup var options: GlobalOptions

  func validate() throws {
    if file.isEmpty { throw ValidationError("-f FILE is needed") }
  }

  func run() throws {
    let client = options.client
    let catalog = try KindCatalog(client)
    for name in file {
      let documents = try YAML.documents(try InputFile.text(name), name: name)
      if documents.isEmpty { throw Failure(.failed, name, "the file holds no objects") }
      for document in documents.flatMap(Self.expanded) { try apply(document, name, catalog, client) }
    }
  }

  /// A List stands for its items.
  private static func expanded(_ document: JSONValue) -> [JSONValue] {
    document["kind"]?.string == "List" ? document["items"]?.array ?? [] : [document]
  }

  private func apply(_ document: JSONValue, _ file: String, _ catalog: KindCatalog, _ client: AgentClient) throws {
    let entry = try catalog.kind(of: document, name: file)
    var object = KubeObject(document)
    guard !object.name.isEmpty else { throw Failure(.failed, file, "a \(entry.kind) has no metadata.name") }
    if entry.namespaced, object.namespace.isEmpty { object[metadata: "namespace"] = .string(options.namespace) }
    let path = entry.path(namespace: object.namespace, name: object.name)
    let label = entry.group.isEmpty ? entry.singular : "\(entry.singular).\(entry.group)"
    guard let old = try client.find(path) else {
      _ = try client.send(
        "POST", entry.path(namespace: object.namespace), query: [("fieldValidation", "Strict")], body: object.json)
      Console.standard.line("\(label)/\(object.name) created")
      return
    }
    var patch = object.json
    patch["status"] = nil
    let new = try client.send("PATCH", path, body: patch, contentType: "application/merge-patch+json")
    let same = Field.text(old, "metadata.resourceVersion") == Field.text(new, "metadata.resourceVersion")
    Console.standard.line("\(label)/\(object.name) \(same ? "unchanged" : "configured")")
  }
}
