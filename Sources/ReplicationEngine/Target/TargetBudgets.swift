/// What one peer may take of a target at once. docs/security.md has the table. Who needs more waits or is refused with
/// `transient`; nobody else notices.
struct TargetBudgets: Sendable {
  /// Sessions that are begun and not ended.
  var sessions = 2048
  /// Volumes held, those among them that are gone at the source and whose points age out.
  var volumes = 16384
  /// Requests that work, wait for a thread, or whose answer was not fetched yet.
  var requests = 256
  /// Requests that wait ``replyTime`` for work to end, at once; the others wait ``shortTime``.
  var waitingRequests = 4
  /// Requests that open, close or publish files of one pool (begin, start, commit and the like), on threads of their own.
  var changesPerPool = 16
  /// Proofs of one pool at once, on threads of their own: some that take hours leave places for others.
  var proofsPerPool = 16
  /// Verifications and sums of one pool at once, on threads of their own.
  var readsPerPool = 4
  /// Verifications and readings of sums that work or wait, over all pools.
  var readRequests = 8
  /// Staging areas that one session may have made: a plan that changes for ever costs no more clones.
  var stagingPerSession = 32
  /// Points of a volume newer than the newest one its source has confirmed.
  var unconfirmedPoints = 8
  /// Seconds that sessions outlive the last control connection of their peer. What is staged stays for a later one.
  var grace = 300.0
  /// Seconds that a promotion waits for a proof, which may give it a newer point. One that takes longer is given up for it.
  var proofGrace = 60.0
  /// Longest time that a request waits for work to end before it is answered with how far the work is.
  var replyTime = Duration.seconds(10)
  /// Wait of the requests above ``waitingRequests``: enough for what is quick, too little to hold the threads of a
  /// connection.
  var shortTime = Duration.milliseconds(50)
  /// Longest time that work waits for its turn at a volume.
  var turnTime = Duration.seconds(120)
  /// Work that waits for its turn at one volume.
  var waitingForTurn = 4
  /// Seconds for which the answer to a long read is kept for a peer that was cut off.
  var keptAnswer = 300.0
}
