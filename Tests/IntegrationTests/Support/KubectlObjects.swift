/// What the tests of kubectl make.
enum KubectlObjects {
  static let group = "stork.libopenstorage.org"

  static let rule = """
    apiVersion: stork.libopenstorage.org/v1alpha1
    kind: Rule
    metadata:
      name: freeze
    rules:
    - actions:
      - type: command
        value: first
    """

  static let settings = """
    apiVersion: v1
    kind: ConfigMap
    metadata:
      name: settings
    data:
      one: first
      two: "2"

    """

  static let lonelySchedule = """
    apiVersion: stork.libopenstorage.org/v1alpha1
    kind: MigrationSchedule
    metadata:
      name: lonely
    spec:
      schedulePolicyName: default-daily-policy
      template:
        spec:
          clusterPair: nowhere
          namespaces: [shop]
    """

  static let deployment = workload(
    "apps/v1", "Deployment", "web", "replicas: 2, selector: {matchLabels: {app: web}}, template: \(pod())")

  static let node = "---\n{apiVersion: v1, kind: Node, metadata: {name: n1}}"

  /// One of each kind that `describe` has words of its own for.
  static let builtIn = [
    rule, settings, node,
    "---\n{apiVersion: v1, kind: ServiceAccount, metadata: {name: robot}}",
    "---\n{apiVersion: v1, kind: Secret, metadata: {name: pass}, stringData: {password: secret}}",
    "---\n{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {selector: {app: web}, ports: [{port: 80}]}}",
    deployment,
    workload(
      "apps/v1", "StatefulSet", "db",
      "serviceName: db, replicas: 1, selector: {matchLabels: {app: web}}, template: \(pod())"),
    workload("batch/v1", "Job", "once", "template: \(pod(restart: "Never"))"),
    workload(
      "batch/v1", "CronJob", "nightly",
      "schedule: \"0 3 * * *\", jobTemplate: {spec: {template: \(pod(restart: "Never"))}}"),
    "---\n{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: fast}, provisioner: example.com/disk}",
    "---\n{apiVersion: coordination.k8s.io/v1, kind: Lease, metadata: {name: leader}, spec: {holderIdentity: me}}",
  ]

  private static func workload(_ version: String, _ kind: String, _ name: String, _ spec: String) -> String {
    // The line in front tells kubectl that the braces are YAML.
    "---\n{apiVersion: \(version), kind: \(kind), metadata: {name: \(name)}, spec: {\(spec)}}"
  }

  private static func pod(restart: String = "Always") -> String {
    "{metadata: {labels: {app: web}}, spec: {restartPolicy: \(restart), containers: [{name: c, image: \"web:1\"}]}}"
  }
}
