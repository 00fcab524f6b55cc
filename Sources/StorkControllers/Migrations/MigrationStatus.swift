import APIModel
import KubeModel
import AgentService

/// The status of a Migration as the reference lays it out, from what the engine reports. Pure.
enum MigrationStatus {
  /// One entry of `status.volumes` before the engine has said anything.
  static func started(claim: String, namespace: String, volume: String, id: String) -> JSONValue {
    var run = VolumeRunReport(volume: id, namespace: namespace, name: claim)
    run.state = .running
    var entry = entry(run, volume: volume)
    entry["reason"] = "Volume migration has started. Backup in progress."
    return entry
  }

  /// An entry for a volume that cannot be taken along.
  static func refused(claim: String, namespace: String, volume: String, reason: String) -> JSONValue {
    var run = VolumeRunReport(volume: "", namespace: namespace, name: claim)
    run.state = .failed
    var entry = entry(run, volume: volume)
    entry["reason"] = .string(reason)
    return entry
  }

  /// One entry of `status.volumes`: the reference's fields, then ours.
  static func entry(_ run: VolumeRunReport, volume: String) -> JSONValue {
    var entry: JSONValue = [
      "persistentVolumeClaim": .string(run.name), "namespace": .string(run.namespace), "volume": .string(volume),
      "status": .string(MigrationWord(run.state).rawValue), "reason": .string(reason(run)),
      "bytesTotal": .count(run.bytesTotal),
      "volumeID": .string(run.volume), "stage": .string(run.stage.rawValue), "changeSource": .string(run.changeSource),
      "fullReason": .string(run.fullReason), "bytesDone": .count(run.bytesDone),
      "bytesChanged": .count(run.bytesChanged), "bytesOnWire": .count(run.bytesOnWire),
      "seconds": .number(rounded(run.seconds)), "stallMilliseconds": .number(rounded(run.stallMilliseconds)),
      "proof": .string(run.proof), "point": .string(run.point),
    ]
    entry["waitingFor"] = .string(run.state.isFinal ? "" : run.reason)
    entry["bytesPerSecond"] = run.bytesPerSecond.map { .number($0.rounded()) } ?? .null
    entry["takenAfterMilliseconds"] = run.takenAfterMilliseconds.map { .number(rounded($0)) } ?? .null
    entry["etaSeconds"] = run.etaSeconds.map { .number(rounded($0)) } ?? .null
    return entry
  }

  private static func rounded(_ value: Double) -> Double {
    value.isFinite ? (value * 1_000).rounded() / 1_000 : 0
  }

  private static func reason(_ run: VolumeRunReport) -> String {
    switch run.state {
    case .succeeded: return "Migration successful for volume"
    case .failed, .cancelled: return "Migration \(run.stage.rawValue) failed for volume: \(run.reason)"
    case .pending, .running:
      let eta = run.etaSeconds.map { $0.isFinite && $0 < 1e12 ? " ETA: \(Int64($0.rounded())) seconds" : "" } ?? ""
      let waiting = run.reason.isEmpty ? "" : " \(run.reason)"
      return "Volume migration has started. \(run.stage.rawValue) in progress. BytesDone: \(run.bytesDone) "
        + "BytesTotal: \(run.bytesTotal)\(eta)\(waiting)"
    }
  }

  /// `status.volumes` renewed by a report; entries the report does not name stay.
  static func merged(_ entries: [JSONValue], _ report: MigrationReport) -> [JSONValue] {
    let runs = Dictionary(report.volumes.map { ($0.volume, $0) }, uniquingKeysWith: { $1 })
    return entries.map { entry in
      guard let id = entry["volumeID"]?.string, !id.isEmpty, var run = runs[id] else { return entry }
      // The claim named at the start stays the name, whatever the engine calls the volume.
      run.name = entry["persistentVolumeClaim"]?.string ?? run.name
      run.namespace = entry["namespace"]?.string ?? run.namespace
      return self.entry(run, volume: entry["volume"]?.string ?? "")
    }
  }

  /// An entry of a volume that nothing more happens to; one that ended stays as it is.
  static func abandoned(_ entry: JSONValue, because reason: String) -> JSONValue {
    guard entry.volumeWord?.hasEnded != true else { return entry }
    var entry = entry
    entry.set(.failed)
    entry["reason"] = .string(reason)
    return entry
  }

  /// What an entry says of its run: enough for the objects of the volume, when the engine has forgotten the run.
  static func run(_ entry: JSONValue) -> VolumeRunReport? {
    guard let id = entry["volumeID"]?.string, !id.isEmpty else { return nil }
    var run = VolumeRunReport(
      volume: id, namespace: entry["namespace"]?.string ?? "", name: entry["persistentVolumeClaim"]?.string ?? "")
    run.state = entry.volumeWord == .successful ? .succeeded : .failed
    run.stage = RunStage(rawValue: entry["stage"]?.string ?? "") ?? .snapshot
    run.proof = entry["proof"]?.string ?? ""
    run.point = entry["point"]?.string ?? ""
    return run
  }

  /// One entry of `status.resources`.
  static func entry(_ result: ResourceResult) -> JSONValue {
    [
      "name": .string(result.name), "namespace": .string(result.namespace), "group": .string(result.group),
      "version": .string(result.version), "kind": .string(result.kind), "status": .string(result.status.rawValue),
      "reason": .string(result.reason), "transformedBy": "",
    ]
  }

  /// Entries of `status.resources`: a status is one object, which must stay of a size that clients can read.
  static let entryLimit = 1_000

  /// The entries of results; of too many, failures go first.
  static func entries(_ results: [ResourceResult]) -> [JSONValue] {
    guard results.count > entryLimit else { return results.map(entry) }
    return (results.filter(isFailure) + results.filter { !isFailure($0) }).prefix(entryLimit).map(entry)
  }

  private static func isFailure(_ result: ResourceResult) -> Bool {
    result.status == .failed
  }

  /// The status word once objects were applied: a PersistentVolume that was not means that data cannot be used.
  static func finalStatus(_ outcome: ResourceOutcome) -> MigrationWord {
    let failed = outcome.results.filter(isFailure)
    if failed.isEmpty { return outcome.purgeFailure == nil ? .successful : .partialSuccess }
    return failed.contains { $0.kind == "PersistentVolume" } ? .failed : .partialSuccess
  }

  /// The summary of a status at a time in seconds since 1970; `results` are all of which the status may show some.
  static func summary(
    _ object: KubeObject, status: JSONValue, resources results: [ResourceResult]? = nil, now: Int64
  ) -> JSONValue {
    let volumes = status["volumes"]?.array ?? []
    let done = volumes.filter { $0.volumeWord == .successful }
    let bytes = done.reduce(Int64(0)) { $0.addingReportingOverflow($1["bytesTotal"]?.integer ?? 0).partialValue }
    let resources =
      results?.map(\.status)
      ?? (status["resources"]?.array ?? []).map {
        ResourceResult.State(rawValue: $0["status"]?.string ?? "") ?? .failed
      }
    let applied = resources.filter { $0 == .successful }
    let times = elapsed(object, status: status, now: now)
    var summary: JSONValue = [
      "totalNumberOfVolumes": .integer(Int64(volumes.count)), "numOfMigratedVolumes": .integer(Int64(done.count)),
      "totalNumberOfResources": .integer(Int64(resources.count)),
      "numOfMigratedResources": .integer(Int64(applied.count)), "totalBytesMigrated": .integer(bytes),
      "elapsedTimeForVolumeMigration": .string(times.volumes),
      "elapsedTimeForResourceMigration": .string(times.resources),
    ]
    // How far apart in time the volumes are of which the group is made.
    let after = volumes.compactMap { $0["takenAfterMilliseconds"]?.double }
    if after.count > 1 { summary["snapshotSpreadMilliseconds"] = .number(after.max() ?? 0) }
    return summary
  }

  /// The two durations of a summary.
  private static func elapsed(_ object: KubeObject, status: JSONValue, now: Int64) -> (
    volumes: String, resources: String
  ) {
    func time(_ key: String) -> Int64? { status[key]?.string.flatMap(Timestamp.seconds) }
    let created = object.created ?? now
    let volumesEnd = time("volumeMigrationFinishTimestamp")
    let withVolumes = object.json[at: "spec.includeVolumes"]?.bool ?? true
    let volumes = withVolumes ? DurationText.go(max(0, (volumesEnd ?? now) - created)) : ""
    guard let volumesEnd else { return (volumes, "NA") }
    guard object.stage == .final else { return (volumes, DurationText.go(max(0, now - volumesEnd))) }
    let resourcesEnd = time("resourceMigrationFinishTimestamp")
    return (volumes, resourcesEnd.map { DurationText.go(max(0, $0 - volumesEnd)) } ?? "NA")
  }
}
