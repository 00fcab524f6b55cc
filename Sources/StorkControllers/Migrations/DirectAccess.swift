import APIModel
import KubeModel

/// Volumes that a storage array serves directly (FlashArray, FlashBlade): no agent holds their blocks. Pure.
enum DirectAccess {
  /// Why a claim cannot be taken along; nil for volumes of any other kind.
  static func refusal(volume: KubeObject?, storageClass: KubeObject?) -> String? {
    var parameters = storageClass?.json["parameters"]?.object ?? [:]
    for path in ["spec.csi.volumeAttributes", "spec.flexVolume.options", "metadata.labels", "metadata.annotations"] {
      parameters.merge(volume?.json[at: path]?.object ?? [:]) { own, _ in own }
    }
    let backend = parameters["backend"]?.text ?? ""
    let found: String
    if ["pure_block", "pure_file"].contains(backend) {
      found = "backend \(backend)"
    } else if parameters["proxy_endpoint"]?.text?.isEmpty == false {
      found = "proxy_endpoint"
    } else {
      return nil
    }
    return
      "direct-access volumes (\(found)) are not supported: the array holds their data, not this agent; to migrate the"
      + " rest of the namespace, annotate the PVC with \(Stork.skipResource): \"true\""
  }
}
