import Glibc
import TestSupport
import Testing

extension Integration {
  @Suite("The documents' own session, typed in", .requiresKubectl)
  struct DocumentSession {
    /// One test, because a session is one: each command stands on what those before it have made.
    @Test("a database is replicated by the printed objects, seen with kubectl, and taken back")
    func session() throws {
      var options = TwoSites.Options()
      options.paired = false
      options.sourceExtra = "timeZone: UTC"
      options.targetExtra = "timeZone: UTC"
      try TwoSites.run(.xfs, to: .btrfs, options) { sites in
        let kubectl = try Kubectl(sites.source, in: sites.directory.path)
        let there = try Kubectl(sites.target, in: sites.directory.path)
        try kubectl.check("create", "namespace", "mysql")
        let volume = try sites.source.createVolume("mysql-data", size: 16 * .mebibyte, namespace: "mysql")
        let writer = try BlockWriter(volume, method: .direct, seed: 5)
        try kubectl.apply(Documents.application, namespace: "mysql")

        try pair(sites, kubectl)
        let watch = try kubectl.watch("get", "migration", "-n", "mysql", "--watch")
        #expect(try kubectl.apply(Documents.policy(dueSince: 60), namespace: "mysql").hasSuffix("created\n"))
        #expect(try kubectl.apply(Documents.schedule, namespace: "mysql").hasSuffix("created\n"))
        let first = try eachTypeRuns(kubectl)
        try described(kubectl)
        try listed(kubectl, first)
        try standby(there, sites)

        let second = try intervalComesRound(kubectl, after: first["Interval"] ?? "")
        try checkPoints(sites, volume, writer)
        let seen = try watch.text().words
        for name in first.values + [second] { #expect(seen.contains { $0.hasPrefix(name + " ") }, "\(name) is seen") }
        #expect(watch.isRunning)
        try writer.stop()
        try deleted(kubectl, sites)
      }
    }

    private func pair(_ sites: TwoSites, _ kubectl: Kubectl) throws {
      let token = try sites.target.control.check("pair", "token").trimmed
      let object = Documents.pair(ip: sites.target.address, token: token)
      let said = try kubectl.apply(object, namespace: "mysql")
      #expect(said == "clusterpair.stork.libopenstorage.org/remotecluster created\n")
      try ready(kubectl)
      // Once more, with the token that is used up: the printed file has an empty status, which is applied too.
      #expect(try kubectl.apply(object, namespace: "mysql").hasSuffix("configured\n"))
      try ready(kubectl)
      let described = try kubectl.check("describe", "clusterpair", "remotecluster", "-n", "mysql")
      #expect(described.contains("Storage successfully paired"))
      #expect(described.contains("Scheduler successfully paired"))
      #expect(!sites.source.agent.logText().contains(token), "the token is in no log")
    }

    private func ready(_ kubectl: Kubectl) throws {
      for field in [".status.storageStatus", ".status.schedulerStatus"] {
        try kubectl.wait("clusterpair/remotecluster", namespace: "mysql", field, is: "Ready")
      }
    }

    /// Waits until a run of each type has succeeded: type and name of the Migration.
    private func eachTypeRuns(_ kubectl: Kubectl) throws -> [String: String] {
      let types = ["Interval", "Daily", "Weekly", "Monthly"]
      var names: [String: String] = [:]
      var last = ""
      try eventually("a run of each type succeeds; last seen: \(last)") {
        last = try kubectl.check("get", "migrationschedule", "mysqlmigrationschedule", "-n", "mysql", "-o", "json")
        let items = try JSONTree(last)["status", "items"]
        for type in types where items?[type, "0", "status"]?.text == "Successful" {
          names[type] = items?[type, "0", "name"]?.text
        }
        return names.count == types.count
      }
      for (type, name) in names { #expect(name.hasPrefix("mysqlmigrationschedule-\(type.lowercased())-")) }
      try kubectl.wait("migration/\(names["Daily"] ?? "")", namespace: "mysql", ".status.stage", is: "Final")
      return names
    }

    private func described(_ kubectl: Kubectl) throws {
      let lines = try kubectl.check("describe", "migrationschedules.stork.libopenstorage.org", "-n", "mysql").words
      var rest = lines[...]
      for line in Documents.description {
        guard let place = rest.firstIndex(where: { $0.hasPrefix(line) }) else {
          Issue.record("`\(line)` is missing, or not in its place, in:\n\(lines.joined(separator: "\n"))")
          return
        }
        rest = rest[(place + 1)...]
      }
      for type in ["interval", "daily", "weekly", "monthly"] {
        let end = "Normal Successful "
        let message = " Scheduled migration (mysqlmigrationschedule-\(type)-"
        #expect(
          rest.contains { $0.hasPrefix(end) && $0.contains(message) && $0.hasSuffix(") completed successfully") },
          "an event of the \(type) run: \(rest)")
      }
    }

    private func listed(_ kubectl: Kubectl, _ names: [String: String]) throws {
      let table = try kubectl.check("get", "migration", "-n", "mysql").words
      #expect(table.first == "NAME AGE")
      let listed = table.dropFirst().map { String($0.prefix { $0 != " " }) }
      #expect(Set(listed).isSuperset(of: names.values))
      #expect(listed == listed.sorted())
    }

    /// What stands at the other site: all there, bound, and nothing runs.
    private func standby(_ kubectl: Kubectl, _ sites: TwoSites) throws {
      func get(_ kind: String, _ name: String) throws -> JSONTree {
        try JSONTree(kubectl.check("get", kind, name, "-n", "mysql", "-o", "json"))
      }
      let claim = try get("pvc", "mysql-data")
      #expect(claim["status", "phase"]?.text == "Bound")
      #expect(claim["metadata", "annotations", "repl-agent/standby"]?.text == "true")
      let volume = try get("pv", claim["spec", "volumeName"]?.text ?? "")
      #expect(volume["status", "phase"]?.text == "Bound")
      #expect(volume["status", "reason"]?.text == "standby")
      #expect(volume["spec", "claimRef", "name"]?.text == "mysql-data")

      let workload = try get("deployment", "mysql")
      #expect(workload["spec", "replicas"]?.number == 0)
      for key in ["stork.libopenstorage.org/migrationReplicas", "stork.openstorage.org/migrationReplicas"] {
        #expect(workload["metadata", "annotations", key]?.text == "3")
      }
      #expect(try get("configmap", "mysql-config")["data", "my.cnf"]?.text == "[mysqld]\n")
      #expect(try get("secret", "mysql-pass")["data", "password"]?.text == "c2VjcmV0")
      #expect(
        try get("migrationschedule", "mysqlmigrationschedule")["spec", "suspend"] == .flag(true),
        "the schedule's copy there never triggers")
    }

    /// The minute of the interval policy: waits for its second run and returns its name.
    private func intervalComesRound(_ kubectl: Kubectl, after first: String) throws -> String {
      let second: String = try eventually(
        "the interval policy runs again", within: 100,
        answer: {
          let text = try kubectl.check(
            "get", "migrationschedule", "mysqlmigrationschedule", "-n", "mysql", "-o", "json")
          let items = try JSONTree(text)["status", "items", "Interval"]?.list ?? []
          let done = items.filter { $0["status"]?.text == "Successful" }.compactMap { $0["name"]?.text }
          return done.first { $0 != first }
        })
      try eventually("the run before it is cleared away") {
        try kubectl.run(["get", "migration", first, "-n", "mysql"]).status != 0
      }
      return second
    }

    private func checkPoints(_ sites: TwoSites, _ volume: Volume, _ writer: BlockWriter) throws {
      let checker = PrefixChecker(writer, mayTear: false)
      let points = try sites.target.points("mysql-data", namespace: "mysql")
      #expect(points.count >= 5)
      let counts = try points.map { try checker.check(sites.image(of: $0, volume)) }
      #expect(counts == counts.sorted(by: >), "newer points hold more")
      for point in points { #expect(point.state == "sealed") }
      if let newest = points.first {
        try Files.requireEqual(sites.image(of: newest, volume), sites.twin(of: newest, volume))
      }
    }

    private func deleted(_ kubectl: Kubectl, _ sites: TwoSites) throws {
      let points = try sites.target.points("mysql-data", namespace: "mysql").map(\.id)
      let said = try kubectl.check("delete", "migrationschedule", "mysqlmigrationschedule", "-n", "mysql")
      #expect(said.hasPrefix("migrationschedule.stork.libopenstorage.org \"mysqlmigrationschedule\" deleted"))
      let left = try kubectl.run(["get", "migration", "-n", "mysql"])
      #expect(left.status == 0)
      #expect(left.errors.trimmed == "No resources found in mysql namespace.")
      #expect(try sites.target.points("mysql-data", namespace: "mysql").map(\.id) == points, "points stay")
    }
  }
}

/// The objects as the documents print them, and what `describe` shows.
private enum Documents {
  /// The times of all sections lie `seconds` back, so that each is due at once.
  static func policy(dueSince seconds: Int) -> String {
    var moment = time(nil) - seconds
    var parts = tm()
    gmtime_r(&moment, &parts)
    let clock = format("%I:%M%p", parts)
    let kitchen = clock.hasPrefix("0") ? String(clock.dropFirst()) : clock
    return """
      apiVersion: stork.libopenstorage.org/v1alpha1
      kind: SchedulePolicy
      metadata:
        name: testpolicy
        namespace: mysql
      policy:
        interval:
          intervalMinutes: 1
        daily:
          time: "\(kitchen)"
        weekly:
          day: "\(format("%A", parts))"
          time: "\(kitchen)"
        monthly:
          date: \(parts.tm_mday)
          time: "\(kitchen)"
      """
  }

  private static func format(_ format: String, _ time: tm) -> String {
    var bytes = [CChar](repeating: 0, count: 32)
    let count = withUnsafePointer(to: time) { strftime(&bytes, bytes.count, format, $0) }
    return String(decoding: bytes.prefix(count).map(UInt8.init(bitPattern:)), as: UTF8.self)
  }

  static func pair(ip: String, token: String) -> String {
    """
    apiVersion: stork.libopenstorage.org/v1alpha1
    kind: ClusterPair
    metadata:
      creationTimestamp: null
      name: remotecluster
    spec:
      config:
        clusters:
          kubernetes:
            LocationOfOrigin: /etc/kubernetes/admin.conf
            certificate-authority-data: BASE64
            server: https://192.168.56.74:6443
        contexts:
          kubernetes-admin@kubernetes:
            LocationOfOrigin: /etc/kubernetes/admin.conf
            cluster: kubernetes
            user: kubernetes-admin
        current-context: kubernetes-admin@kubernetes
        preferences: {}
        users:
          kubernetes-admin:
            LocationOfOrigin: /etc/kubernetes/admin.conf
            client-certificate-data: BASE64
            client-key-data: BASE64
      options:
        ip:     \(ip)
        port:   9001
        token:  \(token)
        mode: DisasterRecovery
    status:
      remoteStorageId: ""
      schedulerStatus: ""
      storageStatus: ""
    """
  }

  static let schedule = """
    apiVersion: stork.libopenstorage.org/v1alpha1
    kind: MigrationSchedule
    metadata:
      name: mysqlmigrationschedule
      namespace: mysql
    spec:
      template:
        spec:
          clusterPair: remotecluster
          includeResources: true
          startApplications: false
          namespaces:
          - mysql
      schedulePolicyName: testpolicy
    """

  /// Beginnings of lines, in their order; spaces as single ones.
  static let description = [
    "Name: mysqlmigrationschedule", "Namespace: mysql", "Labels: <none>", "Annotations:",
    "API Version: stork.libopenstorage.org/v1alpha1", "Kind: MigrationSchedule",
    "Metadata:", "Creation Timestamp: 20", "Generation: ", "Resource Version: ", "UID: ",
    "Spec:", "Schedule Policy Name: testpolicy", "Template:", "Spec:", "Cluster Pair: remotecluster",
    "Include Resources: true", "Namespaces:", "mysql", "Post Exec Rule:", "Pre Exec Rule:", "Selectors:",
    "Start Applications: false",
    "Status:", "Items:",
    "Daily:", "Creation Timestamp: 20", "Finish Timestamp: 20", "Name: mysqlmigrationschedule-daily-20",
    "Status: Successful",
    "Interval:", "Creation Timestamp: 20", "Finish Timestamp: 20", "Name: mysqlmigrationschedule-interval-20",
    "Status: Successful",
    "Monthly:", "Creation Timestamp: 20", "Finish Timestamp: 20", "Name: mysqlmigrationschedule-monthly-20",
    "Status: Successful",
    "Weekly:", "Creation Timestamp: 20", "Finish Timestamp: 20", "Name: mysqlmigrationschedule-weekly-20",
    "Status: Successful",
    "Events:", "Type Reason Age From Message", "---- ------ ---- ---- -------",
  ]

  static let application = """
    apiVersion: apps/v1
    kind: Deployment
    metadata:
      name: mysql
    spec:
      replicas: 3
      selector:
        matchLabels:
          app: mysql
      template:
        metadata:
          labels:
            app: mysql
        spec:
          containers:
          - name: mysql
            image: mysql:8
          volumes:
          - name: data
            persistentVolumeClaim:
              claimName: mysql-data
    ---
    apiVersion: v1
    kind: ConfigMap
    metadata:
      name: mysql-config
    data:
      my.cnf: |
        [mysqld]
    ---
    apiVersion: v1
    kind: Secret
    metadata:
      name: mysql-pass
    stringData:
      password: secret
    """
}
