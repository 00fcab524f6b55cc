import APIModel
import TestSupport
import Testing

@testable import KubeModel
@testable import KubeServer
@testable import ReplAgent
@testable import StorkControllers

@Suite("Sets of fields")
struct FieldSetTests {
  private func json(_ text: String) throws -> JSONValue { try JSONParser.parse(text) }

  private func set(_ text: String) throws -> FieldSet { try #require(FieldSet(json: try json(text))) }

  @Test("are written as trees of path elements, members without children as empty objects")
  func form() throws {
    let set = FieldSet([.field("spec")]).union(FieldSet([.field("spec"), .field("replicas")]))
      .union(FieldSet([.field("ports"), .key(["port": 80, "protocol": "TCP"]), .field("name")]))
      .union(FieldSet([.field("finalizers"), .value("a/b")]))
    #expect(
      set.json
        == (try json(
          #"""
          {"f:spec":{".":{},"f:replicas":{}},"f:ports":{"k:{\"port\":80,\"protocol\":\"TCP\"}":{"f:name":{}}},
           "f:finalizers":{"v:\"a/b\"":{}}}
          """#)))
  }

  @Test("What is no set is refused, and elements of kinds from the future are passed over")
  func damaged() throws {
    for text in ["1", #"{"f:a":1}"#, #"{"k:x":{}}"#, #"{"nonsense":{}}"#, #"{"i:x":{}}"#] {
      #expect(FieldSet(json: try json(text)) == nil, "\(text)")
    }
    #expect(try set(#"{"z:new":{},"f:a":{}}"#) == FieldSet([.field("a")]))
  }

  @Test("are read as they were written, whatever is in them", arguments: 0..<50)
  func roundTrip(_ seed: UInt64) throws {
    var generator = SeededGenerator(seed: seed)
    let set = Self.random(depth: 4, &generator)
    let text = JSONWriter.bytes(set.json)
    #expect(FieldSet(json: try JSONParser.parse(text)) == set, "seed \(seed)")
  }

  @Test("follow the laws of sets, member by member", arguments: 0..<50)
  func laws(_ seed: UInt64) throws {
    var generator = SeededGenerator(seed: seed)
    let (one, two) = (Self.random(depth: 3, &generator), Self.random(depth: 3, &generator))
    let (first, second) = (Set(one.paths), Set(two.paths))
    #expect(Set(one.union(two).paths) == first.union(second), "seed \(seed)")
    #expect(Set(one.intersection(two).paths) == first.intersection(second), "seed \(seed)")
    #expect(Set(one.subtracting(two).paths) == first.subtracting(second), "seed \(seed)")
    #expect(one.subtracting(two).union(one.intersection(two)) == one, "seed \(seed)")
    #expect(first.allSatisfy(one.contains))
  }

  @Test("What changed is told field by field, keyed element by keyed element, and whole where it is owned whole")
  func comparison() throws {
    let schema = ResourceKind.deployment.schema
    let old = try json(
      #"""
      {"spec":{"replicas":1,"selector":{"matchLabels":{"a":"1"}},"template":{"spec":{"containers":[
        {"name":"a","image":"x","args":["1"],"ports":[{"containerPort":80}]},{"name":"b"}]}}}}
      """#)
    let new = try json(
      #"""
      {"spec":{"selector":{"matchLabels":{"a":"2"}},"paused":true,"template":{"spec":{"containers":[
        {"name":"c"},{"name":"a","image":"y","args":["1","2"],"ports":[{"containerPort":80,"protocol":"TCP"}]}]}}}}
      """#)
    let changes = FieldChanges(from: old, to: new, schema)
    let containers = #"{"f:spec":{"f:template":{"f:spec":{"f:containers":%}}}}"#
    func inContainers(_ text: String) throws -> FieldSet { try set(containers.replacing("%", with: text)) }
    #expect(
      changes.modified
        == (try set(#"{"f:spec":{"f:selector":{}}}"#).union(
          inContainers(#"{"k:{\"name\":\"a\"}":{"f:image":{},"f:args":{}}}"#))))
    #expect(
      changes.added
        == (try set(#"{"f:spec":{"f:paused":{}}}"#).union(
          inContainers(
            #"""
            {"k:{\"name\":\"c\"}":{".":{},"f:name":{}},
             "k:{\"name\":\"a\"}":{"f:ports":{"k:{\"containerPort\":80,\"protocol\":\"TCP\"}":{"f:protocol":{}}}}}
            """#))))
    #expect(
      changes.removed
        == (try set(#"{"f:spec":{"f:replicas":{}}}"#).union(
          inContainers(#"{"k:{\"name\":\"b\"}":{".":{},"f:name":{}}}"#))))
    #expect(FieldChanges(from: old, to: old, schema).isEmpty)
  }

  @Test("A list whose elements cannot be told apart is one field; elements that occur twice are compared together")
  func oddLists() throws {
    let schema = ResourceKind.service.schema
    func ports(_ text: String) throws -> JSONValue { ["spec": ["ports": try json(text)]] }
    let unnamed = FieldChanges(
      from: try ports(#"[{"name":"a"}]"#), to: try ports(#"[{"name":"b"}]"#), ResourceKind.node.schema)
    #expect(unnamed.modified == (try set(#"{"f:spec":{"f:ports":{}}}"#)))
    let twice = #"[{"port":1,"name":"a"},{"port":1,"name":"b"}]"#
    let changed = FieldChanges(from: try ports(twice), to: try ports(twice.replacing("b", with: "c")), schema)
    #expect(
      changed.modified == (try set(#"{"f:spec":{"f:ports":{"k:{\"port\":1,\"protocol\":\"TCP\"}":{}}}}"#)))
    let once = FieldChanges(from: try ports(twice), to: try ports(#"[{"port":1,"name":"a"}]"#), schema)
    #expect(!once.removed.isEmpty && !once.added.isEmpty)
    let typed = FieldChanges(from: ["spec": ["a": 1]], to: ["spec": 1], nil)
    #expect(typed.modified == FieldSet([.field("spec")]) && !typed.removed.isEmpty)
  }
}

extension FieldSetTests {
  static func random(depth: Int, _ generator: inout SeededGenerator) -> FieldSet {
    let elements: [PathElement] = [
      .field("a"), .field("b"), .field("f:odd.name/\"x\""), .field(""), .key(["name": "x"]),
      .key(["containerPort": 80, "protocol": "TCP"]), .value("text"), .value(7), .value(true), .index(3),
    ]
    var set = FieldSet()
    for element in elements where Bool.random(using: &generator) {
      let below = depth > 0 ? random(depth: depth - 1, &generator) : FieldSet()
      set[element] = FieldSet.Node(isMember: Bool.random(using: &generator), below: below)
    }
    return set
  }
}
