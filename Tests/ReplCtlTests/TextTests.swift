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
