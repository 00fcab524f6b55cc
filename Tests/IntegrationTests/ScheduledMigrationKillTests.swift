import TestSupport
import Testing

extension Integration {
  @Suite("An agent killed in any stage of a scheduled Migration: it ends well, and every trigger makes one Migration")
  struct ScheduledMigrationKill {
    enum Victim: String, Sendable, CaseIterable { case source, target }

    /// Where a scheduled Migration is when the process ends, in the order of its life.
    enum Moment: String, Sendable, CaseIterable {
      /// The schedule has just asked for it.
      case triggered
      /// The volumes are chosen and recorded.
      case volumes
      case shipping
      /// The target has been asked to prove and to commit what it holds; its answer is lost.
      case sealing
      /// The objects are on their way, half of them have arrived.
      case applications
      /// The target has applied them; its answer is lost.
      case applied
      /// The Migration has just ended; the schedule may not know yet.
      case final
    }

    @Test("SIGKILL in each stage, one schedule after the other", arguments: Victim.allCases)
    func killed(victim: Victim) throws {
      var options = TwoSites.Options()
      options.proxied = true
      try TwoSites.run(options) { sites, proxy in
        let volume = try sites.source.createVolume("data", size: 48 * .mebibyte)
        try sites.source.control.apply(Self.policy)
        for (number, moment) in Moment.allCases.enumerated() {
          do {
            try sites.source.control.apply(Self.settings(revision: number))
            try volume.fill(seed: UInt64(number), at: number * .mebibyte, count: 32 * .mebibyte)
            let run = ScheduledRun(sites, moment.rawValue)
            try kill(victim, moment, run, proxy)
            try ended(run, volume, revision: number)
          } catch {
            throw Failure("\(moment): \(error)")
          }
        }
        for point in try sites.target.points("data") { #expect(point.state == "sealed") }
      }
    }

    private func kill(_ victim: Victim, _ moment: Moment, _ run: ScheduledRun, _ proxy: Proxy) throws {
      switch moment {
      case .shipping: proxy.hold(after: 12 * .mebibyte)
      case .sealing: proxy.hold(after: 1 * .mebibyte)
      case .applications, .applied: proxy.hold(after: 256 * .kibibyte, to: .control)
      default: break
      }
      try run.create()
      try reach(moment, run, proxy)
      let site = victim == .source ? run.sites.source : run.sites.target
      site.agent.kill()
      proxy.cut()
      proxy.release()
      try site.agent.start()
    }

    private func reach(_ moment: Moment, _ run: ScheduledRun, _ proxy: Proxy) throws {
      switch moment {
      case .triggered: try eventually("the trigger is written") { try !run.items().isEmpty }
      case .volumes: try eventually("the volumes are chosen") { try run.stage() == "Volumes" }
      case .shipping: try eventually("half is shipped") { proxy.isHolding }
      case .sealing:
        try eventually("shipping begins") { proxy.isHolding }
        proxy.holdAnswers()
        try eventually("all is shipped") { try run.migration()["status", "volumes", "0", "stage"]?.text == "seal" }
      case .applications:
        try eventually("objects are on their way") { proxy.isHolding }
        #expect(try run.stage() == "Applications")
      case .applied:
        try eventually("objects are on their way") { proxy.isHolding }
        proxy.holdAnswers()
        try eventually("the objects are there") {
          try run.sites.target.control.object("configmap", "settings")?["metadata", "annotations", Self.migrationName]?
            .text == run.name()
        }
      case .final: try eventually("it ended") { try run.stage() == "Final" }
      }
    }

    /// What must be true after the restart, whenever the kill was.
    private func ended(_ run: ScheduledRun, _ volume: Volume, revision: Int) throws {
      var last = ""
      try eventually("the schedule sees the end of its run; last seen: \(last)", within: 90) {
        let items = try run.items()
        last = "\(items), \(try run.migration()["status", "reason"]?.text ?? "")"
        return items.count == 1 && items[0]["finishTimestamp"]?.text != nil
      }
      #expect(try run.items().map { $0["status"]?.text } == ["Successful"], "\(run.schedule)")
      #expect(try run.migrations() == [run.name()], "one trigger, one Migration")
      let end = try run.migration()
      #expect(end["status", "stage"]?.text == "Final")
      #expect(end["status", "volumes", "0", "status"]?.text == "Successful")
      let point = try run.sites.checkNewestPointIsLive(volume)
      #expect(end["status", "volumes", "0", "point"]?.text == point.id, "the point it names is the newest")
      let settings = try run.sites.target.control.object("configmap", "settings")
      #expect(settings?["data", "revision"]?.text == "\(revision)")
    }

    private static let migrationName = "stork.libopenstorage.org/migrationName"

    /// Due at once for a new schedule, and not again while the test runs.
    private static let policy = """
      apiVersion: stork.libopenstorage.org/v1alpha1
      kind: SchedulePolicy
      metadata:
        name: hourly
      policy:
        interval:
          intervalMinutes: 60
      """

    /// More than all that a cycle says on the control port, so that its bytes tell when objects are sent, and less than
    /// one part of a document, so that all of it arrives when answers are held.
    private static func settings(revision: Int) -> String {
      """
      apiVersion: v1
      kind: ConfigMap
      metadata:
        name: settings
      data:
        revision: "\(revision)"
        filler: "\(String(repeating: "0123456789abcdef", count: 26 << 10))"
      """
    }
  }
}

/// One schedule and the one Migration it has asked for.
private struct ScheduledRun {
  let sites: TwoSites
  let schedule: String

  init(_ sites: TwoSites, _ schedule: String) {
    self.sites = sites
    self.schedule = schedule
  }

  private var control: ReplCtl { sites.source.control }

  func create() throws {
    try control.apply(
      """
      apiVersion: stork.libopenstorage.org/v1alpha1
      kind: MigrationSchedule
      metadata:
        name: \(schedule)
      spec:
        schedulePolicyName: hourly
        template:
          spec:
            clusterPair: \(TwoSites.pairName)
            includeResources: true
            startApplications: false
            namespaces: [\(Site.namespace)]
      """)
  }

  func items() throws -> [JSONTree] {
    try control.object("migrationschedule", schedule)?["status", "items", "Interval"]?.list ?? []
  }

  /// Name of the Migration.
  func name() throws -> String { try items().first?["name"]?.text ?? "" }

  /// Names of all Migrations of the schedule.
  func migrations() throws -> [String] {
    try control.objects("migrations").compactMap { $0["metadata", "name"]?.text }
      .filter { $0.hasPrefix("\(schedule)-interval-") }
  }

  /// The Migration; null while there is none.
  func migration() throws -> JSONTree {
    let name = try name()
    return name.isEmpty ? .null : try control.object("migration", name) ?? .null
  }

  func stage() throws -> String { try migration()["status", "stage"]?.text ?? "" }
}
