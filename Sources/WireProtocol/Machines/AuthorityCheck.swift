public import ReplModel

/// Who may replicate onto whom: the first rule of design section 9, and nothing but ids decides.
public enum AuthorityCheck: Hashable, Sendable {
  /// The same branch as recorded, or the first one ever seen: go on.
  case proceed
  /// A branch the recorded one descends from: refused, and the sender demotes itself.
  case refusedOld
  /// Anything else, whatever the epochs: both sides keep everything and an operator decides.
  case diverged

  /// - Parameters:
  ///   - recorded: the volume's branch here; nil if none was ever seen.
  ///   - offered: the branch of the session.
  ///   - ancestors: branches the recorded one is known to descend from.
  public init(recorded: Branch?, offered: Branch, ancestors: some Sequence<BranchID>) {
    guard let recorded, recorded.id != offered.id else {
      self = .proceed
      return
    }
    self = ancestors.contains(offered.id) ? .refusedOld : .diverged
  }

  /// The refusal to answer with; nil for ``proceed``.
  public func refusal(subject: String) -> ReplError? {
    switch self {
    case .proceed: nil
    case .refusedOld:
      ReplError(
        .refused, subject: subject, cause: "was promoted here since: the session is of an older branch",
        remedy: "demote the source; replicate the other way")
    case .diverged:
      ReplError(
        .diverged, subject: subject, cause: "has a history here that the session's branch is no part of",
        remedy: "decide which side is right; both keep everything until then")
    }
  }
}
