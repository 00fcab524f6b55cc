/// Times as the API writes them: RFC 3339 in UTC, whole seconds (`2019-02-14T22:16:51Z`).
public enum Timestamp {
  /// The text of a time in seconds since 1970.
  public static func text(_ seconds: Int64) -> String {
    let days = floorDivide(seconds, 86_400)
    let rest = seconds - days * 86_400
    let (year, month, day) = civil(days)
    return "\(pad(year, 4))-\(pad(month, 2))-\(pad(day, 2))T"
      + "\(pad(rest / 3_600, 2)):\(pad(rest / 60 % 60, 2)):\(pad(rest % 60, 2))Z"
  }

  /// Seconds since 1970 of an RFC 3339 text in any offset; fractions are cut off; nil for anything else.
  public static func seconds(_ text: String) -> Int64? {
    let letters = Array(text.utf8)
    guard letters.count >= 20, letters[4] == 0x2D, letters[7] == 0x2D, letters[10] == 0x54 || letters[10] == 0x74,
      letters[13] == 0x3A, letters[16] == 0x3A
    else { return nil }
    func number(_ range: Range<Int>) -> Int64? { digits(letters[range]) }
    guard let year = number(0..<4), let month = number(5..<7), let day = number(8..<10), let hour = number(11..<13),
      let minute = number(14..<16), let second = number(17..<19), (1...12).contains(month), (1...31).contains(day),
      (0...23).contains(hour), (0...59).contains(minute), (0...60).contains(second),
      civil(daysFromCivil(year, month, day)).day == day
    else { return nil }
    var rest = letters[19...]
    if rest.first == 0x2E {
      rest = rest.dropFirst()
      guard let first = rest.first, isDigit(first) else { return nil }
      rest = rest.drop(while: isDigit)
    }
    guard let offset = offset(Array(rest)) else { return nil }
    return daysFromCivil(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second - offset
  }

  private static func offset(_ letters: [UInt8]) -> Int64? {
    if letters == [0x5A] || letters == [0x7A] { return 0 }
    guard letters.count == 6, letters[3] == 0x3A, letters[0] == 0x2B || letters[0] == 0x2D,
      let hours = digits(letters[1..<3]), let minutes = digits(letters[4..<6]), hours <= 24, minutes < 60
    else { return nil }
    return (hours * 3_600 + minutes * 60) * (letters[0] == 0x2D ? -1 : 1)
  }

  private static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }

  /// A number of digits only: no sign.
  private static func digits(_ bytes: ArraySlice<UInt8>) -> Int64? {
    bytes.allSatisfy(isDigit) ? Int64(String(decoding: bytes, as: UTF8.self)) : nil
  }

  /// The date of the proleptic Gregorian calendar `days` days after 1970-01-01, by eras of 400 years.
  public static func civil(_ days: Int64) -> (year: Int64, month: Int64, day: Int64) {
    let shifted = days + 719_468
    let era = floorDivide(shifted, 146_097)
    let dayOfEra = shifted - era * 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let monthFromMarch = (5 * dayOfYear + 2) / 153
    let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
    return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * monthFromMarch + 2) / 5 + 1)
  }

  /// Days since 1970-01-01 of a date; a day beyond the end of its month counts on into the next one.
  public static func daysFromCivil(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
    let shifted = month <= 2 ? year - 1 : year
    let era = floorDivide(shifted, 400)
    let yearOfEra = shifted - era * 400
    let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
    return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
  }

  private static func floorDivide(_ value: Int64, _ by: Int64) -> Int64 {
    value >= 0 ? value / by : -((-value + by - 1) / by)
  }

  static func pad(_ value: Int64, _ width: Int) -> String {
    let digits = String(value)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
  }
}
