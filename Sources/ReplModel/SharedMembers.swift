import Synchronization

/// Lets seals of one group hold its member list together. Every seal of a group names all its members: a group of 500
/// whose seals are decoded one by one would have 250,000 of them in memory. Any thread may call.
public enum SharedMembers {
  /// Members from which on a list is worth it.
  private static let least = 8
  /// Lists that are kept for whoever decodes the next seal of their group.
  private static let capacity = 8

  /// The one used last comes last.
  private static let lists = Mutex<[[GroupMember]]>([])

  /// The list, or an equal one that others hold already.
  public static func share(_ members: [GroupMember]) -> [GroupMember] {
    guard members.count >= least else { return members }
    return lists.withLock { lists in
      let list = lists.firstIndex(of: members).map { lists.remove(at: $0) } ?? members
      if lists.count >= capacity { lists.removeFirst() }
      lists.append(list)
      return list
    }
  }
}
