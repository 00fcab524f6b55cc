import APIModel

/// What is on its way: volumes being shipped from here, and volumes of peers coming in.
enum SessionTable {
  /// Empty when nothing is.
  static func text(_ report: JSONValue) -> String {
    let rows = (report["outbound"]?.array ?? []).map(outbound) + (report["inbound"]?.array ?? []).map(inbound)
    guard !rows.isEmpty else { return "" }
    var table = TextTable(["SESSION", "VOLUME", "PEER", "STAGE", "DONE", "OF", "PERCENT", "RATE", "ETA", "WAITING"])
    table.rows = rows
    return table.text
  }

  private static func outbound(_ session: JSONValue) -> [String] {
    let progress = session["progress"] ?? .null
    let rate = progress["bytesPerSecond"]?.double.flatMap { 0 <= $0 && $0 < 1e18 ? Quantity.rounded(UInt64($0)) : nil }
    return [
      Field.text(session, "migration"), "\(Field.text(progress, "namespace"))/\(Field.text(progress, "name"))",
      "to \(Field.text(session, "cluster"))", Field.text(progress, "stage"), Field.size(progress, "bytesDone"),
      Field.size(progress, "bytesTotal"), percent(progress, "bytesDone", of: "bytesTotal"),
      rate.map { $0 + "/s" } ?? "", Field.seconds(progress, "etaSeconds"), Field.text(progress, "reason"),
    ]
  }

  private static func inbound(_ session: JSONValue) -> [String] {
    let isProving = session["stage"]?.string == "proving"
    let (done, all) = isProving ? ("bytesProven", "bytesToProve") : ("bytesReceived", "bytesPlanned")
    return [
      "incoming", "\(Field.text(session, "namespace"))/\(Field.text(session, "volume"))",
      "from \(Field.text(session, "cluster"))", Field.text(session, "stage"), Field.size(session, done),
      Field.size(session, all), percent(session, done, of: all), "", "", "",
    ]
  }

  private static func percent(_ value: JSONValue, _ done: String, of all: String) -> String {
    guard let done = value[done]?.double, let all = value[all]?.double, all > 0 else { return "" }
    return "\(Int(min(1, max(0, done / all)) * 100))%"
  }
}
