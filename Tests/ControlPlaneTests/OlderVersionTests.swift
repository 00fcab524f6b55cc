import APIModel
import Testing

@testable import KubeModel
@testable import KubeServer
@testable import ReplAgent
@testable import StorkControllers

@Suite("Older versions of kinds")
struct OlderVersionTests {
  @Test("A CronJob can be read as batch/v1beta1, which is announced nowhere and takes no writes")
  func cronJob() async throws {
    let api = try await APICall()
    var job = ResourceKind.cronJob.object(namespace: "default", name: "nightly")
    job.json["spec"] = ["schedule": "0 3 * * *"]
    _ = try await api.fixture.store.create(.cronJob, job, dryRun: false)
    let path = "apis/batch/v1beta1/namespaces/default/cronjobs"
    let read = try await api.send("GET", "\(path)/nightly")
    #expect(read.code == 200 && read.json["apiVersion"] == "batch/v1beta1" && read.json["kind"] == "CronJob")
    #expect(read.object.spec["schedule"] == "0 3 * * *")
    #expect(try await api.send("GET", "\(path)/none").code == 404)
    for (method, path) in [("PUT", "\(path)/nightly"), ("GET", path), ("DELETE", "\(path)/nightly")] {
      #expect(try await api.send(method, path, body: "{}").code == 0, "\(method)")
    }
  }

  @Test("What a controller hands on in managedFields changes no owners")
  func foreignOwners() async throws {
    let api = try await APICall()
    let store = api.fixture.store
    var object = ResourceKind.configMap.object(namespace: "default", name: "c")
    object.json["data"] = ["a": "1"]
    let made = try await store.create(.configMap, object, dryRun: false)
    let foreign: JSONValue = [
      [
        "manager": "x", "operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1",
        "fieldsV1": ["f:data": ["f:a": [:]]],
      ]
    ]
    let same = try await store.update(.configMap, namespace: "default", name: "c", part: .main, dryRun: false) { old in
      var new = old
      new[metadata: "managedFields"] = foreign
      return new
    }
    #expect(same == made)
  }
}
