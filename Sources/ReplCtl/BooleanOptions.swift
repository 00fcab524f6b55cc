/// Switches of `create` that the Stork tools take as `--x`, `--x=false` and `--x=true`: the parser needs a value.
enum BooleanOptions {
  private static let names: Set<String> = [
    "--includeResources", "--include-resources", "--includeVolumes", "--include-volumes", "--startApplications",
    "--start-applications", "--exclude-resources", "--exclude-volumes", "--suspend", "--disable-auto-suspend",
    "--disable-skip-deleted-namespaces", "--ignore-owner-references-check", "--purge-deleted-resources",
    "--skip-service-update", "--include-network-policy-with-cidr", "--include-jobs",
  ]
  private static let short = ["-r": "--include-resources", "-a": "--start-applications"]

  /// The arguments with a value for every switch that has none.
  static func completed(_ arguments: [String]) -> [String] {
    guard arguments.first == "create" else { return arguments }
    return arguments.indices.map { index in
      let parts = arguments[index].split(separator: "=", maxSplits: 1).map(String.init)
      guard let first = parts.first else { return arguments[index] }
      let name = short[first] ?? first
      guard names.contains(name) else { return arguments[index] }
      if parts.count == 2 { return "\(name)=\(parts[1])" }
      let next = index + 1 < arguments.count ? arguments[index + 1] : ""
      return next == "true" || next == "false" ? name : "\(name)=true"
    }
  }
}
