import APIModel
import KubeModel

/// Options of a DELETE, from the body or the query.
enum DeleteBody {
  static func options(_ request: APIRequest) throws(StatusError) -> DeleteOptions {
    var options = DeleteOptions(dryRun: try ObjectAPI.dryRun(request))
    var policy = request.query["propagationPolicy"]
    if !request.body.isEmpty {
      let body = try json(request)
      policy = body["propagationPolicy"]?.string ?? policy
      options.uid = body[at: "preconditions.uid"]?.string
      options.resourceVersion = body[at: "preconditions.resourceVersion"]?.string
      if let dryRun = body["dryRun"]?.array, !dryRun.isEmpty {
        guard dryRun == ["All"] else {
          throw invalid("dryRun: Unsupported value: \(dryRun[0].compactText): supported values: \"All\"")
        }
        options.dryRun = true
      }
      if let orphan = body["orphanDependents"]?.bool {
        guard policy == nil else {
          throw invalid("propagationPolicy: Invalid value: orphanDependents and deletionPropagation cannot be both set")
        }
        policy = (orphan ? PropagationPolicy.orphan : .background).rawValue
      }
    }
    if let policy, !policy.isEmpty {
      guard let known = PropagationPolicy(rawValue: policy) else {
        throw invalid(
          "propagationPolicy: Unsupported value: \"\(policy)\": "
            + "supported values: \"Foreground\", \"Background\", \"Orphan\", \"nil\"")
      }
      options.propagation = known
    }
    return options
  }

  private static func json(_ request: APIRequest) throws(StatusError) -> JSONValue {
    let value: JSONValue
    switch request.contentType {
    case ProtobufBody.mediaType:
      do { value = try ProtobufBody.decode(request.body) } catch {
        throw StatusError(400, "BadRequest", "the delete options cannot be read: \(error)")
      }
    case "", "application/json", "*/*":
      var parser = request.parser
      do { value = try parser.parseDocument() } catch {
        throw StatusError(400, "BadRequest", "the delete options are not valid JSON: \(error)")
      }
    default: throw RequestBody.unsupported("application/json, \(ProtobufBody.mediaType)")
    }
    guard value.object != nil, ["", "DeleteOptions"].contains(value["kind"]?.string ?? "") else {
      throw StatusError(400, "BadRequest", "the body must be DeleteOptions")
    }
    // A precondition or a dry run that is misspelled must not delete.
    if let fault = TypeCheck.faults(value, .deleteOptions).first {
      throw StatusError(
        400, "BadRequest",
        "DeleteOptions in version \"v1\" cannot be handled as a DeleteOptions: "
          + fault.decodingText(owner: "DeleteOptions"), causes: [fault.statusCause])
    }
    return value
  }

  private static func invalid(_ text: String) -> StatusError {
    StatusError(422, "Invalid", "DeleteOptions.meta.k8s.io \"\" is invalid: \(text)")
  }
}
