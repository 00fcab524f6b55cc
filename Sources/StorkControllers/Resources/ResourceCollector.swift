import APIModel
import KubeModel
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

/// An object that was chosen to travel. Its document is read when its turn comes: ``ResourceCollector/read(_:)``.
struct ChosenObject: Sendable {
  var kind: ResourceKind
  /// With the outline of the object: what the choice and the result look at.
  var item: TravellingObject
}

/// Reads the objects of a Migration from the store and prepares them. All that are chosen are held as outlines only: what
/// is in them may be gigabytes.
struct ResourceCollector: Sendable {
  /// Objects of one Migration; one with more is refused.
  static let limit = 50_000

  var store: any KubeStore
  var preparation: ResourcePreparation

  /// What travels, in the order of application: volumes and claims first.
  func choose(namespaces: [String]) async throws(StatusError) -> [ChosenObject] {
    let selection = ResourceSelection(wishes: preparation.wishes)
    var found: [(kind: ResourceKind, object: KubeObject)] = []
    for namespace in namespaces {
      for kind in preparation.wishes.kinds {
        var pages = KubePages(store, kind, namespace: namespace)
        while let page = try await pages.next() {
          found += page.filter { selection.isMeant(kind, $0) }.map { (kind, Self.outline($0)) }
          guard found.count <= Self.limit else {
            throw StatusError(422, "Invalid", "the migration has more than \(Self.limit) objects")
          }
        }
      }
    }
    var volumes: [ChosenObject] = []
    var claims: [ChosenObject] = []
    var others: [ChosenObject] = []
    for (kind, object) in selection.withoutOwned(found) {
      guard kind.resource == ResourceKind.persistentVolumeClaim.resource else {
        others.append(ChosenObject(kind: kind, item: TravellingObject(object: object)))
        continue
      }
      guard let (volume, id) = try await volume(of: object) else { continue }
      let claim = ObjectName(kind: object.kind, namespace: object.namespace, name: object.name)
      claims.append(ChosenObject(kind: kind, item: TravellingObject(object: object, volume: id)))
      if let volume {
        let item = TravellingObject(object: Self.outline(volume), volume: id, claim: claim)
        volumes.append(ChosenObject(kind: .persistentVolume, item: item))
      }
    }
    return volumes + claims + others
  }

  /// The object as it is now, prepared; nil when it has gone since it was chosen.
  func read(_ chosen: ChosenObject) async throws(StatusError) -> TravellingObject? {
    let outline = chosen.item.object
    do throws(StatusError) {
      let object = try await store.get(chosen.kind, namespace: outline.namespace, name: outline.name)
      guard !object.isDeleting else { return nil }
      var item = chosen.item
      item.object = preparation.prepare(chosen.kind, object)
      return item
    } catch {
      guard error.code == 404 else { throw error }
      return nil
    }
  }

  /// Kind and metadata of an object, and which volume a claim has.
  private static func outline(_ object: KubeObject) -> KubeObject {
    var outline = KubeObject(["apiVersion": .string(object.apiVersion), "kind": .string(object.kind)])
    outline.json["metadata"] = object.json["metadata"]
    outline[metadata: "managedFields"] = nil
    if let volume = object.spec["volumeName"] { outline.json[at: "spec.volumeName"] = volume }
    return outline
  }

  /// The names of everything of these kinds, whatever selectors say: what is not among them was deleted.
  func existing(namespaces: [String]) async throws(StatusError) -> [ObjectName] {
    var names: [ObjectName] = []
    for namespace in namespaces {
      for kind in MigratedKinds.namespaced {
        var pages = KubePages(store, kind, namespace: namespace)
        while let page = try await pages.next() {
          names += page.filter { !$0.isDeleting }.map {
            ObjectName(kind: kind.kind, namespace: $0.namespace, name: $0.name)
          }
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
