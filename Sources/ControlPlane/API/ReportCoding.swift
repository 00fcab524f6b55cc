import APIModel
import FoundationEssentials

extension JSONValue {
  /// A report of the engine as JSON, by its own field names.
  init(report: some Encodable) throws(StatusError) {
    do {
      self = try JSONParser.parse(Array(try JSONEncoder().encode(report)))
    } catch {
      throw StatusError(500, "InternalError", "cannot encode \(type(of: report)): \(error)")
    }
  }
}
