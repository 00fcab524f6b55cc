import APIModel

/// What a command did to objects: a line for each as it is done, or one document at the end for scripts.
struct Results {
  private let options: GlobalOptions
  private var done: [JSONValue] = []

  init(_ options: GlobalOptions) { self.options = options }

  /// Whether a document is wanted instead of lines.
  private var isStructured: Bool { options.output == .json || options.output == .yaml }

  /// Runs `body`, which adds what it does; what was done before an error is printed as well.
  static func collect(_ options: GlobalOptions, _ body: (inout Results) throws -> Void) throws {
    var results = Results(options)
    do { try body(&results) } catch {
      if !results.done.isEmpty { try results.finish() }
      throw error
    }
    try results.finish()
  }

  /// Something was done: `action` is the word for scripts, `line` the sentence for people.
  mutating func add(_ kind: KindEntry, _ name: String, action: String, line: String) {
    guard isStructured else { return Console.standard.line(line) }
    var result: JSONValue = ["kind": .string(kind.kind), "name": .string(name), "action": .string(action)]
    if kind.namespaced { result["namespace"] = .string(options.namespace) }
    done.append(result)
  }

  /// Nothing was there to do anything to.
  func addNothing() {
    if !isStructured { Console.standard.line("No resources found.") }
  }

  /// What is printed at the end: one object, or a List of none or several; nil where lines were printed.
  var document: JSONValue? {
    guard isStructured else { return nil }
    return done.count == 1 ? done[0] : ["kind": "List", "items": .array(done)]
  }

  private func finish() throws {
    if let document { try options.print(document) { "" } }
  }
}
