import TestSupport
import Testing

extension Integration {
  @Suite("The same file with both clients", .requiresKubectl)
  struct YAMLSpellings {
    private static let scalars = [
      "yes", "on", "Y", "y", "n", "Off", "yEs", "~", "Null", "nULL", "030", "0x10", "0b11", "0o17", "1_0", "08", "+10",
      "-0x1F", "1e3", "1.0", "1.5", ".5", "0.", "-.5", "1.2.3", "12:30:45", "2024-01-01", "0x", "1e", "--5", "0x-5",
      "0_10",
      "1_0.5", "._5", "1e400", "_1", "+", "=", "0b", "00", "'yes'", "\"030\"",
    ]

    private func text(_ name: String) -> String {
      """
      apiVersion: stork.libopenstorage.org/v1alpha1
      kind: Rule
      metadata: {name: \(name)}
      common: &common {a: 1, b: yes}
      other: &other {b: 2, c: 030}
      spec:
        scalars: [\(Self.scalars.joined(separator: ", "))]
        after: {<<: *common, a: 3}
        before: {a: 3, <<: *common}
        several: {<<: [*common, *other]}
        8080: number
        on: word
        1.5: fraction
        'no': text
      """
    }

    @Test("replctl makes of a file the object that kubectl makes of it")
    func spellings() throws {
      try OneSite.run { site in
        let kubectl = try Kubectl(site, in: site.directory)
        try kubectl.apply(text("kubectl"), namespace: "default")
        let file = try kubectl.file("replctl.yaml", "\u{FEFF}" + text("replctl"))
        try site.control.check("apply", "-n", "default", "-f", file)
        for field in ["spec", "common", "other"] {
          func read(_ name: String) throws -> String {
            try kubectl.check(
              "get", "rules.stork.libopenstorage.org", name, "-n", "default", "-o", "jsonpath={.\(field)}")
          }
          #expect(try read("replctl") == read("kubectl"))
        }
      }
    }
  }
}
