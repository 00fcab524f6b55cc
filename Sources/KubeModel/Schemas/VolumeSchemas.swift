extension Schema {
  /// Fields of a PersistentVolume.
  static let persistentVolume: [Field] = [
    .object(
      "spec", "The volume and where it is.",
      [
        .mapOf("capacity", "Its size under storage.", Schema(form: .quantity, text: "")),
        .strings("accessModes", "ReadWriteOnce, ReadOnlyMany, ReadWriteMany or ReadWriteOncePod."),
        .string("persistentVolumeReclaimPolicy", "Retain, Delete or Recycle. Retain unless given."),
        .string("storageClassName", "Name of its StorageClass."),
        .string("volumeMode", "Filesystem or Block. Filesystem unless given."),
        .object(
          "local", "A file or device of this node.",
          [.string("path", "Absolute path. Cannot be changed."), .string("fsType", "File system inside.")]),
        .object("claimRef", "Claim it is bound to.", objectReference),
        .opaque("csi", "A volume of a CSI driver. Cannot be changed."),
        .opaque("nfs", "An NFS export. Cannot be changed."),
        .opaque("hostPath", "A directory of the node. Cannot be changed."),
        .opaque("nodeAffinity", "Nodes that reach it."),
        .strings("mountOptions", "Options for mounting."),
        .string("volumeAttributesClassName", "Name of a VolumeAttributesClass."),
      ] + volumeSources),
    .object(
      "status", "Whether it is bound.",
      [
        .string("phase", "Pending, Available, Bound, Released or Failed."), .string("message", "Why, for people."),
        .string("reason", "Why, in a word."), .time("lastPhaseTransitionTime", "When the phase last changed."),
      ]),
  ]

  /// Fields of a PersistentVolumeClaim.
  static let persistentVolumeClaim: [Field] = [
    .object("spec", "What is wanted.", claimSpec), .object("status", "What was found.", claimStatus),
  ]

  static let claimSpec: [Field] = [
    .strings("accessModes", "ReadWriteOnce, ReadOnlyMany, ReadWriteMany or ReadWriteOncePod."),
    labelSelector("selector", "Labels the volume must have."),
    .object(
      "resources", "How large.",
      [
        .mapOf("requests", "Smallest size under storage.", Schema(form: .quantity, text: "")),
        .mapOf("limits", "Largest size under storage.", Schema(form: .quantity, text: "")),
        .list("claims", "Not used by volumes."),
      ]),
    .string("volumeName", "Name of the PersistentVolume. May be set once."),
    .string("storageClassName", "Name of the StorageClass."),
    .string("volumeMode", "Filesystem or Block. Filesystem unless given."),
    .opaque("dataSource", "What it begins as."), .opaque("dataSourceRef", "What it begins as."),
    .string("volumeAttributesClassName", "Name of a VolumeAttributesClass."),
  ]

  private static let claimStatus: [Field] = [
    .string("phase", "Pending, Bound or Lost."), .strings("accessModes", "Access modes of the volume."),
    .mapOf("capacity", "Size of the volume under storage.", Schema(form: .quantity, text: "")),
    conditions("State of the claim."),
    .quantities("allocatedResources", "What is set aside."), .map("allocatedResourceStatuses", "How resizing stands."),
    .string("resizeStatus", "How resizing stands."), .any("healthStatus", "How the volume is."),
    .string("currentVolumeAttributesClassName", "Class in effect."),
    .opaque("modifyVolumeStatus", "How a change stands."),
  ]
}
