import APIModel
import Glibc

/// Waiting by asking again.
enum Polling {
  /// Asks every `interval` seconds until there is an answer; nil when the time is up. An agent that is restarted meanwhile
  /// is waited for.
  static func until<Value>(timeout: Double, interval: Double = 0.25, ask: () throws(Failure) -> Value?)
    throws(Failure) -> Value?
  {
    let clock = ContinuousClock()
    let end = clock.now + .seconds(min(max(0, timeout), 1e8))
    var absence = AgentAbsence()
    while true {
      if let answer = try absence.bridge(ask), let value = answer { return value }
      guard clock.now < end else {
        if let failure = absence.failure { throw failure }
        return nil
      }
      usleep(UInt32(interval * 1_000_000))
    }
  }
}

/// What the agent says at once about objects that ask it to do something.
enum FirstAnswer {
  /// Seconds in which an agent that does not do such a thing says so.
  private static let patience = 2.0

  /// Throws the reason if the agent ends the object as failed straight away; one it works on is left to itself.
  static func check(_ client: AgentClient, _ path: [String]) throws(Failure) {
    let answer = try Polling.until(timeout: patience) { () throws(Failure) -> JSONValue? in
      let object = try client.send("GET", path)
      return ["Failed", "Successful"].contains(Field.text(object, "status.status")) ? object : nil
    }
    guard let answer, Field.text(answer, "status.status") == "Failed" else { return }
    throw Failure(.refused, "", Field.text(answer, "status.reason"))
  }
}

/// Namespaces that commands need.
enum Namespaces {
  /// Makes a namespace if it is missing.
  static func ensure(_ client: AgentClient, _ name: String) throws(Failure) {
    guard try client.find(["api", "v1", "namespaces", name]) == nil else { return }
    let object = KubeObject(apiVersion: "v1", kind: "Namespace", namespace: nil, name: name)
    do { _ = try client.send("POST", ["api", "v1", "namespaces"], body: object.json) } catch {
      if error.code != .refused { throw error }
    }
  }
}

/// Deletes objects and waits until they are gone.
struct Deletion {
  var options: GlobalOptions
  var kind: KindEntry
  /// Seconds; 0: do not wait.
  var timeout: Double

  func delete(_ names: [String], _ results: inout Results) throws(Failure) {
    for name in names { try delete(name, &results) }
  }

  private func delete(_ name: String, _ results: inout Results) throws(Failure) {
    let path = kind.path(namespace: options.namespace, name: name)
    let answer = try options.client.send("DELETE", path, body: ["propagationPolicy": "Foreground"])
    let uid = answer[at: "details.uid"]?.string ?? answer[at: "metadata.uid"]?.string ?? ""
    if timeout > 0 {
      let gone: Bool? = try Polling.until(timeout: timeout) { () throws(Failure) -> Bool? in
        guard let object = try options.client.find(path) else { return true }
        return object[at: "metadata.uid"]?.string == uid ? nil : true
      }
      if gone == nil {
        throw Failure(
          .failed, "\(kind.singular) \(name)", "still there after \(Int(timeout)) s: the agent is cleaning up",
          remedy: "see `replctl describe \(kind.singular) \(name) -n \(options.namespace)`")
      }
    }
    let word = kind.kind == "SchedulePolicy" ? "Schedule policy" : kind.kind
    results.add(
      kind, name, action: timeout > 0 ? "deleted" : "deletionRequested",
      line: "\(word) \(name) deleted successfully")
  }
}

/// Schedules that a policy drives: while there are any, it is not deleted.
struct PolicyUse {
  var client: AgentClient
  var catalog: KindCatalog

  func check(_ names: [String]) throws(Failure) {
    let list = try client.send("GET", catalog.kind("migrationschedules").path(namespace: nil))
    for name in names {
      let users = (list["items"]?.array ?? []).filter { $0[at: "spec.schedulePolicyName"]?.string == name }
        .map { "\(Field.text($0, "metadata.namespace"))/\(Field.text($0, "metadata.name"))" }
      guard !users.isEmpty else { continue }
      throw Failure(
        .refused, "",
        "cannot delete the schedule policy \(name).\nThe resource is linked to -> Migration Schedules : "
          + users.joined(separator: " , "))
    }
  }
}

/// Files that commands read.
enum InputFile {
  /// The whole text of a file, or of standard input for `-`; a little more than 3 MiB at most.
  static func text(_ name: String) throws(Failure) -> String {
    let descriptor = name == "-" ? STDIN_FILENO : open(name, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw Failure(.failed, name, String(cString: strerror(errno))) }
    defer { if name != "-" { close(descriptor) } }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while bytes.count <= 3 << 20 {
      let count = buffer.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw Failure(.failed, name, String(cString: strerror(errno))) }
      if count == 0 { break }
      bytes += buffer.prefix(count)
    }
    guard let text = String(validating: bytes, as: UTF8.self) else { throw Failure(.failed, name, "not UTF-8") }
    return text
  }
}
