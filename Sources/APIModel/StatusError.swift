/// A refusal in the Kubernetes shape: what clients branch on (`code`, `reason`) and what people read.
public struct StatusError: Error, Hashable, Sendable, CustomStringConvertible {
  /// One reason among several, or a hint such as the remedy.
  public struct Cause: Hashable, Sendable {
    public var reason: String
    public var message: String
    public var field: String
    public init(reason: String, message: String, field: String = "") {
      self.reason = reason
      self.message = message
      self.field = field
    }
  }

  public var code: Int
  public var reason: String
  public var message: String
  public var name: String
  public var group: String
  /// Plural resource or kind, as the case wants it.
  public var kind: String
  public var causes: [Cause]
  public var retryAfterSeconds: Int?

  public init(
    _ code: Int, _ reason: String, _ message: String, name: String = "", group: String = "", kind: String = "",
    causes: [Cause] = [], retryAfterSeconds: Int? = nil
  ) {
    self.code = code
    self.reason = reason
    self.message = message
    self.name = name
    self.group = group
    self.kind = kind
    self.causes = causes
    self.retryAfterSeconds = retryAfterSeconds
  }

  public var description: String { message }

  /// The `Status` object sent to clients.
  public var json: JSONValue {
    var details: [String: JSONValue] = [:]
    if !name.isEmpty { details["name"] = .string(name) }
    if !group.isEmpty { details["group"] = .string(group) }
    if !kind.isEmpty { details["kind"] = .string(kind) }
    if !causes.isEmpty { details["causes"] = .array(causes.map(Self.json)) }
    if let retryAfterSeconds { details["retryAfterSeconds"] = .integer(Int64(retryAfterSeconds)) }
    var status: JSONValue = [
      "kind": "Status", "apiVersion": "v1", "metadata": [:], "status": "Failure", "message": .string(message),
      "code": .integer(Int64(code)),
    ]
    if !reason.isEmpty { status["reason"] = .string(reason) }
    if !details.isEmpty || reason == "Invalid" { status["details"] = .object(details) }
    return status
  }

  /// Reads a `Status` object; nil if `json` is something else.
  public init?(_ json: JSONValue) {
    guard json["kind"]?.string == "Status", let code = json["code"]?.integer else { return nil }
    let details = json["details"] ?? .object([:])
    self.init(
      Int(clamping: code), json["reason"]?.string ?? "", json["message"]?.string ?? "",
      name: details["name"]?.string ?? "", group: details["group"]?.string ?? "", kind: details["kind"]?.string ?? "",
      causes: (details["causes"]?.array ?? []).map { cause in
        Cause(
          reason: cause["reason"]?.string ?? "", message: cause["message"]?.string ?? "",
          field: cause["field"]?.string ?? "")
      },
      retryAfterSeconds: details["retryAfterSeconds"]?.integer.map { Int(clamping: $0) })
  }

  private static func json(_ cause: Cause) -> JSONValue {
    var json: JSONValue = ["reason": .string(cause.reason), "message": .string(cause.message)]
    if !cause.field.isEmpty { json["field"] = .string(cause.field) }
    return json
  }
}
