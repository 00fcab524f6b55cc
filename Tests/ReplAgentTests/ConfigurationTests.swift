import Foundation
import ReplModel
import ReplicationEngine
import Testing

@testable import ReplAgent

@Suite("Configuration file")
struct ConfigurationTests {
  private static let smallest = """
    clusterID: site-a
    stateDirectory: /var/lib/repl-agent
    pools:
      - name: fast
        path: /srv/fast/
    """

  private func problems(_ text: String) -> String {
    do throws(ReplError) {
      _ = try AgentConfiguration.parse(text, file: "agent.yaml")
      return ""
    } catch {
      return "\(error)"
    }
  }

  @Test func defaultsFillWhatIsLeftOut() throws {
    let configuration = try AgentConfiguration.parse(Self.smallest, file: "agent.yaml")
    #expect(configuration.engine.controlPort == 9001)
    #expect(configuration.engine.dataPort == 9010)
    #expect(configuration.engine.pools.first?.path == "/srv/fast")
    #expect(configuration.engine.allowedPaths == ["/srv/fast"])
    #expect(configuration.socket == "/run/repl-agent/agent.sock")
  }

  @Test func sizesAndTimesTakeUnits() throws {
    let text =
      Self.smallest + """

        limits: {bandwidth: 64MiB, streams: 4}
        scrub: {period: 2d, rate: 1048576}
        retention: {count: 5, age: 12h}
        """
    let engine = try AgentConfiguration.parse(text, file: "agent.yaml").engine
    #expect(engine.bandwidth == BandwidthSchedule(bytesPerSecond: 64 << 20))
    #expect(engine.streams == 4)
    #expect(engine.scrubPeriod == 2 * 86400)
    #expect(engine.scrubRate == 1 << 20)
    #expect(engine.retention.keepLast == 5)
    #expect(engine.retention.newerThan == 43200)
  }

  @Test(arguments: [
    ("500GiB", StorageLimit.bytes(500 << 30)), ("80%", .percent(80)), ("100%", .percent(100)), ("1", .bytes(1)),
  ])
  func whatAPeerMayTakeIsBytesOrAPart(text: String, limit: StorageLimit) throws {
    let file = Self.smallest + "\nlimits: {peerStorage: \(text)}\n"
    #expect(try AgentConfiguration.parse(file, file: "agent.yaml").engine.peerStorage == limit)
  }

  @Test(arguments: ["0", "0%", "101%", "-5%", "half", "''", "1.5GiB", "[80%]"])
  func whatAPeerMayTakeIsNothingElse(text: String) {
    #expect(problems(Self.smallest + "\nlimits: {peerStorage: \(text)}\n").contains("peerStorage"))
  }

  @Test func partsOfTheDayHaveABandwidthOfTheirOwn() throws {
    let text =
      Self.smallest + """

        timeZone: UTC
        limits:
          bandwidth: 100MiB
          bandwidthWindows:
            - {from: "22:00", to: "06:00", bandwidth: 0}
            - {from: 08:00, to: 18:30, bandwidth: 20MiB}
        """
    let engine = try AgentConfiguration.parse(text, file: "agent.yaml").engine
    #expect(engine.timeZone == .gmt)
    let bandwidth = engine.bandwidth
    #expect(bandwidth.limit(at: 21 * 3600) == 100 << 20)
    #expect(bandwidth.limit(at: 23 * 3600) == nil)
    #expect(bandwidth.limit(at: 18 * 3600 + 29 * 60) == 20 << 20)
    #expect(bandwidth.limit(at: 18 * 3600 + 30 * 60) == 100 << 20)
  }

  @Test(arguments: [
    "{from: '22:00', to: '22:00', bandwidth: 1}", "{from: '24:00', to: '06:00'}", "{from: '8:00', to: '09:00'}",
    "{from: '08:60', to: '09:00'}", "{from: '-1:00', to: '09:00'}", "{to: '09:00'}", "{from: 22:00, to: [1]}", "7",
  ])
  func aWindowThatIsNoneIsAnError(text: String) {
    let found = problems(Self.smallest + "\nlimits: {bandwidthWindows: [\(text)]}\n")
    #expect(found.contains("agent.yaml"), "\(text)")
  }

  @Test func theTimeZoneOfSchedulesIsTheNodesUnlessOneIsNamed() throws {
    #expect(try AgentConfiguration.parse(Self.smallest, file: "agent.yaml").timeZone == nil)
    let named = try AgentConfiguration.parse(Self.smallest + "\ntimeZone: Europe/Berlin\n", file: "agent.yaml")
    #expect(named.timeZone == "Europe/Berlin")
  }

  @Test func unknownKeysAreErrorsWithTheirLine() {
    let found = problems(Self.smallest + "\ncolour: red\n")
    #expect(found.contains("agent.yaml"))
    #expect(found.contains("line 6: unknown key 'colour'"))
  }

  @Test(arguments: [
    ("limits: {memori: 5}", "unknown key 'limits.memori'"), ("log: {level: loud}", "'log.level': expected one of"),
    ("retention: {count: many}", "'retention.count': expected a whole number"),
    ("pairRetention: [1]", "'pairRetention': expected a time"),
    ("listen: {controlPort: 70000}", "'listen.controlPort': expected a whole number"),
    ("listen: here", "'listen': expected a mapping"), ("allowedPaths: [relative]", "expected an absolute path"),
    ("allowedPaths: [/srv/../etc]", "expected an absolute path"),
    ("timeZone: Europe/Atlantis", "'timeZone': expected the name of a time zone such as Europe/Berlin or UTC"),
    ("timeZone: [UTC]", "'timeZone': expected text"),
    ("timeZone: UTC+2", "'timeZone': expected the name of a time zone such as Europe/Berlin or UTC"),
  ])
  func wrongValuesSayWhatWasExpected(line: String, expected: String) {
    let found = problems(Self.smallest + "\n" + line + "\n")
    #expect(found.contains(expected), "\(found)")
    #expect(found.contains("line 6") || found.contains("line 7"), "\(found)")
  }

  @Test(arguments: [
    ("", LoopbackListen.automatic), ("off", .off), ("127.0.0.1:6443", .fixed(addresses: ["127.0.0.1"], port: 6443)),
    ("'[::1]:6443'", .fixed(addresses: ["::1"], port: 6443)),
    ("localhost:6443", .fixed(addresses: ["127.0.0.1", "::1"], port: 6443)),
  ])
  func theAPIListensOnTheLoopbackInterface(text: String, expected: LoopbackListen) throws {
    let file = text.isEmpty ? Self.smallest : Self.smallest + "\napi: {listen: \(text)}\n"
    #expect(try AgentConfiguration.parse(file, file: "agent.yaml").api == expected)
  }

  @Test(arguments: [
    "0.0.0.0:6443", "'[::]:6443'", "10.0.0.1:6443", "127.0.0.2:6443", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:70000",
    "':6443'", "on",
  ])
  func theAPIListensNowhereElse(text: String) {
    let found = problems(Self.smallest + "\napi:\n  listen: \(text)\n")
    #expect(found.contains("line 7: 'api.listen': expected 127.0.0.1:PORT"), "\(found)")
  }

  @Test(arguments: [
    ("", MetricsListen.off), ("off", .off), ("127.0.0.1:9020", .address(host: "127.0.0.1", port: 9020)),
    ("'[fd00::1]:9020'", .address(host: "fd00::1", port: 9020)), ("0.0.0.0:1", .address(host: "0.0.0.0", port: 1)),
    ("storage-1.example.org:65535", .address(host: "storage-1.example.org", port: 65535)),
  ])
  func metricsListenWhereTheyAreTold(text: String, expected: MetricsListen) throws {
    let file = text.isEmpty ? Self.smallest : Self.smallest + "\nmetrics: {listen: \(text)}\n"
    #expect(try AgentConfiguration.parse(file, file: "agent.yaml").metrics == expected)
  }

  @Test(arguments: [
    "127.0.0.1", "':9020'", "127.0.0.1:0", "127.0.0.1:70000", "127.0.0.1:+1", "'::1:9020'", "'[::1]'", "'[::x]:9020'",
    "'a b:9020'", "9020", "on", "[1]",
  ])
  func metricsListenOnNothingElse(text: String) {
    let found = problems(Self.smallest + "\nmetrics:\n  listen: \(text)\n")
    #expect(found.contains("line 7: 'metrics.listen': expected "), "\(found)")
  }

  @Test(arguments: [
    ("off", true), ("localhost:1", true), ("127.9.9.9:1", true), ("[::1]:1", true), ("0.0.0.0:1", false),
    ("[::]:1", false), ("10.0.0.1:1", false), ("128.0.0.1:1", false), ("[fe80::1]:1", false), ("a.example:1", false),
  ])
  func loopbackAddressesAreKnown(text: String, expected: Bool) {
    #expect(MetricsListen(text)?.isLoopback == expected)
  }

  @Test func aProcessIsReadWhateverItsNameIs() throws {
    let fields = (3...52).map { String($0) }.joined(separator: " ")
    let facts = try #require(ProcessFacts(stat: "7 (a) b) ( 1 2) \(fields)\n", ticksPerSecond: 100))
    #expect(facts.cpuSeconds == 0.29 && facts.secondsAfterBoot == 0.22)
    #expect(facts.virtualBytes == 23 && facts.residentPages == 24)
    #expect(ProcessFacts(stat: "7 (a) S 1 2", ticksPerSecond: 100) == nil)
    #expect(ProcessFacts(stat: "", ticksPerSecond: 100) == nil)
  }

  @Test("the example works for nobody until the site has a name of its own")
  func exampleHasNoClusterID() throws {
    let folder = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3).joined(separator: "/")
    let text = try String(contentsOfFile: folder + "/systemd/config.example.yaml", encoding: .utf8)
    let line = try #require(
      text.split(separator: "\n", omittingEmptySubsequences: false).firstIndex { $0.hasPrefix("clusterID:") })
    let found = problems(text)
    #expect(found.contains("line \(line + 1): 'clusterID'"))
    #expect(found.contains("no other site has"))
    #expect(problems(text.replacing("CHOOSE-A-NAME", with: "north")).isEmpty)
  }

  @Test func allProblemsAreShownAtOnce() {
    let found = problems("clusterID: '../x'\npools: []\nnoise: 1\n")
    #expect(found.contains("clusterID"))
    #expect(found.contains("stateDirectory"))
    #expect(found.contains("noise"))
  }

  @Test func twoPoolsOfOneNameAreRefused() {
    let found = problems(Self.smallest + "\n  - name: fast\n    path: /srv/slow\n")
    #expect(found.contains("named twice"))
  }

  @Test(arguments: [
    ("  controlPort: 9500\n  dataPort: 9500", "line 8: 'listen.dataPort': controlPort and dataPort are both 9500"),
    ("  controlPort: 9010", "line 7: 'listen.controlPort': controlPort and dataPort are both 9010"),
    ("  dataPort: 9001", "line 7: 'listen.dataPort': controlPort and dataPort are both 9001"),
    ("  address: everywhere", "line 7: 'listen.address': expected an IPv4 or IPv6 address"),
    ("  address: 10.0.0.256", "line 7: 'listen.address': expected an IPv4 or IPv6 address"),
    ("  address: '[::1]'", "line 7: 'listen.address': expected an IPv4 or IPv6 address"),
  ])
  func whereNobodyCanListenIsRefused(lines: String, expected: String) {
    let found = problems(Self.smallest + "\nlisten:\n" + lines + "\n")
    #expect(found.contains("agent.yaml") && found.contains(expected), "\(found)")
  }

  @Test(arguments: ["'::'", "0.0.0.0", "fd00::1", "192.0.2.7"])
  func addressesOfBothFamiliesAreTaken(address: String) {
    #expect(problems(Self.smallest + "\nlisten: {address: \(address), controlPort: 9500, dataPort: 9501}\n") == "")
  }

  @Test func thePathOfTheSocketFitsIntoItsAddress() {
    func socket(_ length: Int) -> String { "/" + String(repeating: "s", count: length - 1) }
    #expect(problems(Self.smallest + "\nsocket: \(socket(107))\n") == "")
    let found = problems(Self.smallest + "\nsocket: \(socket(108))\n")
    #expect(found.contains("line 6: 'socket': expected an absolute path of at most 107 bytes"), "\(found)")
  }

  @Test(arguments: ["/srv/fast", "/srv/fast/", "/srv//fast", "/srv/./fast", "/srv/fast/inner", "/srv", "/"])
  func poolsLieOutsideEachOther(path: String) {
    let found = problems(Self.smallest + "\n  - name: slow\n    path: \(path)\n")
    #expect(found.contains("line 7: 'pools.path': lies in, is or holds the path /srv/fast of pool fast"), "\(found)")
  }

  @Test(arguments: ["/srv/faster", "/srv/slow", "/fast"])
  func poolsMayLieBesideEachOther(path: String) {
    #expect(problems(Self.smallest + "\n  - name: slow\n    path: \(path)\n") == "")
  }

  @Test func aKeyThatIsThereTwiceIsNamed() {
    let found = problems(Self.smallest + "\nsocket: /a\nsocket: /b\n")
    #expect(found.contains("key 'socket' is there twice"), "\(found)")
    #expect(!found.contains("clusterID"), "the file's text stays out of the message: \(found)")
  }

  @Test func whatIsNotYAMLIsRefused() {
    #expect(problems("clusterID: [").contains("agent.yaml"))
    #expect(problems("just text").contains("expected a mapping"))
    #expect(problems("").contains("expected a mapping"))
  }
}

/// What `check-config` finds of the machine that the file is for.
@Suite("Configuration and the machine")
struct ConfigurationCheckTests {
  private func check(pool: String, address: String = "127.0.0.1") throws -> ConfigurationCheck {
    let text = """
      clusterID: site-a
      stateDirectory: /var/lib/repl-agent
      listen: {address: '\(address)'}
      pools: [{name: fast, path: \(pool)}]
      """
    return ConfigurationCheck(configuration: try AgentConfiguration.parse(text, file: "agent.yaml"))
  }

  @Test func aPoolThatIsNotThereIsAnError() throws {
    let found = try check(pool: "/no/such/place").errors
    #expect(found.map(\.subject) == ["pool fast"] && found.first?.kind == .notFound)
    #expect(try check(pool: "/etc/passwd").errors.first?.cause.contains("no directory") == true)
  }

  @Test func anAddressOfAnotherMachineIsAnError() throws {
    #expect(try check(pool: "/tmp", address: "203.0.113.9").errors.map(\.subject) == ["listen.address"])
    for address in ["127.0.0.1", "0.0.0.0", "::", "::1"] {
      #expect(try check(pool: "/tmp", address: address).errors.isEmpty)
    }
  }

  @Test func aCountBelowTheFloorIsToldOf() throws {
    let text = """
      clusterID: site-a
      stateDirectory: /var/lib/repl-agent
      pools: [{name: fast, path: /tmp}]
      retention: {count: 2}
      """
    let check = ConfigurationCheck(configuration: try AgentConfiguration.parse(text, file: "agent.yaml"))
    #expect(check.warnings.contains { $0.contains("retention.count is 2") && $0.contains("newest 3") })
  }

  @Test func aPoolWithoutReflinksIsToldOf() throws {
    // /proc is neither XFS nor btrfs on any machine.
    let check = try check(pool: "/proc")
    #expect(check.errors.isEmpty && check.warnings.count == 1)
    #expect(check.warnings.first?.contains("neither on XFS nor on btrfs") == true)
  }
}
