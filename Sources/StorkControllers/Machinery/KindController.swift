import APIModel
import KubeModel
import Logging

/// Brings the objects of one kind, one by one, to what they ask for.
protocol Reconciler: Sendable {
  var kind: ResourceKind { get }
  /// Looks at an object once; the answer is when to look again, nil for not before it changes.
  func reconcile(_ key: ObjectKey) async throws(StatusError) -> Duration?
  /// Other kinds whose changes concern objects of this one.
  var related: [ResourceKind] { get }
  /// Keys to look at because an object of a related kind changed. Called for every object of these kinds when a watch
  /// begins, then for every event; a change may be told more than once.
  func keys(affectedBy event: KubeEvent, of kind: ResourceKind) async -> [ObjectKey]
}

extension Reconciler {
  var related: [ResourceKind] { [] }
  func keys(affectedBy event: KubeEvent, of kind: ResourceKind) async -> [ObjectKey] { [] }
}

/// Runs a reconciler: on every object at the start, then on every change, several objects at once.
struct KindController: Sendable {
  var store: any KubeStore
  var reconciler: any Reconciler
  var logger: Logger

  private static let workers = 10

  /// Runs until the task is cancelled or the store closes.
  func run() async {
    let queue = WorkQueue()
    await withTaskGroup(of: Void.self) { group in
      for kind in [reconciler.kind] + reconciler.related { group.addTask { await feed(queue, kind) } }
      group.addTask { await work(queue) }
      // Each ends only when there is nothing left to do here.
      await group.next()
      group.cancelAll()
    }
  }

  private func feed(_ queue: WorkQueue, _ kind: ResourceKind) async {
    while !Task.isCancelled {
      do {
        let page = try await store.list(kind)
        for object in page.items { await feed(queue, KubeEvent(.added, object), kind) }
        let watch = try await store.watch(kind, after: page.version)
        while let events = try await watch.next() {
          for event in events { await feed(queue, event, kind) }
        }
        return
      } catch {
        // Changes were missed or the database failed: begin again with all objects.
        logger.warning("controller starts over", metadata: ["kind": "\(kind.kind)", "error": "\(error)"])
        try? await Task.sleep(for: .seconds(1))
      }
    }
  }

  private func feed(_ queue: WorkQueue, _ event: KubeEvent, _ kind: ResourceKind) async {
    if kind.resource == reconciler.kind.resource {
      queue.add(ObjectKey(namespace: event.object.namespace, name: event.object.name))
    } else {
      for key in await reconciler.keys(affectedBy: event, of: kind) { queue.add(key) }
    }
  }

  private func work(_ queue: WorkQueue) async {
    await withDiscardingTaskGroup { group in
      for await _ in queue.signal {
        while let key = queue.next(limit: Self.workers) {
          group.addTask {
            let delay = await visit(key)
            guard let plan = queue.finish(key, revisit: delay != nil), let delay else { return }
            guard (try? await Task.sleep(for: delay)) != nil else { return }
            queue.due(key, plan: plan)
          }
        }
      }
      group.cancelAll()
    }
  }

  private func visit(_ key: ObjectKey) async -> Duration? {
    do {
      return try await reconciler.reconcile(key)
    } catch  where error.code == 404 {
      return nil
    } catch  where error.code == 409 {
      // Somebody else wrote first; look again at what they wrote.
      return .milliseconds(20)
    } catch {
      logger.warning(
        "reconcile failed",
        metadata: [
          "kind": "\(reconciler.kind.kind)", "object": "\(key.namespace)/\(key.name)", "error": "\(error.message)",
        ])
      return .seconds(5)
    }
  }
}
