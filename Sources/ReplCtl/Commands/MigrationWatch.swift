import APIModel
import Glibc

/// Follows a Migration to its end: a bar on a terminal, plain lines elsewhere.
struct MigrationWatch {
  var client: AgentClient
  var kind: KindEntry
  var namespace: String
  var subject: String
  var name: String
  /// Of the object that was made: another one of its name is not waited for.
  var uid: String
  /// Nothing but the end.
  var quiet: Bool
  var timeout: TimeSpan

  fileprivate static let lineInterval: Duration = .seconds(2)

  /// The object in its last state. Follows the object's changes, so that its end is seen when it comes.
  func run() throws -> JSONValue {
    let end = ContinuousClock.now + .seconds(timeout.seconds)
    var display = Display(terminal: Console.standard.isTerminal && !quiet, quiet: quiet)
    defer { display.end() }
    var absence = AgentAbsence()
    if quiet { absence.tell = { _ in } }
    while true {
      let left = (end - .now).components.seconds
      if let last = try absence.bridge({ try follow(&display, seconds: left) }), Self.isFinal(last) { return last }
      guard ContinuousClock.now < end else {
        throw Failure(
          .failed, subject, "timed out; it goes on in the agent", remedy: "replctl describe migration \(name)")
      }
    }
  }

  /// Shows the object as it is and as it changes, until it is final, the time is up or changes were missed; its last state.
  private func follow(_ display: inout Display, seconds: Int64) throws -> JSONValue {
    let path = kind.path(namespace: namespace)
    let selector = ("fieldSelector", "metadata.name=\(name)")
    // The version of the list, not of the object: that one may be too old to go on from.
    let list = try client.send("GET", path, query: [selector])
    guard var object = list["items"]?.array?.first, Field.text(object, "metadata.uid") == uid else { throw deleted }
    display.show(object)
    guard !Self.isFinal(object), seconds > 0 else { return object }
    let query = [
      selector, ("timeoutSeconds", String(min(600, seconds))),
      ("resourceVersion", Field.text(list, "metadata.resourceVersion")),
    ]
    try client.watch(path, query: query) { type, changed in
      // Changes were missed: read the object anew, after a pause, since the agent has much to do.
      if type == "ERROR" {
        sleep(1)
        return false
      }
      if type == "DELETED" { throw deleted }
      object = changed
      display.show(changed)
      return !Self.isFinal(changed)
    }
    return object
  }

  private var deleted: Failure { Failure(.failed, subject, "it was deleted, which cancels it") }

  private static func isFinal(_ object: JSONValue) -> Bool { object[at: "status.stage"]?.string == "Final" }

  /// A bar that is drawn over and over, or a line for each change of stage and every two seconds.
  private struct Display {
    let terminal: Bool
    let quiet: Bool
    private let progress = ProgressText()
    private var last: ContinuousClock.Instant?
    private var stage = ""

    init(terminal: Bool, quiet: Bool) {
      self.terminal = terminal
      self.quiet = quiet
    }

    mutating func show(_ object: JSONValue) {
      guard !quiet else { return }
      if terminal { return Console.standard.redraw(progress.bar(object, width: MigrationWatch.width)) }
      let stage = ProgressText.stage(object)
      let late = last.map { .now - $0 >= MigrationWatch.lineInterval } ?? true
      guard late || stage != self.stage else { return }
      Console.standard.line(progress.line(object))
      last = .now
      self.stage = stage
    }

    func end() { if terminal { Console.standard.write("\n") } }
  }

  /// Fails unless a migration that was waited for succeeded.
  static func check(_ object: JSONValue, wait: Bool, subject: String) throws(Failure) {
    guard wait, object[at: "status.status"]?.string != "Successful" else { return }
    let volumes = (object[at: "status.volumes"]?.array ?? []).filter { $0["status"]?.string == "Failed" }
    let reasons = volumes.map { "\(Field.text($0, "persistentVolumeClaim")): \(Field.text($0, "reason"))" }
    let reason = Field.text(object, "status.reason")
    let cause = reasons.isEmpty ? reason : reasons.joined(separator: "; ")
    throw Failure(
      .failed, subject, cause.isEmpty ? "ended as \(Field.text(object, "status.status"))" : cause)
  }

  fileprivate static var width: Int {
    var size = winsize()
    guard ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 20 else { return 80 }
    return Int(size.ws_col)
  }
}

/// The progress of a Migration in one line.
struct ProgressText {
  /// Changes when something worth a line of its own happens.
  static func stage(_ object: JSONValue) -> String {
    let volumes = object[at: "status.volumes"]?.array ?? []
    return
      ([Field.text(object, "status.stage"), Field.text(object, "status.status")]
      + volumes.map { "\(Field.text($0, "status"))/\(Field.text($0, "stage"))" }
      + [Field.text(object, "status.reason")]).joined(separator: " ")
  }

  private struct Sums {
    var done: UInt64 = 0
    var total: UInt64 = 0
    var wire: UInt64 = 0
    var seconds = 0.0
    /// Of the volumes under way.
    var current: Double?
    var eta: Double?

    init(_ object: JSONValue) {
      func count(_ volume: JSONValue, _ key: String) -> UInt64 { UInt64(clamping: volume[key]?.integer ?? 0) }
      for volume in object[at: "status.volumes"]?.array ?? [] {
        done &+= count(volume, "bytesDone")
        total &+= count(volume, "bytesTotal")
        wire &+= count(volume, "bytesOnWire")
        seconds = max(seconds, volume["seconds"]?.double ?? 0)
        if let rate = volume["bytesPerSecond"]?.double { current = (current ?? 0) + rate }
        if let next = volume["etaSeconds"]?.double { eta = max(eta ?? 0, next) }
      }
    }

    /// While it runs that of the last seconds; of the whole, once it is done.
    func rate(isFinal: Bool) -> String {
      let rate = isFinal && seconds > 0 ? Double(done) / seconds : current
      return rate.flatMap { $0.isFinite && $0 < 1e18 ? Quantity.rounded(UInt64($0)) + "/s" : nil } ?? "-"
    }
    var fraction: Double { total > 0 ? min(1, Double(done) / Double(total)) : 0 }
    var remaining: String { eta.map { $0 < 1e9 ? DurationText.go(Int64($0.rounded())) : "-" } ?? "-" }
  }

  private func words(_ object: JSONValue) -> String {
    let volumes = object[at: "status.volumes"]?.array ?? []
    let stages = Set(volumes.filter { $0["status"]?.string == "InProgress" }.map { Field.text($0, "stage") }).sorted()
    let status = [Field.text(object, "status.stage"), Field.text(object, "status.status")].filter { !$0.isEmpty }
    return (status.isEmpty ? ["Pending"] : status).joined(separator: " ")
      + (stages.isEmpty ? "" : " (\(stages.joined(separator: ", ")))")
  }

  private func isFinal(_ object: JSONValue) -> Bool { object[at: "status.stage"]?.string == "Final" }

  /// Why volumes under way do not get on.
  private func waiting(_ object: JSONValue) -> String {
    let volumes = object[at: "status.volumes"]?.array ?? []
    let reasons = volumes.compactMap { $0["waitingFor"]?.string }.filter { !$0.isEmpty }
    return Array(Set(reasons)).sorted().joined(separator: "; ")
  }

  /// A line for logs.
  func line(_ object: JSONValue) -> String {
    let sums = Sums(object)
    let reason = [Field.text(object, "status.reason"), waiting(object)].filter { !$0.isEmpty }
      .joined(separator: ", ")
    return "\(words(object)): \(Quantity.rounded(sums.done)) of \(Quantity.rounded(sums.total)), "
      + "\(Quantity.rounded(sums.wire)) on the wire, \(sums.rate(isFinal: isFinal(object))), ETA \(sums.remaining)"
      + (reason.isEmpty ? "" : ", \(reason)")
  }

  /// A line for a terminal of that many columns.
  func bar(_ object: JSONValue, width: Int) -> String {
    let sums = Sums(object)
    let tail =
      " \(Int(sums.fraction * 100))% \(Quantity.rounded(sums.done))/\(Quantity.rounded(sums.total)) "
      + "\(sums.rate(isFinal: isFinal(object))) ETA \(sums.remaining)"
    let head = words(object) + " "
    let room = min(40, width - head.count - tail.count - 3)
    guard room >= 5 else { return String((head + tail).prefix(max(0, width - 1))) }
    let filled = Int(Double(room) * sums.fraction)
    return head + "[" + String(repeating: "#", count: filled) + String(repeating: ".", count: room - filled) + "]"
      + tail
  }
}
