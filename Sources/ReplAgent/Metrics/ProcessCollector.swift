import Foundation
import Glibc
import MetricsExposition

/// The process as Prometheus' own libraries describe one, under their names.
struct ProcessCollector: MetricsCollector {
  let name = "process"

  private static let resident = MetricDefinition(
    "process_resident_memory_bytes", .gauge, "Resident memory size in bytes")
  private static let virtual = MetricDefinition(
    "process_virtual_memory_bytes", .gauge, "Virtual memory size in bytes")
  private static let cpu = MetricDefinition(
    "process_cpu_seconds_total", .counter, "Total user and system CPU time spent in seconds")
  private static let started = MetricDefinition(
    "process_start_time_seconds", .gauge, "Start time of the process since unix epoch in seconds")
  private static let descriptors = MetricDefinition("process_open_fds", .gauge, "Number of open file descriptors")
  private static let maximum = MetricDefinition(
    "process_max_fds", .gauge, "Maximum number of open file descriptors")

  func collect() async -> [MetricFamily]? {
    guard let stat = try? String(contentsOfFile: "/proc/self/stat", encoding: .utf8),
      let facts = ProcessFacts(stat: stat, ticksPerSecond: Double(sysconf(Int32(_SC_CLK_TCK))))
    else { return nil }
    var set = MetricSet()
    set.add(Self.resident, [], facts.residentPages * Double(sysconf(Int32(_SC_PAGESIZE))))
    set.add(Self.virtual, [], facts.virtualBytes)
    set.add(Self.cpu, [], facts.cpuSeconds)
    if let boot = Self.bootTime { set.add(Self.started, [], boot + facts.secondsAfterBoot) }
    // The directory that is read is open too, and gone afterwards.
    if let open = try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd") {
      set.add(Self.descriptors, [], Double(max(0, open.count - 1)))
    }
    var limit = rlimit()
    if getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 {
      set.add(Self.maximum, [], limit.rlim_cur == rlim_t.max ? .infinity : Double(limit.rlim_cur))
    }
    return set.families
  }

  private static let bootTime: Double? = {
    guard let text = try? String(contentsOfFile: "/proc/stat", encoding: .utf8) else { return nil }
    let line = text.split(separator: "\n").first { $0.hasPrefix("btime ") }
    return line.flatMap { Double($0.dropFirst(6)) }
  }()
}

/// What `/proc/PID/stat` says of a process (proc_pid_stat(5)).
struct ProcessFacts: Equatable {
  var cpuSeconds: Double
  var secondsAfterBoot: Double
  var virtualBytes: Double
  var residentPages: Double

  /// nil for a text of another form.
  init?(stat: String, ticksPerSecond: Double) {
    // The name is in parentheses and may hold anything, parentheses and blanks too; field 3 follows the last one.
    guard let end = stat.lastIndex(of: ")"), ticksPerSecond > 0 else { return nil }
    let fields = stat[stat.index(after: end)...].split(separator: " ").map {
      Double($0.trimmingCharacters(in: .whitespacesAndNewlines))
    }
    func field(_ number: Int) -> Double? { fields.indices.contains(number - 3) ? fields[number - 3] : nil }
    guard let user = field(14), let system = field(15), let start = field(22), let size = field(23),
      let pages = field(24)
    else { return nil }
    cpuSeconds = (user + system) / ticksPerSecond
    secondsAfterBoot = start / ticksPerSecond
    virtualBytes = size
    residentPages = pages
  }
}
