/// What every kind has.
extension Schema {
  public static let metadata = Schema.object(
    "Standard object's metadata: identity, labels, owners and life cycle.",
    [
      .string("name", "Name, unique among the objects of one kind in one namespace. Cannot be changed."),
      .string(
        "generateName",
        "Prefix of a name that the server makes unique, when name is left out. Both are kept in the object."),
      .string("namespace", "Namespace the object is in. Cluster-scoped kinds have none."),
      .string("uid", "Identity given by the server, never used twice."),
      .string(
        "resourceVersion",
        "Version of the object, from one counter for the whole server. A write that carries an older one is refused."),
      .integer("generation", "Counts the changes outside metadata."),
      .time("creationTimestamp", "When the server accepted the object, in UTC."),
      .time("deletionTimestamp", "When deletion was asked for; the object goes when its finalizers are done."),
      .integer("deletionGracePeriodSeconds", "Always 0: nothing here waits before it is deleted."),
      .map("labels", "Keys and values to select objects by."),
      .map("annotations", "Keys and values that are kept and not interpreted by the server."),
      .set("finalizers", "Names of those who must clean up before the object may go."),
      .objects(
        "ownerReferences", "Objects this one belongs to: it is deleted with the last of them.", key: "uid",
        ownedElements: true,
        [
          .string("apiVersion", "API version of the owner."), .string("kind", "Kind of the owner."),
          .string("name", "Name of the owner."), .string("uid", "UID of the owner."),
          .boolean("controller", "Whether this owner manages the object."),
          .boolean("blockOwnerDeletion", "Whether a foreground deletion of the owner waits for this object."),
        ]),
      .objects(
        "managedFields",
        "Who wrote which fields, kept by the server for server-side apply. An empty list sent in an update forgets it.",
        [
          .string("manager", "Name of the writer."),
          .string("operation", "How the fields were written.", values: ["Apply", "Update"]),
          .string("apiVersion", "API version of the fields."), .time("time", "When the writer last changed something."),
          .string("fieldsType", "Form of the fields: FieldsV1."),
          .any("fieldsV1", "The fields, as a tree of their names."),
          .string("subresource", "Subresource they were written through."),
        ]),
      .string("selfLink", "Accepted and not kept."),
    ])

  public static let apiVersion = Schema(
    form: .string, text: "Group and version of the schema this object is written in.")
  public static let kind = Schema(form: .string, text: "Kind of the object, in CamelCase.")

  /// Conditions as most built-in kinds have them.
  public static func conditions(_ text: String, key: ListKeys = "type") -> Schema.Field {
    .objects(
      "conditions", text, key: key,
      [
        .string("type", "Name of the condition."), .string("status", "True, False or Unknown."),
        .string("reason", "One word for why."), .string("message", "Why, for people."),
        .time("lastTransitionTime", "When the status last changed."),
        .integer("observedGeneration", "Generation the condition is about."),
        .time("lastUpdateTime", "When the condition was last looked at."),
        .time("lastHeartbeatTime", "When the condition was last reported."),
        .time("lastProbeTime", "When the condition was last checked."),
      ])
  }

  /// A reference to an object by name and identity.
  static let objectReference: [Schema.Field] = [
    .string("kind", "Kind of the object."), .string("namespace", "Namespace of the object."),
    .string("name", "Name of the object."), .string("uid", "UID of the object."),
    .string("apiVersion", "API version of the object."), .string("resourceVersion", "Version of the object."),
    .string("fieldPath", "Part of the object that is meant."),
  ]

  /// Labels an object must have.
  static func labelSelector(_ name: String, _ text: String) -> Schema.Field {
    .object(
      name, text,
      [
        .map("matchLabels", "Labels that must be there with these values."),
        .objects(
          "matchExpressions", "Requirements that must all hold.",
          [
            .string("key", "Label key."), .string("operator", "In, NotIn, Exists or DoesNotExist."),
            .strings("values", "Values for In and NotIn."),
          ]),
      ]
    ).owned
  }
}

extension ResourceKind {
  /// Description of a whole object of this kind.
  public var schema: Schema {
    .object(
      description,
      [
        Schema.Field(name: "apiVersion", schema: .apiVersion), Schema.Field(name: "kind", schema: .kind),
        Schema.Field(name: "metadata", schema: .metadata),
      ] + (custom ? fields.map(Self.statusOwned) : fields))
  }

  /// The status of a custom kind has one owner whole: here that is the agent, whose many writes of it then cost no
  /// bookkeeping field by field.
  private static func statusOwned(_ field: Schema.Field) -> Schema.Field {
    field.name == "status" ? field.owned : field
  }
}
