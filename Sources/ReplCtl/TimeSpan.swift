import ArgumentParser

/// A time as people write it on a command line: `30`, `30s`, `5m`, `1h30m`, `2d`.
struct TimeSpan: ExpressibleByArgument, CustomStringConvertible {
  /// 0 to about three years.
  var seconds: Double

  private static let units: [Character: Double] = ["s": 1, "m": 60, "h": 3_600, "d": 86_400]
  private static let most = 1e8

  init(seconds: Double) { self.seconds = min(max(0, seconds), Self.most) }

  init?(argument: String) {
    if let number = Double(argument), number >= 0 {
      self.init(seconds: number)
      return
    }
    var (total, digits) = (0.0, "")
    for letter in argument {
      guard let unit = Self.units[letter] else {
        digits.append(letter)
        continue
      }
      guard let number = Double(digits), number >= 0 else { return nil }
      (total, digits) = (total + number * unit, "")
    }
    guard digits.isEmpty, !argument.isEmpty else { return nil }
    self.init(seconds: total)
  }

  var description: String { seconds == seconds.rounded() ? "\(Int(seconds))s" : "\(seconds)s" }
}
