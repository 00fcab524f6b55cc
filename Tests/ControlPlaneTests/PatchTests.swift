import APIModel
import Testing

@testable import KubeModel
@testable import KubeServer
@testable import ReplAgent
@testable import StorkControllers

@Suite struct PatchTests {
  private func json(_ text: String) throws -> JSONValue { try JSONParser.parse(text) }

  @Test(arguments: [
    (#"{"a":1}"#, #"[{"op":"add","path":"/b","value":2}]"#, #"{"a":1,"b":2}"#),
    (#"{"a":[1,3]}"#, #"[{"op":"add","path":"/a/1","value":2}]"#, #"{"a":[1,2,3]}"#),
    (#"{"a":[1]}"#, #"[{"op":"add","path":"/a/-","value":2}]"#, #"{"a":[1,2]}"#),
    (#"{"a":1}"#, #"[{"op":"remove","path":"/a"}]"#, "{}"),
    (#"{"a":1}"#, #"[{"op":"replace","path":"/a","value":null}]"#, #"{"a":null}"#),
    (#"{"a":{"b":1}}"#, #"[{"op":"move","from":"/a/b","path":"/c"}]"#, #"{"a":{},"c":1}"#),
    (#"{"a":1}"#, #"[{"op":"copy","from":"/a","path":"/b"}]"#, #"{"a":1,"b":1}"#),
    (#"{"a/b":1,"c~d":2}"#, #"[{"op":"test","path":"/a~1b","value":1},{"op":"remove","path":"/c~0d"}]"#, #"{"a/b":1}"#),
  ])
  func jsonPatchesApply(_ value: String, _ patch: String, _ expected: String) throws {
    #expect(try JSONPatch.apply(try json(patch), to: try json(value)) == (try json(expected)))
  }

  @Test(arguments: [
    #"[{"op":"test","path":"/a","value":2}]"#, #"[{"op":"remove","path":"/b"}]"#,
    #"[{"op":"replace","path":"/b","value":1}]"#, #"[{"op":"add","path":"/b/c","value":1}]"#,
    #"[{"op":"add","path":"/l/9","value":1}]"#, #"[{"op":"add","path":"b","value":1}]"#,
    #"[{"op":"move","from":"/a","path":"/a/b"}]"#, #"[{"op":"nonsense","path":"/a"}]"#, #"[{"op":"remove","path":""}]"#,
  ])
  func aPatchThatDoesNotFitIsRefusedWhole(_ patch: String) throws {
    let value = try json(#"{"a":1,"l":[]}"#)
    let error = #expect(throws: StatusError.self) { _ = try JSONPatch.apply(try json(patch), to: value) }
    #expect(error?.code == 422)
  }

  @Test func mergePatchesDeleteByNullAndReplaceLists() throws {
    let merged = MergePatch.apply(
      try json(#"{"a":null,"b":{"c":2},"l":[9]}"#), to: try json(#"{"a":1,"b":{"d":1},"l":[1,2]}"#))
    #expect(merged == (try json(#"{"b":{"c":2,"d":1},"l":[9]}"#)))
  }

  @Test func strategicMergesKeyedListsAndObeysDirectives() throws {
    let old = try json(
      #"{"metadata":{"finalizers":["a"]},"status":{"conditions":[{"type":"A","status":"True"}]},"x":["p","q"]}"#)
    let patch = try json(
      #"""
      {"metadata":{"finalizers":["b"]},"status":{"conditions":[{"type":"B"},{"type":"A","status":"False"}]},
       "$deleteFromPrimitiveList/x":["p"]}
      """#)
    let expected = try json(
      #"""
      {"metadata":{"finalizers":["b","a"]},"status":{"conditions":[{"type":"B"},{"type":"A","status":"False"}]},
       "x":["q"]}
      """#)
    let schema = ResourceKind.namespace.schema
    #expect(try StrategicMerge.apply(patch, to: old, schema: schema) == expected)
    let gone = try StrategicMerge.apply(
      try json(#"{"status":{"conditions":[{"type":"A","$patch":"delete"}]}}"#), to: old, schema: schema)
    #expect(gone[at: "status.conditions"] == .array([]))
  }
}

@Suite struct SelectorTests {
  @Test(arguments: [
    ("a=b", true), ("a==b", true), ("a!=b", false), ("c!=b", true), ("a", true), ("!a", false), ("!c", true),
    ("a in (x, b)", true), ("a notin (x,y)", true), ("c notin (x)", true), ("a=b,n=5", true), ("n>4", true),
    ("n<5", false), ("a in (x)", false),
  ])
  func labelsAreSelectedByTheGrammar(_ text: String, _ expected: Bool) throws {
    #expect(try LabelSelector(text).matches(["a": "b", "n": "5"]) == expected)
  }

  @Test(arguments: ["a b", "a in x", "=b", "a in ()", "n>x", "é=b"])
  func nonsenseIsRefused(_ text: String) {
    let error = #expect(throws: StatusError.self) { _ = try LabelSelector(text) }
    #expect(error?.code == 400)
  }

  @Test func fieldsOfTheKindCanBeSelectedAndOthersNot() throws {
    let object = ResourceKind.migration.object(namespace: "shop", name: "a=b")
    let selector = try FieldSelector(#"metadata.name=a\=b,metadata.namespace!=other"#, kind: .migration)
    #expect(selector.matches(object))
    let error = #expect(throws: StatusError.self) { _ = try FieldSelector("spec.x=1", kind: .migration) }
    #expect(error?.message == "field label not supported: spec.x")
    #expect(throws: StatusError.self) { _ = try FieldSelector("nonsense", kind: .migration) }
  }
}
