import APIModel
import KubeModel
import Foundation
import ReplModel

/// A time zone as a function: how far local clocks are ahead of UTC at an instant. Times are seconds since 1970.
struct ScheduleZone: Sendable {
  /// Seconds east of UTC at an instant.
  let offset: @Sendable (Int64) -> Int64

  static let utc = ScheduleZone { _ in 0 }

  init(offset: @escaping @Sendable (Int64) -> Int64) { self.offset = offset }

  init(_ zone: TimeZone) {
    offset = { Int64(zone.secondsFromGMT(for: Date(timeIntervalSince1970: Double($0)))) }
  }

  /// The zone of an IANA name; nil: the zone of the node.
  ///
  /// - Throws: `.invalid` for a name that is not in the zone database.
  init(named name: String?) throws(ReplError) {
    guard let name else {
      self.init(TimeZone.current)
      return
    }
    // `UTC+2` is no name of the database: which way it counts is read in two ways.
    let isOffset = !name.contains("/") && name.contains { "+-".contains($0) }
    guard !isOffset, let zone = TimeZone(identifier: name) else {
      throw ReplError(
        .invalid, subject: "time zone \(name)", cause: "is not known",
        remedy: "give a name such as Europe/Berlin or UTC; Etc/GMT-2 is two hours ahead of UTC")
    }
    self.init(zone)
  }

  /// The local date at an instant, in days since 1970-01-01.
  func day(_ instant: Int64) -> Int64 {
    let local = instant + offset(instant)
    return local >= 0 ? local / 86_400 : -((-local + 86_399) / 86_400)
  }

  /// The first instant at which local clocks show a time of a day, or a later one.
  ///
  /// So a time that the day lacks, because clocks jump ahead over it, is the moment of the jump; of a time that the day
  /// has twice it is the first.
  func instant(day: Int64, minutes: Int64) -> Int64 {
    let wanted = day * 86_400 + minutes * 60
    // No zone is further than 15 hours from UTC, so a day to each side brackets the instant.
    let (early, late) = (wanted - 86_400, wanted + 86_400)
    let (before, after) = (offset(early), offset(late))
    guard before != after else { return wanted - before }
    var (low, high) = (early, late)
    while high - low > 1 {
      let middle = low + (high - low) / 2
      if offset(middle) == before { low = middle } else { high = middle }
    }
    // `high` is the first instant with the new offset.
    return wanted - before < high ? wanted - before : max(high, wanted - after)
  }
}
