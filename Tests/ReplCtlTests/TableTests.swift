import APIModel
import Glibc
import Testing

@testable import ReplCtl

/// Sets the zone of the samples; every suite that prints times begins with it.
private func useSampleZone() {
  setenv("TZ", "America/Los_Angeles", 1)
  tzset()
}

@Suite("Tables of the Stork kinds", .serialized)
struct TableTests {
  init() { useSampleZone() }

  private static let created: JSONValue = "2024-03-05T10:20:30Z"

  private func object(_ name: String, _ fields: JSONValue) -> JSONValue {
    var object = fields
    object["metadata"] = ["name": .string(name), "namespace": "shop", "creationTimestamp": Self.created]
    return object
  }

  private func table(_ kind: String, _ items: [JSONValue], view: String = "", withNamespace: Bool = false) throws
    -> String
  {
    let columns = try #require(StorkTable.columns(kind, view: view))
    return StorkTable.table(items, columns: columns, withNamespace: withNamespace).text
  }

  @Test("ClusterPairs show both states and the time of their making in the local zone")
  func clusterPairs() throws {
    func pair(_ name: String, _ storage: String) -> JSONValue {
      object(name, ["status": ["storageStatus": .string(storage), "schedulerStatus": "Ready"]])
    }
    #expect(
      try table("ClusterPair", [pair("site-b", "Ready"), pair("metro-b", "NotProvided")]) == """
        NAME      STORAGE-STATUS   SCHEDULER-STATUS   CREATED
        site-b    Ready            Ready              05 Mar 24 02:20 PST
        metro-b   NotProvided      Ready              05 Mar 24 02:20 PST
        """)
  }

  @Test("namespaces stand in front when those of all are shown")
  func namespaces() throws {
    let pair = object("site-b", ["status": ["storageStatus": "Ready", "schedulerStatus": "Ready"]])
    #expect(
      try table("ClusterPair", [pair], withNamespace: true) == """
        NAMESPACE   NAME     STORAGE-STATUS   SCHEDULER-STATUS   CREATED
        shop        site-b   Ready            Ready              05 Mar 24 02:20 PST
        """)
  }

  @Test("policies show each section, N/A for a missing and Invalid for a wrong one")
  func policies() throws {
    let nightly = object(
      "nightly",
      [
        "policy": [
          "interval": ["intervalMinutes": 1], "daily": ["time": "10:14PM"],
          "weekly": ["day": "Thursday", "time": "10:13PM"], "monthly": ["date": 14, "time": "8:05PM"],
        ]
      ])
    let broken = object(
      "broken",
      ["policy": ["interval": ["intervalMinutes": 0], "daily": .null, "monthly": ["date": 32, "time": "8:05PM"]]])
    #expect(
      try table("SchedulePolicy", [nightly, broken]) == """
        NAME      INTERVAL-MINUTES   DAILY     WEEKLY             MONTHLY
        nightly   1                  10:14PM   Thursday@10:13PM   14@8:05PM
        broken    Invalid            N/A       N/A                Invalid
        """)
  }

  @Test("Migrations count from their summary, and from their lists where there is none")
  func migrations() throws {
    func summary(_ volumes: Int64, _ elapsed: String, _ resources: String, _ bytes: Int64) -> JSONValue {
      [
        "totalNumberOfVolumes": .integer(volumes), "numOfMigratedVolumes": .integer(volumes),
        "totalNumberOfResources": 9, "numOfMigratedResources": 9, "totalBytesMigrated": .integer(bytes),
        "elapsedTimeForVolumeMigration": .string(elapsed), "elapsedTimeForResourceMigration": .string(resources),
      ]
    }
    let done = object(
      "mig-done",
      [
        "spec": ["clusterPair": "site-b"],
        "status": [
          "stage": "Final", "status": "Successful", "summary": summary(2, "4m0s", "6.421567891s", 1_048_576),
        ],
      ])
    let metro = object(
      "mig-metro",
      [
        "spec": ["clusterPair": "metro-b"],
        "status": ["stage": "Final", "status": "Successful", "summary": summary(0, "", "19s", 0)],
      ])
    let old = object(
      "mig-nosummary",
      [
        "spec": ["clusterPair": "site-b", "includeVolumes": false, "includeResources": false],
        "status": ["stage": "Final", "status": "Failed", "finishTimestamp": "2024-03-05T10:20:49Z"],
      ])
    let header =
      "NAME            CLUSTERPAIR   STAGE   STATUS       VOLUMES   RESOURCES   CREATED               "
      + "ELAPSED                                   TOTAL BYTES TRANSFERRED\n"
    let rows = [
      "mig-done        site-b        Final   Successful   2/2       9/9         05 Mar 24 02:20 PST   "
        + "Volumes (4m0s) Resources (6.421567891s)   1048576",
      "mig-metro       metro-b       Final   Successful   0/0       9/9         05 Mar 24 02:20 PST   "
        + "Volumes () Resources (19s)                0",
      "mig-nosummary   site-b        Final   Failed       N/A       N/A         05 Mar 24 02:20 PST   "
        + "19s                                       Available with stork v2.9.0+",
    ]
    #expect(try table("Migration", [done, metro, old]) == header + rows.joined(separator: "\n"))
  }

  @Test("MigrationSchedules show the newest successful run of all policy types")
  func schedules() throws {
    func item(_ start: String, _ end: JSONValue, _ status: String) -> JSONValue {
      ["creationTimestamp": .string(start), "finishTimestamp": end, "status": .string(status)]
    }
    let spec: JSONValue = ["schedulePolicyName": "nightly", "template": ["spec": ["clusterPair": "site-b"]]]
    let ran = object(
      "shop-dr",
      [
        "spec": spec,
        "status": [
          "items": [
            "Daily": [item("2024-03-04T10:20:30Z", "2024-03-04T10:21:30Z", "Successful")],
            "Interval": [
              item("2024-03-05T10:20:30Z", "2024-03-05T10:23:34Z", "Successful"),
              item("2024-03-05T11:20:30Z", "2024-03-05T11:23:34Z", "PartialSuccess"),
              item("2024-03-05T12:20:30Z", .null, "InProgress"),
            ],
          ]
        ],
      ])
    let fresh = object("shop-new", ["spec": spec])
    let lines = [
      "NAME       POLICYNAME   CLUSTERPAIR   SUSPEND   LAST-SUCCESS-TIME     LAST-SUCCESS-DURATION",
      "shop-dr    nightly      site-b        false     05 Mar 24 02:23 PST   3m4s",
      "shop-new   nightly      site-b        false                           ",
    ]
    #expect(try table("MigrationSchedule", [ran, fresh]) == lines.joined(separator: "\n"))
  }

  @Test("domains that are not active count as inactive")
  func domains() throws {
    let metro = object(
      "metro-cluster",
      [
        "status": [
          "localDomain": "dc-east",
          "clusterDomainInfos": [
            ["name": "dc-east", "state": "Active", "syncStatus": "InSync"],
            ["name": "dc-west", "state": "Inactive", "syncStatus": "NotInSync"],
          ],
        ]
      ])
    #expect(
      try table("ClusterDomainsStatus", [metro, object("solo", [:])]) == """
        NAME            LOCAL-DOMAIN   ACTIVE             INACTIVE              CREATED
        metro-cluster   dc-east        dc-east (InSync)   dc-west (NotInSync)   05 Mar 24 02:20 PST
        solo                                                                    05 Mar 24 02:20 PST
        """)
    let update = object(
      "down-west", ["spec": ["clusterdomain": "dc-west", "active": false], "status": ["status": "Successful"]])
    #expect(
      try table("ClusterDomainUpdate", [update]) == """
        NAME        CLUSTER-DOMAIN   ACTION       STATUS       CREATED
        down-west   dc-west          Deactivate   Successful   05 Mar 24 02:20 PST
        """)
  }

  @Test("Actions tell how many namespaces came up, or were rolled back")
  func actions() throws {
    func action(_ status: JSONValue) -> JSONValue {
      object("failover-shop-dr-2024-03-05-102030", ["spec": ["actionType": "failover"], "status": status])
    }
    let done = action([
      "stage": "Final", "status": "Successful",
      "summary": ["failoverSummary": [["namespace": "shop", "status": "Successful"]]],
    ])
    #expect(
      try table("Action", [done], view: "failover") == """
        NAME                                 CREATED               STAGE       STATUS       MORE INFO
        failover-shop-dr-2024-03-05-102030   05 Mar 24 02:20 PST   Completed   Successful   Scaled up Apps in : 1/1 namespaces
        """)
    let undone = action([
      "stage": "Final", "status": "Failed", "reason": "no point",
      "summary": [
        "failoverSummary": [
          ["namespace": "a", "status": "RollbackSuccessful"], ["namespace": "b", "status": "RollbackFailed"],
        ]
      ],
    ])
    #expect(
      try table("Action", [undone], view: "failover")
        .hasSuffix("Rolled back Apps in : 1/2 namespaces ; no point"))
    #expect(!ActionView.failover.shows(action(["summary": ["failoverSummary": []]])))
    #expect(!ActionView.failback.shows(done))
  }

  @Test(
    "stages of Actions are said from the point of view of their direction",
    arguments: [
      ("", "Validations", "Validations"),
      ("ScaleDownSource", "Scale Down (on source)", "Scale Down (on destination)"),
      (
        "WaitAfterScaleDown", "Waiting for Apps to Scale Down (on source)",
        "Waiting for Apps to Scale Down (on destination)"
      ),
      (
        "LastMileMigration", "Last Mile Migration (from source -> destination)",
        "Last Mile Migration (from destination -> source)"
      ),
      ("ScaleUpSource", "Rolling Back Scale Down (on source)", "Scale Up (on source)"),
      ("ScaleUpDestination", "Scale Up (on destination)", "Rolling Back Scale Down (on destination)"),
      ("Final", "Completed", "Completed"),
    ])
  func stages(_ stage: String, _ failover: String, _ failback: String) {
    #expect(ActionColumns.stage(stage, .failover) == failover)
    #expect(ActionColumns.stage(stage, .failback) == failback)
  }

  @Test("Actions carry the local time in their names, which are cut to what a name may be")
  func actionNames() {
    #expect(
      ApplicationMove.name(.failover, "shop-dr", at: 1_709_634_030) == "failover-shop-dr-2024-03-05-022030")
    let long = ApplicationMove.name(.failback, String(repeating: "a", count: 253), at: 1_709_634_030)
    #expect(long.count == 253)
    #expect(long.hasSuffix("-2024-03-05-022030"))
  }

  @Test("lines that follow a table keep its columns")
  func followingLines() {
    var first = TextTable(["NAME", "STATUS", "AGE"])
    first.rows = [["a-long-name", "Ready", "1s"]]
    var next = TextTable(first.header)
    next.rows = [["b", "NotReady", "2s"]]
    next.widths = first.layout
    #expect(next.rowText == "b             NotReady   2s")
  }
}

@Suite("Words of schedule policies")
struct PolicyRuleTests {
  @Test("kitchen times are accepted", arguments: ["1:02PM", "1:02pm", "01:15am", "12:00am", "12:04PM", "0:15AM"])
  func goodTimes(_ text: String) { #expect(PolicyRules.kitchenTime(text) == nil) }

  @Test(
    "other times are refused in the words of Go",
    arguments: [
      ("13:15pm", "parsing time \"13:15pm\": hour out of range"),
      ("12:75PM", "parsing time \"12:75PM\": minute out of range"),
      ("1215", "parsing time \"1215\" as \"3:04pm\": cannot parse \"15\" as \":\""),
      ("1:2PM", "parsing time \"1:2PM\" as \"3:04pm\": cannot parse \"2PM\" as \"04\""),
      ("1:02 PM", "parsing time \"1:02 PM\" as \"3:04pm\": cannot parse \" PM\" as \"pm\""),
      ("1:02Pm", "parsing time \"1:02Pm\" as \"3:04pm\": cannot parse \"Pm\" as \"pm\""),
      ("", "parsing time \"\" as \"3:04pm\": cannot parse \"\" as \"3\""),
    ])
  func badTimes(_ text: String, _ complaint: String) { #expect(PolicyRules.kitchenTime(text) == complaint) }

  @Test(
    "weekdays are words of a list",
    arguments: [("Thurs", true), ("sun", true), ("SUNDAY", false), ("Tues", false)])
  func days(_ text: String, _ good: Bool) { #expect((PolicyRules.day(text) == nil) == good) }
}

@Suite("Command lines as the Stork tools take them")
struct CommandLineTests {
  @Test("switches of create may have a value or none")
  func switches() {
    #expect(
      BooleanOptions.completed(["create", "migrations", "m", "-a", "--includeVolumes=false", "--suspend", "true"])
        == ["create", "migrations", "m", "--start-applications=true", "--includeVolumes=false", "--suspend", "true"])
    #expect(BooleanOptions.completed(["activate", "migrations", "-a"]) == ["activate", "migrations", "-a"])
  }

  @Test(
    "the verbs of the Stork tools are understood",
    arguments: [
      "get cp -n shop", "get migrations -c site-b --all-namespaces", "get sp nightly -o yaml", "get cds",
      "get failover",
      "create migrations m -c site-b --namespaces shop -a --wait",
      "create migrationschedules s -c site-b --namespaces shop -i 5 --exclude-resources --purge-deleted-resources",
      "create schedulepolicy nightly -t Daily --time 10:14PM --force-full-snapshot-day Monday",
      "create clusterpair p -n shop --ip 10.0.0.9 --port 9001 --token t --mode DisasterRecovery",
      "delete migrations -c site-b", "suspend migrationschedules s", "resume migrationschedule -c site-b",
      "activate clusterdomain dc-west --wait", "activate clusterdomain --all", "deactivate clusterdomain dc-west",
      "activate migrations -a", "deactivate migrations shop", "generate clusterpair p -s k=v",
      "perform failover -m shop-dr --skip-source-operations", "perform failback -m shop-dr --include-namespaces a,b",
      "version", "kubeconfig --output /tmp/k", "completion bash", "wait migration/m --for=status.stage=Final",
    ])
  func verbs(_ line: String) throws {
    let words = BooleanOptions.completed(GlobalOptions.moved(line.split(separator: " ").map(String.init)))
    _ = try ReplCtl.parseAsRoot(words)
  }

  @Test("what the API refuses is said as its other clients say it")
  func serverErrors() {
    let missing = Failure(
      StatusError(
        404, "NotFound", "clusterpairs.stork.libopenstorage.org \"nope\" not found", name: "nope",
        kind: "clusterpairs"))
    #expect(
      missing.text == "Error from server (NotFound): clusterpairs.stork.libopenstorage.org \"nope\" not found")
    #expect(missing.code == .notFound)
    let forged = Failure(
      StatusError(
        404, "NotFound", "volume shop/a\nerror: all is lost: none there",
        causes: [
          StatusError.Cause(reason: "notFound", message: "none\nthere", field: "volume shop/a\nerror: all is lost"),
          StatusError.Cause(reason: "Remedy", message: "look\nerror: elsewhere", field: ""),
        ]))
    for text in [forged.text, forged.remedy ?? ""] {
      #expect(text.split(separator: "\n").dropFirst().allSatisfy { $0.hasPrefix("  ") }, "no line of its own: \(text)")
    }
    #expect(Failure.usage("exactly one name").text == "error: exactly one name")
  }
}
