import ReplModel

/// How old a point is: what the clocks say, unless they cannot be right.
struct Lag: Hashable, Sendable {
  /// Seconds; nil when it is not known.
  var seconds: Double?
  /// Why it is not known though there is a point; empty otherwise.
  var reason = ""
  /// Where it is not known: the seconds that it is at the least, since by this agent's clock the point has been sealed
  /// for so long; nil where that is not known either.
  var atLeast: Double?

  /// Seconds by which a point may be dated ahead of now: clocks are slewed, and offsets have errors.
  private static let tolerance = 5.0

  /// No point, no age.
  static let none = Lag(seconds: nil)

  /// - Parameters:
  ///   - takenAt: by the source's clock.
  ///   - offset: the source's clock minus this one, in nanoseconds.
  init(since takenAt: Timestamp, now: Timestamp, offset: Int64 = 0) {
    let age = now.seconds(since: takenAt) + Double(offset) / 1e9
    guard age >= -Self.tolerance else {
      reason = "the newest point is dated \(Int(min(-age, 1e12))) s ahead of now: a clock was set back since"
      return
    }
    seconds = max(0, age)
  }

  /// The age of a point that is held for a peer.
  ///
  /// - Parameter offset: the peer's clock minus this one, in nanoseconds; nil when nobody knows.
  init(of point: HeldPoint, now: Timestamp, offset: Int64?) {
    if let offset {
      self.init(since: point.takenAt, now: now, offset: offset)
    } else {
      self.init(seconds: nil)
      reason = "how far the source's clock is off is not known until it is heard"
    }
    guard seconds == nil else { return }
    let sealed = now.seconds(since: point.sealedAt)
    atLeast = sealed >= 0 ? sealed : nil
    if let atLeast { reason += "; the newest point was sealed here \(Int(min(atLeast, 1e12))) s ago" }
  }

  private init(seconds: Double?) { self.seconds = seconds }
}

/// When a point of a peer's volume was taken and sealed.
struct HeldPoint: Hashable, Sendable {
  /// By the source's clock.
  var takenAt: Timestamp
  /// By this agent's clock.
  var sealedAt: Timestamp
}

extension CatalogPoint {
  var held: HeldPoint { HeldPoint(takenAt: seal.takenAt, sealedAt: sealedAt) }
}
