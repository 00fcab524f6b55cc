import APIModel
import KubeModel
import FoundationEssentials

extension JSONValue {
  /// A report of the engine as JSON, by its own field names.
  init(report: some Encodable) throws(StatusError) {
    do {
      let encoder = JSONEncoder()
      // A rate or a time that is not a number must not make the whole report unreadable.
      encoder.nonConformingFloatEncodingStrategy = .convertToString(
        positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
      self = try JSONParser.parse(Array(try encoder.encode(report)))
    } catch {
      throw StatusError(500, "InternalError", "cannot encode \(type(of: report)): \(error)")
    }
  }
}
