import APIModel

extension ResourceKind {
  /// apps/v1 Deployment.
  public static let deployment = workload("apps", "Deployment", plural: "deployments", shortNames: ["deploy"])
  /// apps/v1 StatefulSet.
  public static let statefulSet = workload("apps", "StatefulSet", plural: "statefulsets", shortNames: ["sts"])
  /// batch/v1 Job.
  public static let job: ResourceKind = {
    var kind = workload("batch", "Job", plural: "jobs", shortNames: [])
    kind.fieldSelectors = ["status.successful"]
    return kind
  }()
  /// batch/v1 CronJob.
  public static let cronJob = workload("batch", "CronJob", plural: "cronjobs", shortNames: ["cj"])

  private static func workload(
    _ group: String, _ kind: String, plural: String, shortNames: [String]
  ) -> ResourceKind {
    var resource = ResourceKind(
      group: group, version: "v1", kind: kind, plural: plural, namespaced: true, custom: false)
    resource.shortNames = shortNames
    resource.hasStatus = true
    resource.columns = [.name, .age]
    return resource
  }
}
