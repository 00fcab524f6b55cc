public import APIModel

// What objects may be called.
extension ResourceKind {
  /// Refuses a name that is not a DNS subdomain (or label, where the kind wants that).
  public func checkName(_ name: String) throws(StatusError) {
    let valid = labelName ? Self.isLabel(name) : Self.isSubdomain(name)
    guard !valid else { return }
    let text =
      labelName
      ? "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end "
        + "with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
        + "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
      : "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "
        + "and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
        + "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
    throw invalid(
      String(name.prefix(256)),
      [
        StatusError.Cause(
          reason: "FieldValueInvalid", message: "Invalid value: \"\(name.prefix(256))\": \(text)",
          field: "metadata.name")
      ])
  }

  /// At most 63 of `[a-z0-9-]`, not beginning or ending with a hyphen.
  public static func isLabel(_ text: some StringProtocol) -> Bool {
    guard (1...63).contains(text.utf8.count), text.first != "-", text.last != "-" else { return false }
    return text.utf8.allSatisfy { (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2D }
  }

  /// Labels of any length joined by dots, at most 253 characters.
  public static func isSubdomain(_ text: String) -> Bool {
    guard (1...253).contains(text.utf8.count) else { return false }
    return text.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { label in
      !label.isEmpty && label.first != "-" && label.last != "-"
        && label.utf8.allSatisfy { (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2D }
    }
  }
}
