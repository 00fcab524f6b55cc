import APIModel
import KubeModel
import Glibc
import AgentService

/// The Node that stands for this machine, so that clients find where the volumes are.
struct NodeObject: Sendable {
  var store: any KubeStore
  var clock: @Sendable () -> Int64

  /// Makes the Node, or brings it up to date. What people have added to it stays.
  func ensure(_ report: AgentReport) async throws(StatusError) {
    let name = Self.name(report.node)
    do {
      var object = ResourceKind.node.object(name: name)
      object[metadata: "labels"] = .object(Self.labels(name))
      _ = try await store.create(.node, object)
    } catch  where error.reason == "AlreadyExists" {}
    let status = Self.status(report, since: Timestamp.text(clock()))
    _ = try await store.change(.node, namespace: "", name: name) { old in
      var new = old
      var labels = old.metadata["labels"]?.object ?? [:]
      for (key, value) in Self.labels(name) { labels[key] = value }
      new[metadata: "labels"] = .object(labels)
      new.json["status"] = status
      return new
    }
  }

  /// A node name of the configuration as an object name: lower case, no underscores.
  static func name(_ node: String) -> String {
    let edges: (Character) -> Bool = { "-.".contains($0) }
    let letters = node.lowercased().map { $0 == "_" ? "-" : $0 }
    return String(letters.drop(while: edges).reversed().drop(while: edges).reversed())
  }

  private static func labels(_ name: String) -> [String: JSONValue] {
    ["kubernetes.io/hostname": .string(name), "kubernetes.io/os": "linux"]
  }

  private static func status(_ report: AgentReport, since start: String) -> JSONValue {
    let system = SystemNames.read()
    return [
      "addresses": [["type": "Hostname", "address": .string(name(report.node))]],
      "conditions": [
        [
          "type": "Ready", "status": "True", "reason": "AgentRunning", "lastHeartbeatTime": .string(start),
          "lastTransitionTime": .string(start),
          "message": .string("repl-agent of cluster \(report.clusterID) is running"),
        ]
      ],
      "nodeInfo": [
        "kubeletVersion": .string("repl-agent/\(report.version)"), "kernelVersion": .string(system.kernel),
        "osImage": .string(system.image), "architecture": .string(system.architecture), "operatingSystem": "linux",
        "containerRuntimeVersion": "",
      ],
    ]
  }
}

/// What the machine calls itself.
private struct SystemNames {
  var kernel = ""
  var architecture = ""
  var image = ""

  static func read() -> SystemNames {
    var names = SystemNames()
    var system = utsname()
    if uname(&system) == 0 {
      names.kernel = withUnsafeBytes(of: &system.release) { text($0) }
      names.architecture = withUnsafeBytes(of: &system.machine) { text($0) }
    }
    names.image = prettyName() ?? "Linux"
    return names
  }

  private static func text(_ bytes: UnsafeRawBufferPointer) -> String {
    String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
  }

  private static func prettyName() -> String? {
    guard let file = fopen("/etc/os-release", "r") else { return nil }
    defer { fclose(file) }
    var buffer = [UInt8](repeating: 0, count: 4_096)
    let count = fread(&buffer, 1, buffer.count, file)
    for line in String(decoding: buffer.prefix(count), as: UTF8.self).split(separator: "\n")
    where line.hasPrefix("PRETTY_NAME=") {
      return String(line.dropFirst("PRETTY_NAME=".count).filter { $0 != "\"" })
    }
    return nil
  }
}
