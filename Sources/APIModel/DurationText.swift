/// Durations as texts: Go's notation in status fields, kubectl's short ages in tables.
public enum DurationText {
  /// Go's notation of whole seconds: `19s`, `5m0s`, `1h30m3s`.
  public static func go(_ seconds: Int64) -> String {
    guard seconds >= 0 else { return "-" + go(seconds == .min ? .max : -seconds) }
    let hours = seconds / 3_600
    let minutes = seconds / 60 % 60
    if hours > 0 { return "\(hours)h\(minutes)m\(seconds % 60)s" }
    return minutes > 0 ? "\(minutes)m\(seconds % 60)s" : "\(seconds % 60)s"
  }

  /// kubectl's age: the two largest units while that says something (`3m5s`, `12m`, `5h2m`, `3d4h`, `2y10d`).
  public static func age(_ seconds: Int64) -> String {
    guard seconds >= 0 else { return seconds >= -1 ? "0s" : "<invalid>" }
    let minutes = seconds / 60
    let hours = seconds / 3_600
    let days = hours / 24
    func pair(_ large: Int64, _ unit: String, _ small: Int64, _ rest: String) -> String {
      small == 0 ? "\(large)\(unit)" : "\(large)\(unit)\(small)\(rest)"
    }
    if seconds < 120 { return "\(seconds)s" }
    if minutes < 10 { return pair(minutes, "m", seconds % 60, "s") }
    if minutes < 180 { return "\(minutes)m" }
    if hours < 8 { return pair(hours, "h", minutes % 60, "m") }
    if hours < 48 { return "\(hours)h" }
    if hours < 192 { return pair(days, "d", hours % 24, "h") }
    if days < 730 { return "\(days)d" }
    if days < 2_920 { return pair(days / 365, "y", days % 365, "d") }
    return "\(days / 365)y"
  }
}
