public import MetricsExposition

/// The metrics of the engine, described in docs/metrics.md. `total` metrics are recorded when something happens; the
/// others are read when somebody asks.
public enum EngineDefinitions {
  /// What ``EngineMetrics`` records: a registry must know these.
  public static let recorded: [MetricDefinition] = [
    sessions, sessionSeconds, runFailures, fullCopies, pointsSealed, bytesChanged, bytesOnWire, bytesReceived,
    spaceSteps,
    scrubbedBytes, scrubMismatches, mismatchedSegments, scrubErrors, repairs, pointsRemoved, connectionsRefused,
    requestsRefused,
    storageErrors, bandwidthWait,
  ]

  // MARK: Recorded

  static let sessions = MetricDefinition(
    "repl_agent_sessions_total", .counter, "Sessions of volumes that ended at the source, by outcome")
  static let sessionSeconds = MetricDefinition(
    "repl_agent_session_seconds", .summary, "How long sessions that ended at the source took, by outcome")
  static let runFailures = MetricDefinition(
    "repl_agent_run_failures_total", .counter, "Migrations' runs that failed at the source, by the kind of the error")
  static let fullCopies = MetricDefinition(
    "repl_agent_full_copies_total", .counter, "Sessions that copied a whole volume, by the reason")
  static let pointsSealed = MetricDefinition(
    "repl_agent_points_sealed_total", .counter, "Points that the source had sealed, by change source and proof")
  static let bytesChanged = MetricDefinition(
    "repl_agent_changed_bytes_total", .counter, "Bytes shipped to a peer before compression")
  static let bytesOnWire = MetricDefinition(
    "repl_agent_wire_bytes_total", .counter, "Bytes sent on finished data streams to a peer")
  static let bytesReceived = MetricDefinition(
    "repl_agent_received_bytes_total", .counter, "Bytes staged from a peer after decompression, without zeros")
  static let spaceSteps = MetricDefinition(
    "repl_agent_space_steps_total", .counter, "Steps taken to give room back to production, by pool")
  static let scrubbedBytes = MetricDefinition(
    "repl_agent_scrubbed_bytes_total", .counter, "Bytes read and compared by scrubs and verifications")
  static let scrubMismatches = MetricDefinition(
    "repl_agent_scrub_mismatches_total", .counter,
    "Snapshots at the source (a missed change) and points at the target (damage) found to differ from their seals")
  static let mismatchedSegments = MetricDefinition(
    "repl_agent_scrub_mismatched_segments_total", .counter, "Segments of 1 MiB found to differ from their seals")
  static let scrubErrors = MetricDefinition(
    "repl_agent_scrub_errors_total", .counter, "Scrubs that could not be finished, by the kind of the error")
  static let repairs = MetricDefinition(
    "repl_agent_repairs_total", .counter, "Repairs of damaged points that ended, by side and outcome")
  static let pointsRemoved = MetricDefinition(
    "repl_agent_points_removed_total", .counter, "Recovery points deleted, by the reason")
  static let connectionsRefused = MetricDefinition(
    "repl_agent_connections_refused_total", .counter, "Connections refused on the ports for peers, by the reason")
  static let requestsRefused = MetricDefinition(
    "repl_agent_peer_requests_refused_total", .counter, "Requests of peers that were refused, by the reason")
  static let storageErrors = MetricDefinition(
    "repl_agent_storage_errors_total", .counter,
    "Errors of storage while points were received: writing, flushing, recording progress")
  static let bandwidthWait = MetricDefinition(
    "repl_agent_bandwidth_wait_seconds_total", .counter, "Seconds that streams were held back by limits.bandwidth")

  // MARK: Read: the agent

  static let buildInfo = MetricDefinition(
    "repl_agent_build_info", .gauge, "Always 1; the version of the program and whose agent it is")
  static let runs = MetricDefinition("repl_agent_runs", .gauge, "Migrations' runs under way or waiting")
  static let targetSessions = MetricDefinition(
    "repl_agent_target_sessions", .gauge, "Sessions of peers that are open here")
  static let bandwidthLimit = MetricDefinition(
    "repl_agent_bandwidth_limit_bytes_per_second", .gauge,
    "limits.bandwidth, or that of the window of the day; absent without a limit")
  static let poolFault = MetricDefinition(
    "repl_agent_pool_fault", .gauge, "Whether a pool's file system fails or does not answer: 1; else 0")
  static let poolSize = MetricDefinition("repl_agent_pool_size_bytes", .gauge, "Size of a pool's file system")
  static let poolFree = MetricDefinition(
    "repl_agent_pool_free_bytes", .gauge, "Bytes free on a pool's file system for the agent")
  static let poolLevel = MetricDefinition(
    "repl_agent_pool_space_level", .gauge, "Room in a pool: 0 enough, 1 below the low mark, 2 at the floor")
  static let peerConnected = MetricDefinition(
    "repl_agent_peer_connected", .gauge, "Whether a paired peer answered its last heartbeat")
  static let peerClockOffset = MetricDefinition(
    "repl_agent_peer_clock_offset_seconds", .gauge, "The clock of a peer minus ours")

  // MARK: Read: volumes

  static let volumeInfo = MetricDefinition(
    "repl_agent_volume_info", .gauge,
    "Always 1; the role and pool of a volume, and of which cluster it is if held for a peer")
  static let volumeSize = MetricDefinition(
    "repl_agent_volume_size_bytes", .gauge, "Size of a volume of this agent at the last look")
  static let lag = MetricDefinition(
    "repl_agent_volume_lag_seconds", .gauge,
    "At the source: seconds since the newest point that a peer has sealed was taken")
  static let distrusted = MetricDefinition(
    "repl_agent_volume_distrusted", .gauge,
    "Whether a volume's change source missed a change and no scrub was clean since")
  static let snapshots = MetricDefinition(
    "repl_agent_snapshots", .gauge, "Snapshots kept at the source, by peer and state")
  static let pointAge = MetricDefinition(
    "repl_agent_point_age_seconds", .gauge,
    "At the target: seconds since the newest sealed point was taken, corrected by the offset of its clock")
  static let points = MetricDefinition("repl_agent_points", .gauge, "Recovery points held at the target, by state")
  static let scrubAge = MetricDefinition(
    "repl_agent_scrub_age_seconds", .gauge,
    "Seconds since a snapshot (source) or point (target) of a volume was last read whole and found clean; absent if none was"
  )

  // MARK: Read: sessions

  static let lastSeconds = MetricDefinition(
    "repl_agent_last_session_seconds", .gauge, "How long the last session of a volume took")
  static let lastStall = MetricDefinition(
    "repl_agent_last_session_stall_seconds", .gauge, "How long the last snapshot of a volume held up its I/O")
  static let lastChanged = MetricDefinition(
    "repl_agent_last_session_changed_bytes", .gauge, "Bytes that differed and were shipped in the last session")
  static let lastWire = MetricDefinition(
    "repl_agent_last_session_wire_bytes", .gauge, "Bytes on data streams in the last session")
  static let lastSuccess = MetricDefinition(
    "repl_agent_last_session_success", .gauge, "Whether the last session of a volume succeeded")
  static let lastInfo = MetricDefinition(
    "repl_agent_last_session_info", .gauge, "Always 1; change source and proof of a volume's last session")
  static let planned = MetricDefinition(
    "repl_agent_session_planned_bytes", .gauge, "Bytes that the plan of a session under way covers")
  static let done = MetricDefinition(
    "repl_agent_session_done_bytes", .gauge, "Bytes of the plan of a session under way that are worked off")
  static let eta = MetricDefinition(
    "repl_agent_session_eta_seconds", .gauge, "Seconds to go of a session under way, at the rate so far")
}
