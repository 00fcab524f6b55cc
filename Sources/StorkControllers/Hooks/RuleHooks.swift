import APIModel
import KubeModel
import ReplModel

/// When a rule runs, relative to the snapshots of a Migration.
enum RulePhase: String, Hashable, Sendable {
  case pre, post

  /// The words of the objects and events.
  var word: String { self == .pre ? "PreExecRule" : "PostExecRule" }
}

/// One call of a hook.
struct HookCall: Hashable, Sendable {
  /// File name in the directory of hooks.
  var hook: String
  var rule: String
  var phase: RulePhase
  /// The namespace whose volumes are about to be, or have been, snapshotted.
  var namespace: String
  var migrationNamespace: String
  var migrationName: String

  /// All that a hook finds in its environment; nothing of the agent's own is passed on.
  var environment: [String] {
    [
      "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "HOME=/", "MIGRATION_NAME=\(migrationName)",
      "MIGRATION_NAMESPACE=\(migrationNamespace)", "NAMESPACE=\(namespace)", "RULE=\(rule)", "PHASE=\(phase.rawValue)",
    ]
  }
}

/// Runs the programs that rules name.
protocol HookRunner: Sendable {
  /// Refuses a hook that is missing or that others than its owner could have put there.
  func check(_ hook: String) throws(ReplError)
  /// Runs a hook to its end, or to the end of its time.
  func run(_ call: HookCall) async throws(ReplError)
}

/// Reads Rule objects. Pure.
enum RuleHooks {
  private static let actionLimit = 16

  /// The hooks of a rule, in their order.
  ///
  /// - Throws: `.invalid` for anything but names of hooks. The value itself is not repeated: commands carry passwords.
  static func names(_ rule: KubeObject, directory: String) throws(ReplError) -> [String] {
    func invalid(_ cause: String) -> ReplError {
      ReplError(
        .invalid, subject: "rule \(rule.namespace)/\(rule.name)", cause: cause,
        remedy: "put the commands into a file in \(directory), owned by root and writable by nobody else, and give its "
          + "name as value")
    }
    if let fault = ResourceKind.rule.storedFault(rule) { throw invalid(fault) }
    var names: [String] = []
    for item in rule.json["rules"]?.array ?? [] {
      for action in item["actions"]?.array ?? [] {
        let place = "action \(names.count + 1)"
        let type = action["type"]?.string ?? "command"
        guard type == "command" else { throw invalid("\(place) is of type \(type.prefix(32)), only command is known") }
        guard action["background"]?.bool != true else {
          throw invalid("\(place) runs in the background, which hooks do by themselves where they need it")
        }
        guard let value = action["value"]?.string, isName(value) else {
          throw invalid("\(place) is not the name of a hook; free commands are not run")
        }
        names.append(value)
        guard names.count <= actionLimit else { throw invalid("has more than \(actionLimit) actions") }
      }
    }
    return names
  }

  /// A file name of letters, digits, `.`, `_` and `-` that does not begin with a dot.
  static func isName(_ text: String) -> Bool {
    (1...128).contains(text.utf8.count) && text.first != "."
      && text.utf8.allSatisfy { byte in
        (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte)
          || [45, 46, 95].contains(byte)
      }
  }
}
