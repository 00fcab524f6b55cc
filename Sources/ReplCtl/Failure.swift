import APIModel
import ReplModel

/// Why a command did not do what was asked, with the exit code that says so to scripts.
struct Failure: Error {
  enum Code: Int32 {
    case failed = 1
    case usage = 2
    case notFound = 3
    /// The state of an object forbids it: in use, fenced, not paired, exists already.
    case refused = 4
    case unreachable = 5
  }

  var code: Code
  var subject: String
  var cause: String
  var remedy: String?
  /// The word the API has for it, where the API said it.
  var reason = ""

  init(_ code: Code, _ subject: String, _ cause: String, remedy: String? = nil) {
    self.code = code
    self.subject = subject
    self.cause = cause
    self.remedy = remedy
  }

  /// A refusal of the agent. Names of others are in it: no line but the first begins with what it says.
  init(_ status: StatusError) {
    func indented(_ text: String) -> String {
      text.split(separator: "\n", omittingEmptySubsequences: false).joined(separator: "\n  ")
    }
    let remedy = status.causes.first { $0.reason == "Remedy" }.map { indented($0.message) }
    if let cause = status.causes.first, let kind = ReplError.Kind.allCases.first(where: { "\($0)" == cause.reason }) {
      self.init(
        Self.code(kind), cause.field.isEmpty ? "agent" : VisibleText.escaped(cause.field), indented(cause.message),
        remedy: remedy)
      return
    }
    let subject = [status.kind, status.name].filter { !$0.isEmpty }.joined(separator: " ")
    self.init(
      Self.code(http: status.code), subject.isEmpty ? "agent" : VisibleText.escaped(subject), indented(status.message),
      remedy: remedy)
    reason = status.reason
  }

  /// Misuse of a command, in the words of the Stork tools.
  static func usage(_ message: String) -> Failure { Failure(.usage, "", message) }

  private static func code(_ kind: ReplError.Kind) -> Code {
    switch kind {
    case .notFound: .notFound
    case .refused, .exists, .diverged, .noPointInTime, .keyNeeded: .refused
    default: .failed
    }
  }

  private static func code(http: Int) -> Code {
    switch http {
    case 404: .notFound
    case 403, 409: .refused
    default: .failed
    }
  }

  /// What is wrong, in the form of the Stork tools where the API said it.
  var text: String {
    if !reason.isEmpty { return "Error from server (\(reason)): \(cause)" }
    return subject.isEmpty ? "error: \(cause)" : "error: \(subject): \(cause)"
  }

  /// On standard error: what is wrong and what to do.
  func print() {
    Console.error(text)
    if let remedy { Console.error("remedy: \(remedy)") }
  }
}
