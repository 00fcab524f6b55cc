import APIModel
import Testing

@testable import KubeModel
@testable import KubeServer
@testable import ReplAgent
@testable import StorkControllers

@Suite("Actions and domain updates, which this version does not carry out")
struct ActionTests {
  private func action(_ type: String, _ status: JSONValue? = nil) -> KubeObject {
    var object = ResourceKind.action.object(namespace: "shop", name: "a")
    object.json["spec"] = ["actionType": .string(type)]
    object.json["status"] = status
    return object
  }

  @Test(
    "an Action ends as failed, with a reason for its type and no summary that would hide it",
    arguments: [
      ("failover", "failover and failback are not carried out"),
      ("failback", "failover and failback are not carried out"),
      ("nearsyncFailover", "near-synchronous replication is not offered"),
      ("frob", "invalid value received for Action.Spec.ActionType"),
    ])
  func ends(_ type: String, _ reason: String) throws {
    let status = try #require(ActionReconciler.end(action(type), now: 1_700_000_000))
    #expect(status["stage"] == "Final" && status["status"] == "Failed")
    #expect(status["finishTimestamp"] == "2023-11-14T22:13:20Z")
    #expect(status["reason"]?.string?.hasPrefix(reason) == true)
    #expect(status["summary"] == nil)
  }

  @Test("one that is under way ends too; one that has ended stays as it is")
  func terminal() {
    let running = action("failover", ["stage": "ScaleDownSource", "status": "In-Progress"])
    #expect(ActionReconciler.end(running, now: 0) != nil)
    #expect(ActionReconciler.end(action("failover", ["stage": "Final", "status": "Successful"]), now: 0) == nil)
  }

  @Test("a domain update ends as failed once")
  func domains() throws {
    var update = ResourceKind.clusterDomainUpdate.object(name: "u")
    update.json["spec"] = ["clusterdomain": "west", "active": false]
    let status = try #require(ClusterDomainUpdateReconciler.end(update))
    #expect(status["status"] == "Failed")
    #expect(status["reason"]?.string?.hasPrefix("unable to deactivate cluster domain: ") == true)
    update.json["status"] = status
    #expect(ClusterDomainUpdateReconciler.end(update) == nil)
  }
}
