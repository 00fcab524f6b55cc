import APIModel
import Testing

@testable import KubeModel
@testable import KubeServer
@testable import ReplAgent
@testable import StorkControllers

/// Bytes of a protobuf message, built by hand.
struct ProtobufBytes {
  var bytes: [UInt8] = []

  mutating func varint(_ value: UInt64) {
    var value = value
    while value >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: value) | 0x80)
      value >>= 7
    }
    bytes.append(UInt8(value))
  }

  mutating func number(_ field: UInt64, _ value: UInt64) {
    varint(field << 3)
    varint(value)
  }

  mutating func bytes(_ field: UInt64, _ value: [UInt8]) {
    varint(field << 3 | 2)
    varint(UInt64(value.count))
    bytes += value
  }

  mutating func text(_ field: UInt64, _ value: String) { bytes(field, Array(value.utf8)) }

  mutating func message(_ field: UInt64, _ body: (inout ProtobufBytes) -> Void) {
    bytes(field, Self.message(body))
  }

  static func message(_ body: (inout ProtobufBytes) -> Void) -> [UInt8] {
    var message = ProtobufBytes()
    body(&message)
    return message.bytes
  }

  /// A whole request body.
  static func body(_ apiVersion: String, _ kind: String, _ object: (inout ProtobufBytes) -> Void) -> [UInt8] {
    let unknown = message { unknown in
      unknown.message(1) { type in
        type.text(1, apiVersion)
        type.text(2, kind)
      }
      unknown.message(2, object)
      unknown.text(3, "")
      unknown.text(4, "")
    }
    return [0x6B, 0x38, 0x73, 0x00] + unknown
  }
}

@Suite("Protobuf bodies") struct ProtobufTests {
  @Test("The body kubectl sends for create namespace is read")
  func captured() throws {
    let hex = """
      6b387300 0a0f 0a027631 12094e616d657370616365 121b 0a13 0a03666f6f 1200 1a00 2200 2a00 3200 3800 4200
      1200 1a020a00 1a00 2200
      """
    let digits = hex.compactMap(\.hexDigitValue)
    let body = stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
    let object = KubeObject(try ProtobufBody.decode(body))
    #expect(object.apiVersion == "v1" && object.kind == "Namespace" && object.name == "foo")
    #expect(object.metadata == ["name": "foo", "creationTimestamp": .null])
    #expect(object.status == [:])
  }

  @Test("Texts, bytes, maps, times and numbers become the JSON they stand for")
  func secretAndLease() throws {
    let secret = try ProtobufBody.decode(
      ProtobufBytes.body("v1", "Secret") { secret in
        secret.message(1) { meta in
          meta.text(1, "s")
          meta.message(11) { entry in
            entry.text(1, "a")
            entry.text(2, "")
          }
        }
        secret.message(2) { entry in
          entry.text(1, "key")
          entry.bytes(2, [0, 255])
        }
        secret.text(3, "Opaque")
        secret.number(5, 0)
      })
    #expect(secret["data"] == ["key": "AP8="] && secret["type"] == "Opaque" && secret["immutable"] == false)
    #expect(secret[at: "metadata.labels"] == ["a": ""])
    let lease = try ProtobufBody.decode(
      ProtobufBytes.body("coordination.k8s.io/v1", "Lease") { lease in
        lease.message(2) { spec in
          spec.text(1, "")
          spec.number(2, 15)
          spec.message(3) { time in
            time.number(1, 1_767_225_600)
            time.number(2, 1_500)
          }
          spec.number(5, 0)
        }
      })
    #expect(
      lease["spec"] == [
        "holderIdentity": "", "leaseDurationSeconds": 15, "acquireTime": "2026-01-01T00:00:00.000001Z",
        "leaseTransitions": 0,
      ])
  }

  @Test("Delete options are read for every group")
  func deleteOptions() throws {
    let options = try ProtobufBody.decode(
      ProtobufBytes.body("v1", "DeleteOptions") { options in
        options.number(1, 0)
        options.message(2) { $0.text(1, "uid-1") }
        options.text(4, "Foreground")
        options.text(5, "All")
      })
    #expect(options["gracePeriodSeconds"] == 0 && options[at: "preconditions.uid"] == "uid-1")
    #expect(options["propagationPolicy"] == "Foreground" && options["dryRun"] == ["All"])
  }

  @Test("What has no table is named, so that its refusal can say what to do; what is empty is skipped")
  func unknown() throws {
    #expect(throws: ProtobufBody.Refusal.unknown("Pod of v1")) {
      try ProtobufBody.decode(ProtobufBytes.body("v1", "Pod") { $0.text(1, "x") })
    }
    func deployment(_ affinity: String) -> [UInt8] {
      ProtobufBytes.body("apps/v1", "Deployment") { deployment in
        deployment.message(2) { spec in
          spec.number(1, 0)
          spec.message(3) { template in
            template.message(2) { pod in
              pod.text(18, affinity)
              pod.number(11, 0)
            }
          }
          spec.message(4) { strategy in
            strategy.text(1, "RollingUpdate")
            strategy.message(2) { rolling in
              rolling.message(2) { surge in
                surge.number(1, 1)
                surge.number(2, 0)
                surge.text(3, "50%")
              }
            }
          }
        }
      }
    }
    #expect(throws: ProtobufBody.Refusal.unknown("field 18")) { try ProtobufBody.decode(deployment("x")) }
    let read = try ProtobufBody.decode(deployment(""))
    #expect(
      read["spec"] == [
        "replicas": 0, "template": ["spec": [:]],
        "strategy": ["type": "RollingUpdate", "rollingUpdate": ["maxSurge": "50%"]],
      ])
  }

  @Test("Fields of embedded messages belong to the object around them; sizes are texts")
  func volumes() throws {
    let volume = try ProtobufBody.decode(
      ProtobufBytes.body("v1", "PersistentVolume") { volume in
        volume.message(2) { spec in
          spec.message(1) { entry in
            entry.text(1, "storage")
            entry.message(2) { $0.text(1, "4Gi") }
          }
          spec.message(2) { source in source.message(20) { $0.text(1, "/x") } }
        }
      })
    #expect(volume["spec"] == ["capacity": ["storage": "4Gi"], "local": ["path": "/x"]])
  }

  @Test(
    "Malformed bytes are refused",
    arguments: [
      [], [0x6B], [0x6B, 0x38, 0x73, 0x01], [0x6B, 0x38, 0x73, 0x00, 0x0A, 0xFF],
      [0x6B, 0x38, 0x73, 0x00, 0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01],
      [0x6B, 0x38, 0x73, 0x00, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80],
      [0x6B, 0x38, 0x73, 0x00, 0x00, 0x00], [0x6B, 0x38, 0x73, 0x00, 0x0B], Array("{}".utf8),
    ] as [[UInt8]])
  func malformed(_ body: [UInt8]) {
    #expect(throws: ProtobufBody.Refusal.self) { try ProtobufBody.decode(body) }
  }

  @Test("Whatever the bytes are, the answer is an object or a refusal", arguments: [1, 2, 3] as [UInt64])
  func fuzz(_ seed: UInt64) {
    var generator = Seeded(state: seed)
    let good = ProtobufBytes.body("v1", "Event") { event in
      event.message(1) { meta in
        meta.text(1, "e")
        meta.message(13) { $0.text(4, "u") }
        meta.text(14, "f")
      }
      event.message(2) { $0.text(1, "Migration") }
      event.message(6) { $0.number(1, 1_767_225_600) }
      event.number(8, 3)
      event.message(10) { $0.number(2, 5) }
    }
    for _ in 0..<3_000 {
      var body = good
      for _ in 0..<Int.random(in: 1...4, using: &generator) {
        let index = Int.random(in: 4..<body.count, using: &generator)
        switch Int.random(in: 0..<3, using: &generator) {
        case 0: body[index] = UInt8.random(in: 0...255, using: &generator)
        case 1: body.remove(at: index)
        default: body.insert(UInt8.random(in: 0...255, using: &generator), at: index)
        }
      }
      if let object = try? ProtobufBody.decode(body) { #expect(object.object != nil) }
    }
  }

  private struct Seeded: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return state ^ state >> 29
    }
  }
}
