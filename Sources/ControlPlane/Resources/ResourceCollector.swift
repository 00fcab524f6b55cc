import APIModel
import ReplModel

/// One object on its way to the peer.
struct TravellingObject: Hashable, Sendable {
  var object: KubeObject
  /// Of a claim and its volume: the engine's volume.
  var volume: VolumeID?
  /// Of a volume: the claim it belongs to.
  var claim: ObjectName?
}

/// An object by kind, namespace and name.
struct ObjectName: Hashable, Sendable {
  var kind: String
  var namespace: String
  var name: String
}

/// Reads the objects of a Migration from the store and prepares them.
struct ResourceCollector: Sendable {
  /// Objects of one Migration; one with more is refused.
  static let limit = 50_000

  var store: any ObjectStore
  var preparation: ResourcePreparation

  /// Prepared objects in the order of application: volumes and claims first.
  func collect(namespaces: [String]) async throws(StatusError) -> [TravellingObject] {
    var found: [(kind: ResourceKind, object: KubeObject)] = []
    for namespace in namespaces {
      for kind in preparation.wishes.kinds {
        found += try await store.list(ListQuery(kind, namespace: namespace)).items.map { (kind, $0) }
        guard found.count <= Self.limit else {
          throw StatusError(422, "Invalid", "the migration has more than \(Self.limit) objects")
        }
      }
    }
    var volumes: [TravellingObject] = []
    var claims: [TravellingObject] = []
    var others: [TravellingObject] = []
    for (kind, object) in ResourceSelection(wishes: preparation.wishes).choose(found) {
      guard kind.resource == ResourceKind.persistentVolumeClaim.resource else {
        others.append(TravellingObject(object: preparation.prepare(kind, object)))
        continue
      }
      guard let (volume, id) = try await volume(of: object) else { continue }
      let claim = ObjectName(kind: object.kind, namespace: object.namespace, name: object.name)
      claims.append(TravellingObject(object: preparation.prepare(kind, object), volume: id))
      if let volume {
        volumes.append(
          TravellingObject(object: preparation.prepare(.persistentVolume, volume), volume: id, claim: claim))
      }
    }
    return volumes + claims + others
  }

  /// The names of everything of these kinds, whatever selectors say: what is not among them was deleted.
  func existing(namespaces: [String]) async throws(StatusError) -> [ObjectName] {
    var names: [ObjectName] = []
    for namespace in namespaces {
      for kind in MigratedKinds.namespaced {
        let page = try await store.list(ListQuery(kind, namespace: namespace))
        names += page.items.filter { !$0.isDeleting }.map {
          ObjectName(kind: kind.kind, namespace: $0.namespace, name: $0.name)
        }
      }
    }
    return names
  }

  /// Labels and annotations of the namespaces that exist, for a peer that has to make them.
  func namespaces(_ names: [String]) async throws(StatusError) -> [KubeObject] {
    var found: [KubeObject] = []
    for name in names {
      var namespace = ResourceKind.namespace.object(name: name)
      do throws(StatusError) {
        let original = try await store.get(.namespace, namespace: "", name: name)
        namespace.setMap("labels", MigrationMark.travelling(labels: original.labels))
        namespace.setMap("annotations", MigrationMark.travelling(original.annotations))
      } catch {
        guard error.code == 404 else { throw error }
        continue
      }
      found.append(namespace)
    }
    return found
  }

  /// The volume of a claim, nil if the claim is none of the agent's; without object when that does not travel.
  private func volume(of claim: KubeObject) async throws(StatusError) -> (KubeObject?, VolumeID)? {
    let volume: KubeObject
    do throws(StatusError) {
      volume = try await store.get(
        .persistentVolume, namespace: "", name: claim.spec["volumeName"]?.string ?? "")
    } catch {
      guard error.code == 404 else { throw error }
      return nil
    }
    guard let id = volume.annotations[VolumeObjects.volumeID].flatMap({ VolumeID($0) }) else { return nil }
    let excluded = preparation.wishes.excludedKinds.contains(ResourceKind.persistentVolume.kind.lowercased())
    return (excluded || volume.isDeleting ? nil : volume, id)
  }
}
