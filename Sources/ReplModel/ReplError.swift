/// Why something was refused or failed: which object, what happened, what to do.
///
/// One shape for the whole package; retry decisions, exit codes and API answers follow from `kind` by table.
public struct ReplError: Error, Hashable, Sendable, CustomStringConvertible {
  /// What a caller may do about it. The raw values travel on the wire and in exit codes: never renumber.
  public enum Kind: UInt16, Sendable, CaseIterable {
    /// The caller's input is wrong; the same call will fail again.
    case invalid = 1
    /// The object named does not exist.
    case notFound = 2
    /// The state of an object forbids it (in use, fenced, not paired, no room).
    case refused = 3
    /// A network or peer failure: the same call may succeed later.
    case transient = 4
    /// Input/output failed, with the file and offset.
    case io = 5
    /// No room on a file system; retried when there is.
    case noSpace = 6
    /// What was read is not what was written: damage or tampering.
    case damaged = 7
    /// No evidence that the source holds still (design section 5).
    case noPointInTime = 8
    /// The peer broke the protocol or speaks another major version.
    case protocolViolation = 9
    /// Histories diverged; an operator decides.
    case diverged = 10
    /// The work was cancelled on request.
    case cancelled = 11
    /// A defect of this program.
    case bug = 12
    /// The target has no fingerprint key for the lineage: begin again with the key.
    case keyNeeded = 13
    /// Authentication or trust failed.
    case unauthenticated = 14
    /// The object exists already.
    case exists = 15
    /// The peer does not offer what is asked for: it is older, or made for less.
    case unsupported = 16
  }

  public var kind: Kind
  /// The object, such as `volume shop/db` or a file name. Never a secret.
  public var subject: String
  /// What happened, in a clause without a full stop.
  public var cause: String
  /// What a person can do; nil where nothing helps but reading the cause.
  public var remedy: String?

  public init(_ kind: Kind, subject: String, cause: String, remedy: String? = nil) {
    self.kind = kind
    self.subject = subject
    self.cause = cause
    self.remedy = remedy
  }

  /// `subject: cause (remedy)`, one line.
  public var description: String {
    remedy.map { "\(subject): \(cause) (\($0))" } ?? "\(subject): \(cause)"
  }
}
