public import MetricsExposition
import CoreMetrics

/// The metrics of the control plane, described in docs/metrics.md.
public enum ControlPlaneDefinitions {
  /// What the control plane records: a registry must know these.
  public static let recorded: [MetricDefinition] = [requests, triggers]

  static let requests = MetricDefinition(
    "repl_agent_api_requests_total", .counter, "Requests to the API that were answered, by verb and code")
  static let triggers = MetricDefinition(
    "repl_agent_schedule_triggers_total", .counter,
    "Triggers of schedules that made a Migration (fired) or passed without one (missed), by type of policy")
  static let watchers = MetricDefinition(
    "repl_agent_api_watchers", .gauge, "Watches that are open, those of the agent's own controllers among them")
  static let migrationStatus = MetricDefinition(
    "stork_migration_status", .gauge,
    "Status of a Migration: 0 none, 1 Pending, 2 InProgress, 3 Failed, 4 PartialSuccess, 5 Successful, 6 Purged")
  static let migrationStage = MetricDefinition(
    "stork_migration_stage", .gauge,
    "Stage of a Migration: 0 none, 1 PreExecRule, 2 PostExecRule, 3 Volumes, 4 Applications, 5 Final")
  static let migrationDuration = MetricDefinition(
    "stork_migration_duration", .gauge, "Seconds from the making of a Migration to its end")
  static let scheduleStatus = MetricDefinition(
    "stork_migration_schedule_status", .gauge, "Types of policy of a MigrationSchedule that have made Migrations")
  static let pairScheduler = MetricDefinition(
    "stork_clusterpair_scheduler_status", .gauge, "Scheduler status of a ClusterPair: \(pairWords)")
  static let pairStorage = MetricDefinition(
    "stork_clusterpair_storage_status", .gauge, "Storage status of a ClusterPair: \(pairWords)")
  private static let pairWords =
    "0 none, 1 Pending, 2 Ready, 3 Error, 4 Degraded, 5 Deleting, 6 NotProvided"
}

/// What the control plane counts when it happens, through swift-metrics. Any task may record.
struct ControlPlaneMetrics: Sendable {
  enum Trigger: String, CaseIterable { case fired, missed }

  /// Records nothing.
  static let none = ControlPlaneMetrics(NOOPMetricsHandler.instance)

  private let factory: any MetricsFactory

  init(_ factory: any MetricsFactory) {
    self.factory = factory
    for type in PolicyType.allCases {
      for outcome in Trigger.allCases { count(ControlPlaneDefinitions.triggers, Self.labels(outcome, type), 0) }
    }
  }

  func trigger(_ outcome: Trigger, _ type: PolicyType, _ amount: Int = 1) {
    count(ControlPlaneDefinitions.triggers, Self.labels(outcome, type), amount)
  }

  /// Counts a request that was answered.
  func request(_ request: APIRequest, code: Int) {
    count(ControlPlaneDefinitions.requests, [("verb", Self.verb(request)), ("code", String(code))], 1)
  }

  /// A request's verb: one of few words, whatever was sent.
  static func verb(_ request: APIRequest) -> String {
    switch request.method {
    case "GET": request.flag("watch") ? "watch" : "get"
    case "HEAD": "get"
    case "POST": "create"
    case "PUT": "update"
    case "PATCH": "patch"
    case "DELETE": "delete"
    default: "other"
    }
  }

  private static func labels(_ outcome: Trigger, _ type: PolicyType) -> [(String, String)] {
    [("outcome", outcome.rawValue), ("type", type.rawValue)]
  }

  private func count(_ metric: MetricDefinition, _ labels: [(String, String)], _ amount: Int) {
    Counter(label: metric.name, dimensions: labels, factory: factory).increment(by: amount)
  }
}
