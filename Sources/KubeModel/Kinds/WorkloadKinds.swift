import APIModel

extension ResourceKind {
  /// apps/v1 Deployment.
  public static let deployment: ResourceKind = {
    var kind = workload("apps", "Deployment", plural: "deployments", shortNames: ["deploy"])
    kind.description = "Equal pods. Kept for the other site, not run here."
    kind.fields = Schema.deployment
    kind.hasScale = true
    kind.columns =
      [
        .name, ready,
        Column("Up-to-date", type: "integer") { object, _ in .integer(Cells.count(object, "status.updatedReplicas")) },
        Column("Available", type: "integer") { object, _ in .integer(Cells.count(object, "status.availableReplicas")) },
        .age,
      ] + Column.pods("spec.template", selector: "spec.selector.matchLabels")
    kind.defaults = Defaults.deployment
    kind.validate = { object, old in Immutable.causes(["spec.selector"], object, old) }
    return kind
  }()

  /// apps/v1 StatefulSet.
  public static let statefulSet: ResourceKind = {
    var kind = workload("apps", "StatefulSet", plural: "statefulsets", shortNames: ["sts"])
    kind.description = "Pods with identities and volumes of their own. Kept for the other site, not run here."
    kind.fields = Schema.statefulSet
    kind.hasScale = true
    kind.columns = [.name, ready, .age] + Column.pods("spec.template", selector: nil)
    kind.defaults = Defaults.statefulSet
    kind.prepare = { object in object.json["status"] = ["replicas": 0, "availableReplicas": 0] }
    kind.validate = { object, old in
      Immutable.causes(["spec.selector", "spec.serviceName", "spec.volumeClaimTemplates"], object, old)
    }
    return kind
  }()

  /// batch/v1 Job.
  public static let job: ResourceKind = {
    var kind = workload("batch", "Job", plural: "jobs", shortNames: [])
    kind.description = "Pods that run to their end. Kept for the other site, not run here."
    kind.fields = Schema.job
    kind.fieldSelectors = ["status.successful"]
    kind.columns =
      [
        .name, Column("Status") { object, _ in jobStatus(object) },
        Column("Completions") { object, _ in
          .string("\(Cells.count(object, "status.succeeded"))/\(Cells.count(object, "spec.completions"))")
        },
        Column("Duration") { object, now in jobDuration(object, now) }, .age,
      ] + Column.pods("spec.template", selector: "spec.selector.matchLabels")
    kind.defaults = Defaults.job
    kind.orphansDependants = true
    kind.validate = { object, old in Immutable.causes(["spec.selector", "spec.template"], object, old) }
    return kind
  }()

  /// batch/v1 CronJob.
  public static let cronJob: ResourceKind = {
    var kind = workload("batch", "CronJob", plural: "cronjobs", shortNames: ["cj"])
    kind.description = "Jobs made by a clock. Kept for the other site, not run here."
    kind.fields = Schema.cronJob
    kind.columns =
      [
        .name, .path("Schedule", "spec.schedule"), .path("Timezone", "spec.timeZone", missing: "<none>"),
        Column("Suspend") { object, _ in object.spec["suspend"]?.bool == true ? "True" : "False" },
        Column("Active", type: "integer") { object, _ in .integer(Int64(object.status["active"]?.array?.count ?? 0)) },
        Column("Last Schedule") { object, now in
          object.status["lastScheduleTime"] == nil ? Cells.none : Cells.age(object.status["lastScheduleTime"], now)
        }, .age,
      ] + Column.pods("spec.jobTemplate.spec.template", selector: nil)
      + [Column("Selector", priority: 1) { _, _ in Cells.none }]
    kind.defaults = Defaults.cronJob
    return kind
  }()

  private static func workload(
    _ group: String, _ kind: String, plural: String, shortNames: [String]
  ) -> ResourceKind {
    var resource = ResourceKind(
      group: group, version: "v1", kind: kind, plural: plural, namespaced: true, custom: false)
    resource.shortNames = shortNames
    resource.hasStatus = true
    resource.categories = ["all"]
    resource.countsGenerations = true
    resource.prepare = { object in object.json["status"] = [:] }
    return resource
  }

  private static var ready: Column {
    Column("Ready") { object, _ in
      .string("\(Cells.count(object, "status.readyReplicas"))/\(Cells.count(object, "spec.replicas"))")
    }
  }

  private static func jobStatus(_ object: KubeObject) -> JSONValue {
    let conditions = object.status["conditions"]?.array ?? []
    func holds(_ type: JSONValue) -> Bool { conditions.contains { $0["type"] == type && $0["status"] == "True" } }
    if holds("Complete") { return "Complete" }
    if holds("Failed") { return "Failed" }
    return object.isDeleting ? "Terminating" : object.spec["suspend"]?.bool == true ? "Suspended" : "Running"
  }

  private static func jobDuration(_ object: KubeObject, _ now: Int64) -> JSONValue {
    guard let start = Timestamp.seconds(object.status["startTime"]?.string ?? "") else { return "" }
    let end = Timestamp.seconds(object.status["completionTime"]?.string ?? "") ?? now
    return .string(DurationText.age(end - start))
  }
}
