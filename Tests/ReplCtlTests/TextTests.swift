import APIModel
import Testing

@testable import ReplCtl

@Suite struct TextTests {
  @Test func tablesAreLaidOutAsTheStorkToolsDo() {
    var table = TextTable(["NAME", "STATUS", "CREATED"])
    table.rows = [["site-b", "NotProvided", "now"], ["c", "", "a\nb"]]
    #expect(
      table.text == """
        NAME     STATUS        CREATED
        site-b   NotProvided   now
        c                      a...
        """)
  }

  @Test func aVolumeHasALineForEachClusterItGoesTo() {
    let volume: JSONValue = [
      "namespace": "shop", "name": "db", "role": "source", "lagSeconds": 1020,
      "targets": [["cluster": "site-b", "lagSeconds": 3], ["cluster": "site-c", "lagSeconds": 1020]],
    ]
    let held: JSONValue = ["namespace": "shop", "name": "mail", "role": "target", "sourceCluster": "site-a"]
    let lines = VolumeTable.text([volume, held], wide: false).split(separator: "\n").map {
      $0.split(separator: " ").map(String.init)
    }
    #expect(lines.dropFirst().map { $0[3] } == ["site-b", "site-c", "site-a"])
    #expect(lines[1].contains("3.0s") && lines[2].contains("17m0s"))
  }

  @Test func aVolumeSaysHowItsLastMigrationEnded() {
    let volume: JSONValue = [
      "namespace": "shop", "name": "db", "role": "source",
      "targets": [
        ["cluster": "b", "lagSeconds": 3, "failedRuns": 0], ["cluster": "c", "lagSeconds": 9, "failedRuns": 1],
        ["cluster": "d", "failedRuns": 3], ["cluster": "e", "failedRuns": 0],
      ],
    ]
    let lines = VolumeTable.text([volume], wide: false).split(separator: "\n").dropFirst()
    for (line, word) in zip(lines, ["ok", "failed ", "failed x3", "source   e"]) { #expect(line.contains(word)) }
  }

  @Test func whatIsOnItsWayHasALineEach() {
    let report: JSONValue = [
      "outbound": [
        [
          "migration": "shop/m1", "cluster": "b",
          "progress": [
            "namespace": "shop", "name": "db", "stage": "ship", "bytesDone": 512, "bytesTotal": 1024,
            "bytesPerSecond": .number(256.4),
            "etaSeconds": 2, "reason": "",
          ],
        ]
      ],
      "inbound": [
        [
          "cluster": "c", "namespace": "shop", "volume": "mail", "stage": "proving", "bytesReceived": 10,
          "bytesPlanned": 10, "bytesProven": 1, "bytesToProve": 4,
        ]
      ],
    ]
    let lines = SessionTable.text(report).split(separator: "\n")
    #expect(lines.count == 3)
    #expect(lines[1].contains("shop/m1") && lines[1].contains("50%") && lines[1].contains("/s"))
    #expect(lines[2].contains("from c") && lines[2].contains("proving") && lines[2].contains("25%"))
    #expect(SessionTable.text([:]).isEmpty)
  }

  @Test(arguments: [
    ("30", 30.0), ("30s", 30), ("5m", 300), ("1h30m", 5400), ("2d", 172_800), ("0.5", 0.5), ("1e99", 1e8),
  ])
  func timesAreWrittenAsPeopleDo(text: String, seconds: Double) {
    #expect(TimeSpan(argument: text)?.seconds == seconds)
  }

  @Test(arguments: ["", "m", "5x", "-1", "-5m", "1h30", "nan", "5 m"])
  func whatIsNoTimeIsNone(text: String) { #expect(TimeSpan(argument: text) == nil) }

  @Test(arguments: [
    ("4096", UInt64(4_096)), ("4Gi", 4 << 30), ("4GiB", 4 << 30), ("4 GiB", 4 << 30), ("500MB", 500_000_000),
    ("1.5G", 1_500_000_000), ("512B", 512),
  ])
  func sizesAreWrittenAsPeopleDo(text: String, bytes: UInt64) { #expect(ByteSize(argument: text)?.bytes == bytes) }

  @Test(arguments: ["", "B", "0", "0Gi", "-1", "4Q", "4m", "GiB", "1e3", "99999999Ei"])
  func whatIsNoSizeIsNone(text: String) { #expect(ByteSize(argument: text) == nil) }

  @Test(arguments: [
    ("statsu", "status"), ("veriyf", "verify"), ("recovery-point", "recovery-points"), ("dele", nil), ("xyz", nil),
  ])
  func aWordThatIsNearlyOneIsSuggested(word: String, meant: String?) {
    let verbs = ["status", "verify", "recovery-points", "describe", "get"]
    #expect(Suggestion.of(word, among: verbs) == meant)
  }

  @Test func globalOptionsMayStandAnywhere() {
    #expect(
      GlobalOptions.moved(["-n", "shop", "get", "--output=json", "pv", "--socket", "/s"])
        == ["get", "pv", "-n", "shop", "--output=json", "--socket", "/s"])
    #expect(GlobalOptions.moved(["get", "--", "-n", "x"]) == ["get", "--", "-n", "x"])
  }

  @Test(arguments: [
    ("delete", WaitGoal.absent), ("condition=Ready", .condition("Ready", "True")),
    ("jsonpath={.status.stage}=Final", .field("status.stage", "Final")),
    ("status.stage=Final", .field("status.stage", "Final")),
  ])
  func waitsAreUnderstood(_ text: String, _ expected: WaitGoal) { #expect(WaitGoal(text) == expected) }

  @Test(arguments: ["", "stage", "condition=", "jsonpath={.a}", "=x"])
  func nonsenseToWaitForIsRefused(_ text: String) { #expect(WaitGoal(text) == nil) }

  @Test func volumesAreListedOfOneNamespaceOrOfAll() throws {
    let reports: JSONValue = [
      ["namespace": "shop", "name": "db"], ["namespace": "default", "name": "db"], ["namespace": "shop2", "name": "x"],
    ]
    func listed(_ arguments: [String]) throws -> [String] {
      let arguments = GlobalOptions.moved(arguments + ["volume", "list"])
      let command = try #require(try ReplCtl.parseAsRoot(arguments) as? VolumeList)
      return VolumeList.volumes(reports, in: command.options.givenNamespace).map { Field.text($0, "namespace") }
    }
    #expect(try listed([]) == ["shop", "default", "shop2"])
    #expect(try listed(["-n", "shop"]) == ["shop"])
    #expect(try listed(["--namespace=default"]) == ["default"])
    #expect(try listed(["-n", "none"]) == [])
  }

  @Test func whatWasDoneIsADocumentForScripts() throws {
    func results(_ output: String, _ names: [String]) throws -> JSONValue? {
      var results = Results(try GlobalOptions.parse(["-n", "shop", "-o", output]))
      let kind = KindEntry(
        root: [], group: "", apiVersion: "v1", kind: "ConfigMap", plural: "configmaps", singular: "configmap",
        shortNames: [], namespaced: true)
      for name in names { results.add(kind, name, action: "deleted", line: "ConfigMap \(name) deleted") }
      return results.document
    }
    let one: JSONValue = ["kind": "ConfigMap", "namespace": "shop", "name": "a", "action": "deleted"]
    #expect(try results("json", ["a"]) == one)
    #expect(try results("yaml", ["a", "b"])?["items"]?.array?.count == 2)
    #expect(try results("json", []) == ["kind": "List", "items": []])
    #expect(try results("table", ["a"]) == nil)
  }

  @Test func keysBecomeTitles() {
    #expect(Description.title("clusterPair") == "Cluster Pair")
    #expect(Description.title("remoteStorageId") == "Remote Storage Id")
  }
}

@Suite struct YAMLTests {
  @Test func scalarsKeepTheirTypesAndQuotedOnesAreTexts() throws {
    let documents = try YAML.documents(
      "a: 1\nb: '1'\nc: true\nd: 2019-02-14T22:16:51Z\ne: ~\n---\n---\nx: [1.5]\n", name: "f")
    #expect(
      documents == [
        ["a": 1, "b": "1", "c": true, "d": "2019-02-14T22:16:51Z", "e": .null], ["x": [.number(1.5)]],
      ])
  }

  @Test func whatIsWrittenIsReadBack() throws {
    let value: JSONValue = [
      "text": "9001", "truth": "true", "null": "null", "empty": "", "lines": "a\nb\n", "number": 9001,
      "list": [.null, true],
      "half": .number(0.5), "colon": "a: b", "dash": "- x", "none": .object([:]),
    ]
    #expect(try YAML.documents(try YAML.text(value), name: "f") == [value])
  }

  @Test func anAliasBombIsRefused() {
    var text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    for level in 1...9 {
      let alias = "*a\(level - 1)"
      text += "a\(level): &a\(level) [\(Array(repeating: alias, count: 10).joined(separator: ", "))]\n"
    }
    let error = #expect(throws: Failure.self) { _ = try YAML.documents(text, name: "bomb.yaml") }
    #expect(error?.cause == "more than 200000 values")
  }

  @Test func brokenYAMLNamesTheFile() {
    let error = #expect(throws: Failure.self) { _ = try YAML.documents("a: [", name: "x.yaml") }
    #expect(error?.subject == "x.yaml")
  }
}

@Suite("Names of others on a terminal") struct TerminalTextTests {
  private let name = "a\u{1B}[2J\u{202E}b"

  @Test("a cell of a table cannot drive the terminal")
  func cells() {
    var table = TextTable(["NAME", "X"])
    table.rows = [[name, "\u{9B}1m\rz"]]
    #expect(table.text.unicodeScalars.allSatisfy { $0 == "\n" || ($0.value >= 0x20 && $0.value < 0x7F) })
    #expect(table.text.contains("a\\x1b[2J\\u{202e}b"))
  }

  @Test("nor can a description, whose fields cannot look like others either")
  func description() {
    let object: JSONValue = [
      "kind": "Migration", "metadata": ["name": .string(name), "annotations": ["k": "v\nKind:  Secret"]],
      "status": ["reason": .string(name)],
    ]
    let text = Description.text(object, events: [["message": .string(name), "reason": "R"]], now: 0)
    #expect(text.unicodeScalars.allSatisfy { $0 == "\n" || ($0.value >= 0x20 && $0.value < 0x7F) })
    #expect(!text.contains("\nKind:  Secret"))
  }

  @Test("JSON stays exact, by its own escapes")
  func json() throws {
    let value: JSONValue = ["name": .string(name + "\u{7F}\u{E0041}\u{85}")]
    let text = JSONText.printable(value)
    #expect(text.unicodeScalars.allSatisfy { $0 == "\n" || ($0.value >= 0x20 && $0.value < 0x7F) })
    #expect(try JSONParser.parse(text) == value)
  }

  @Test("an Action that is asked for by its name is shown, whatever its summary")
  func actionByName() {
    let action: JSONValue = ["spec": ["actionType": "failover"], "status": ["summary": [:]]]
    #expect(!ActionView.failover.shows(action) && ActionView.failover.shows(action, byName: true))
    #expect(!ActionView.failback.shows(action, byName: true))
  }
}

@Suite("YAML as the Kubernetes clients read it") struct YAMLSpellingTests {
  @Test(
    "plain scalars are those of YAML 1.1",
    arguments: [
      ("yes", JSONValue.bool(true)), ("on", .bool(true)), ("Y", .bool(true)), ("n", .bool(false)),
      ("Off", .bool(false)),
      ("yEs", .string("yEs")), ("~", .null), ("Null", .null), ("nULL", .string("nULL")), ("030", .integer(24)),
      ("0x10", .integer(16)), ("0b11", .integer(3)), ("0o17", .integer(15)), ("1_0", .integer(10)), ("08", .integer(8)),
      ("+10", .integer(10)), ("-0x1F", .integer(-31)), ("1e3", .integer(1_000)), ("1.0", .integer(1)),
      ("1.5", .number(1.5)),
      (".5", .number(0.5)), ("1.2.3", .string("1.2.3")), ("12:30:45", .string("12:30:45")),
      ("2024-01-01", .string("2024-01-01")), ("0.", .integer(0)), ("1.e3", .integer(1_000)),
      ("1e400", .string("1e400")),
      ("1_0.5", .number(10.5)), ("-0", .integer(0)), ("._5", .string("._5")), ("0_10", .integer(8)),
      ("0x", .string("0x")), ("1e", .string("1e")),
      ("--5", .string("--5")), ("0x-5", .string("0x-5")), ("\"yes\"", .string("yes")), ("'030'", .string("030")),
    ])
  func scalars(_ text: String, _ value: JSONValue) throws {
    #expect(try YAML.documents("a: \(text)\n", name: "f") == [["a": value]])
  }

  @Test("what JSON has no form of is refused", arguments: [".inf", "-.INF", ".nan"])
  func infinite(_ text: String) {
    #expect(throws: Failure.self) { _ = try YAML.documents("a: \(text)", name: "f") }
  }

  @Test("keys are texts, whatever they look like")
  func keys() throws {
    #expect(
      try YAML.documents("8080: a\nyes: b\n1.5: c\n'no': d\n", name: "f")
        == [["8080": "a", "true": "b", "1.5": "c", "no": "d"]])
    #expect(throws: Failure.self) { _ = try YAML.documents("~: a", name: "f") }
  }

  @Test("merge keys take effect where they stand")
  func merges() throws {
    let text =
      "x: &x {a: 1, b: 1}\ny: &y {b: 2, c: 2}\none: {<<: *x, a: 3}\ntwo: {<<: [*x, *y]}\nlast: {a: 9, <<: *x}\n"
    let found = try #require(try YAML.documents(text, name: "f").first)
    #expect(found["one"] == ["a": 3, "b": 1] && found["two"] == ["a": 1, "b": 1, "c": 2])
    #expect(found["last"] == ["a": 1, "b": 1])
  }

  @Test("a byte order mark is none of the text; JSON documents follow each other; flow style is no JSON")
  func files() throws {
    #expect(try YAML.documents("\u{FEFF}a: 1\n", name: "f") == [["a": 1]])
    #expect(
      try YAML.documents("{\"a\": 1}\n{\"a\": 2} {\"a\": \"yes\"}", name: "f") == [["a": 1], ["a": 2], ["a": "yes"]])
    #expect(try YAML.documents("{a: yes}\n---\n{a: 2}\n", name: "f") == [["a": true], ["a": 2]])
  }

  @Test("no file makes the client recurse without end", arguments: ["- ", "[", "{a: ", "? "])
  func nesting(_ unit: String) {
    #expect(throws: Failure.self) {
      _ = try YAML.documents(String(repeating: unit, count: 200_000), name: "f")
    }
  }
}
