import GRDB

/// The tables of the agent's database, described in docs/on-disk-format.md.
enum Schema {
  static func create(_ database: Database) throws { try upgrade(database, from: 0, cluster: "") }

  /// Brings a database of version `found` (0: an empty one) to a later version, within the caller's transaction.
  ///
  /// - Parameters:
  ///   - last: the version to end with.
  ///   - cluster: the one whose own volumes are in it.
  static func upgrade(
    _ database: Database, from found: Int, to last: Int = AgentDatabase.schemaVersion, cluster: String
  ) throws {
    let steps = [
      version1, promotion + notices, scrubs + pools, generationsForTimes + trustStates + identities + damage,
      replicas,
    ]
    for (version, step) in zip(1..., steps) where found < version && version <= last {
      try database.execute(sql: step)
      if version == 5 { try joinReplicas(database, cluster: cluster) }
    }
    try database.execute(sql: "PRAGMA user_version = \(last)")
  }

  /// Notices about volumes, doubted and orphaned points, who was invited by a token of ours. Version 1 did not keep that:
  /// all its peers may have been, and `pair revoke` is there for one that was not.
  private static let notices = """
    CREATE TABLE notice (
      peer TEXT NOT NULL, volume TEXT NOT NULL, kind INTEGER NOT NULL, since INTEGER, reason TEXT,
      PRIMARY KEY (peer, volume, kind));
    CREATE TABLE cleanScrub (
      volume TEXT NOT NULL, peer TEXT NOT NULL, takenAt INTEGER NOT NULL, PRIMARY KEY (volume, peer));
    ALTER TABLE targetVolume ADD COLUMN deletedAt INTEGER;
    ALTER TABLE targetVolume ADD COLUMN orphanedSeconds REAL NOT NULL DEFAULT 0;
    ALTER TABLE point ADD COLUMN doubt TEXT;
    ALTER TABLE peer ADD COLUMN invited INTEGER NOT NULL DEFAULT 0;
    UPDATE peer SET invited = 1;
    """

  /// Since version 4 generations say what came before what, where clocks did. What was known only by its time is taken for
  /// the least: all points since the last twin known clean by generation are doubted, and the pass under way begins with 0.
  private static let generationsForTimes = """
    ALTER TABLE notice RENAME COLUMN since TO generation;
    UPDATE notice SET generation = 0 WHERE generation IS NOT NULL;
    ALTER TABLE cleanScrub ADD COLUMN generation INTEGER NOT NULL DEFAULT 0;
    UPDATE cleanScrub SET generation = COALESCE((
      SELECT generation FROM snapshot s WHERE s.volume = cleanScrub.volume AND s.peer = cleanScrub.peer
        AND s.takenAt = cleanScrub.takenAt), 0);
    ALTER TABLE cleanScrub DROP COLUMN takenAt;
    ALTER TABLE scrubPass ADD COLUMN firstGeneration INTEGER NOT NULL DEFAULT 0;
    UPDATE scrubPass SET firstGeneration = COALESCE((
      SELECT generation FROM snapshot WHERE point = firstPoint), 0);
    ALTER TABLE scrubPass DROP COLUMN firstTakenAt;
    """

  /// Since version 3.
  private static let scrubs = """
    CREATE TABLE scrubPass (
      side TEXT NOT NULL, cluster TEXT NOT NULL, volume TEXT NOT NULL, startedAt INTEGER NOT NULL, next INTEGER,
      firstPoint TEXT NOT NULL, firstTakenAt INTEGER NOT NULL, cleanAt INTEGER, PRIMARY KEY (side, cluster, volume));
    """

  /// Since version 3.
  private static let pools = "CREATE TABLE pool (name TEXT PRIMARY KEY, id TEXT NOT NULL);"

  /// Since version 4. The end of trust is a state, and time until it is counted while the agent runs: a clock that goes back
  /// does not bring a peer or a token to life again.
  private static let trustStates = """
    ALTER TABLE peer ADD COLUMN trustSeconds REAL;
    ALTER TABLE peer ADD COLUMN lastAddress TEXT NOT NULL DEFAULT '';
    UPDATE peer SET trustSeconds = MAX(0, expiresAt / 1000000000 - CAST(strftime('%s', 'now') AS INTEGER))
      WHERE expiresAt IS NOT NULL;
    ALTER TABLE peer DROP COLUMN expiresAt;
    ALTER TABLE pairingToken ADD COLUMN secondsLeft REAL NOT NULL DEFAULT 86400;
    ALTER TABLE pairingToken ADD COLUMN boundCluster TEXT;
    """

  /// Since version 4: what volumes are recognised by, and rows that could not be read. A generation beyond 2^52 was a peer's
  /// nonsense, and kept the volume from every other peer.
  private static let identities = """
    ALTER TABLE volume ADD COLUMN identity BLOB;
    UPDATE volume SET nextGeneration = 1 + COALESCE((SELECT MAX(generation) FROM snapshot
      WHERE snapshot.volume = volume.id AND generation < 4503599627370496), 0) WHERE nextGeneration > 4503599627370496;
    CREATE TABLE unreadable (tbl TEXT NOT NULL, content TEXT NOT NULL, cause TEXT NOT NULL, foundAt INTEGER NOT NULL);
    """

  /// Since version 4: what is held against each image by itself. What version 3 found suspect is read whole once more.
  private static let damage = """
    ALTER TABLE point ADD COLUMN doubtful BLOB;
    ALTER TABLE point ADD COLUMN suspicion TEXT;
    ALTER TABLE point ADD COLUMN repairs INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE point ADD COLUMN findings INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE point ADD COLUMN readAt INTEGER;
    ALTER TABLE prepared ADD COLUMN doubtful BLOB;
    ALTER TABLE prepared ADD COLUMN findings INTEGER NOT NULL DEFAULT 0;
    UPDATE point SET suspicion = 'it was found suspect by an earlier version' WHERE state = 'suspect' AND doubt IS NULL;
    CREATE INDEX pointDoubtful ON point (cluster, volume) WHERE doubtful IS NOT NULL;
    CREATE INDEX pointDamaged ON point (cluster, volume) WHERE damaged IS NOT NULL;
    CREATE INDEX targetVolumeName ON targetVolume (namespace, name);
    CREATE TABLE finding (
      id TEXT PRIMARY KEY, cluster TEXT NOT NULL, volume TEXT NOT NULL, pool TEXT NOT NULL);
    CREATE TABLE distrust (
      volume TEXT NOT NULL, peer TEXT NOT NULL, reason TEXT NOT NULL, findings INTEGER NOT NULL,
      PRIMARY KEY (volume, peer));
    INSERT INTO distrust (volume, peer, reason, findings)
      SELECT DISTINCT volume.id, snapshot.peer, volume.distrustReason, 1
      FROM volume JOIN snapshot ON snapshot.volume = volume.id WHERE volume.distrustReason IS NOT NULL;
    """

  /// Since version 5: one table of replicas with their authority, whoever writes them; what is written here beside it; and a
  /// journal of intents.
  /// A promoted volume is on the branch that its promotion began.
  private static func joinReplicas(_ database: Database, cluster: String) throws {
    try database.execute(
      sql: """
        INSERT INTO replica (cluster, volume, namespace, name, lineage, branchEpoch, branchID, role, pool)
          SELECT :cluster, id, namespace, name, lineage, branchEpoch, branchID, 'source', COALESCE(pool, '')
          FROM volume
        """, arguments: ["cluster": cluster])
    try database.execute(
      sql: """
        INSERT INTO liveVolume (cluster, volume, path, isDevice, size, allowFuzzy, nextGeneration, distrustReason,
            fullReason, identity)
          SELECT :cluster, id, path, isDevice, size, allowFuzzy, nextGeneration, distrustReason, fullReason, identity
          FROM volume
        """, arguments: ["cluster": cluster])
    try database.execute(
      sql: """
        DROP TABLE volume; DROP TABLE targetVolume; DROP TABLE extraSegment;
        ALTER TABLE runMember DROP COLUMN attempts;
        ALTER TABLE runMember ADD COLUMN report BLOB;
        """)
  }

  private static let replicas = """
    CREATE TABLE replica (
      cluster TEXT NOT NULL, volume TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, lineage TEXT NOT NULL,
      branchEpoch INTEGER NOT NULL, branchID TEXT NOT NULL, ancestors TEXT, role TEXT NOT NULL, pool TEXT NOT NULL,
      deletedAt INTEGER, orphanedSeconds REAL NOT NULL DEFAULT 0, PRIMARY KEY (cluster, volume));
    CREATE INDEX replicaName ON replica (namespace, name);
    CREATE UNIQUE INDEX replicaSource ON replica (namespace, name) WHERE role = 'source';
    CREATE TABLE liveVolume (
      cluster TEXT NOT NULL, volume TEXT NOT NULL, path TEXT NOT NULL, isDevice INTEGER NOT NULL, size INTEGER NOT NULL,
      allowFuzzy INTEGER NOT NULL, nextGeneration INTEGER NOT NULL, distrustReason TEXT, fullReason TEXT, identity BLOB,
      PRIMARY KEY (cluster, volume));
    CREATE TABLE intent (
      cluster TEXT NOT NULL, volume TEXT NOT NULL, verb TEXT NOT NULL, step TEXT NOT NULL, startedAt INTEGER NOT NULL,
      PRIMARY KEY (cluster, volume));
    INSERT INTO replica (cluster, volume, namespace, name, lineage, branchEpoch, branchID, ancestors, role, pool,
        deletedAt, orphanedSeconds)
      SELECT held.cluster, held.volume, namespace, name, lineage,
        COALESCE(promotion.branchEpoch, held.branchEpoch), COALESCE(promotion.branchID, held.branchID),
        CASE WHEN promotion.point IS NULL THEN NULL ELSE json_array(json_object(
          'epoch', held.branchEpoch, 'branch', held.branchID, 'point', promotion.point)) END,
        role, pool, deletedAt, orphanedSeconds
      FROM targetVolume held LEFT JOIN promotion USING (cluster, volume) ORDER BY held.rowid;
    """

  static let version1 = source + target + trust

  private static let source = """
    CREATE TABLE volume (
      id TEXT PRIMARY KEY, namespace TEXT NOT NULL, name TEXT NOT NULL, path TEXT NOT NULL, pool TEXT,
      isDevice INTEGER NOT NULL, size INTEGER NOT NULL, allowFuzzy INTEGER NOT NULL, lineage TEXT NOT NULL,
      branchEpoch INTEGER NOT NULL, branchID TEXT NOT NULL, role TEXT NOT NULL, nextGeneration INTEGER NOT NULL,
      distrustReason TEXT, fullReason TEXT, UNIQUE (namespace, name));
    CREATE TABLE lineageKey (lineage TEXT PRIMARY KEY, key BLOB NOT NULL);
    CREATE TABLE snapshot (
      point TEXT PRIMARY KEY, volume TEXT NOT NULL, peer TEXT NOT NULL, generation INTEGER NOT NULL,
      size INTEGER NOT NULL, takenAt INTEGER NOT NULL, consistency INTEGER NOT NULL, stallNanoseconds INTEGER NOT NULL,
      directory TEXT NOT NULL, hasImage INTEGER NOT NULL, state TEXT NOT NULL, seal BLOB, scrubbedAt INTEGER,
      UNIQUE (volume, generation));
    CREATE TABLE run (
      uid TEXT PRIMARY KEY, request BLOB NOT NULL, peer TEXT NOT NULL, grp TEXT NOT NULL, state TEXT NOT NULL,
      report BLOB NOT NULL, createdAt INTEGER NOT NULL);
    CREATE TABLE runMember (
      uid TEXT NOT NULL REFERENCES run (uid) ON DELETE CASCADE, volume TEXT NOT NULL, session TEXT NOT NULL,
      point TEXT, kind INTEGER NOT NULL, attempts INTEGER NOT NULL, PRIMARY KEY (uid, volume));
    CREATE TABLE pairCount (pair TEXT NOT NULL, volume TEXT NOT NULL, count INTEGER NOT NULL, PRIMARY KEY (pair, volume));
    CREATE TABLE extraSegment (volume TEXT NOT NULL, segment INTEGER NOT NULL, PRIMARY KEY (volume, segment));
    """

  private static let target = """
    CREATE TABLE targetVolume (
      cluster TEXT NOT NULL, volume TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, lineage TEXT NOT NULL,
      branchEpoch INTEGER NOT NULL, branchID TEXT NOT NULL, role TEXT NOT NULL, pool TEXT NOT NULL,
      PRIMARY KEY (cluster, volume));
    CREATE TABLE point (
      cluster TEXT NOT NULL, volume TEXT NOT NULL, point TEXT NOT NULL, generation INTEGER NOT NULL, pool TEXT NOT NULL,
      seal BLOB NOT NULL, sealedAt INTEGER NOT NULL, provenAt INTEGER, state TEXT NOT NULL, confirmed INTEGER NOT NULL,
      damaged BLOB, PRIMARY KEY (cluster, volume, point));
    CREATE TABLE prepared (
      grp TEXT NOT NULL, cluster TEXT NOT NULL, volume TEXT NOT NULL, point TEXT NOT NULL, pool TEXT NOT NULL,
      seal BLOB NOT NULL, PRIMARY KEY (cluster, volume));
    CREATE TABLE committedGroup (grp TEXT PRIMARY KEY, cluster TEXT NOT NULL, sealedAt INTEGER NOT NULL, points BLOB NOT NULL);
    """

  /// Since version 2.
  private static let promotion = """
    CREATE TABLE promotion (
      cluster TEXT NOT NULL, volume TEXT NOT NULL, point TEXT NOT NULL, path TEXT NOT NULL, site TEXT NOT NULL,
      promotedAt INTEGER NOT NULL, branchEpoch INTEGER NOT NULL, branchID TEXT NOT NULL, isLive INTEGER NOT NULL,
      PRIMARY KEY (cluster, volume));
    """

  private static let trust = """
    CREATE TABLE peer (
      cluster TEXT PRIMARY KEY, node TEXT NOT NULL, authority BLOB NOT NULL, host TEXT NOT NULL, port INTEGER NOT NULL,
      expiresAt INTEGER);
    CREATE TABLE pair (
      uid TEXT PRIMARY KEY, namespace TEXT NOT NULL, name TEXT NOT NULL, peer TEXT NOT NULL REFERENCES peer (cluster),
      host TEXT NOT NULL, port INTEGER NOT NULL, mode TEXT NOT NULL, tokenHash BLOB NOT NULL, UNIQUE (namespace, name));
    CREATE TABLE pairingToken (
      secret BLOB PRIMARY KEY, createdAt INTEGER NOT NULL, clientKey BLOB, failures BLOB NOT NULL);
    """
}
