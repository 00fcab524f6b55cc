import CoreMetrics
public import MetricsExposition

/// The metrics of the Stork objects, described in docs/metrics.md.
public enum StorkDefinitions {
  /// What the controllers record: a registry must know these.
  public static let recorded: [MetricDefinition] = [triggers]

  static let triggers = MetricDefinition(
    "repl_agent_schedule_triggers_total", .counter,
    "Triggers of schedules that made a Migration (fired) or passed without one (missed), by type of policy")
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

/// Counts triggers of schedules when they happen, through swift-metrics. Any task may record.
struct ScheduleMetrics: Sendable {
  enum Trigger: String, CaseIterable { case fired, missed }

  /// Records nothing.
  static let none = ScheduleMetrics(NOOPMetricsHandler.instance)

  private let factory: any MetricsFactory

  init(_ factory: any MetricsFactory) {
    self.factory = factory
    for type in PolicyType.allCases {
      for outcome in Trigger.allCases { trigger(outcome, type, 0) }
    }
  }

  func trigger(_ outcome: Trigger, _ type: PolicyType, _ amount: Int = 1) {
    let labels = [("outcome", outcome.rawValue), ("type", type.rawValue)]
    Counter(label: StorkDefinitions.triggers.name, dimensions: labels, factory: factory).increment(by: amount)
  }
}
