import TestSupport
import Testing

@testable import MetricsExposition

/// The text that Prometheus reads.
@Suite struct ExpositionTextTests {
  private static let free = MetricDefinition("pool_free_bytes", .gauge, "Bytes free")

  private static func family(_ definition: MetricDefinition, _ samples: [(MetricLabels, Double)]) -> MetricFamily {
    var family = MetricFamily(definition)
    for (labels, value) in samples { family.add(labels, value) }
    return family
  }

  @Test("a family is its help, its type and its figures, each on a line")
  func form() {
    let text = ExpositionText.render([
      Self.family(Self.free, [([("pool", "a")], 4096), ([("pool", "b"), ("kind", "xfs")], 0.5)]),
      MetricFamily(MetricDefinition("up", .gauge, "Whether it works"), 1),
    ])
    #expect(
      text == """
        # HELP pool_free_bytes Bytes free
        # TYPE pool_free_bytes gauge
        pool_free_bytes{pool="a"} 4096
        pool_free_bytes{pool="b",kind="xfs"} 0.5
        # HELP up Whether it works
        # TYPE up gauge
        up 1

        """)
  }

  @Test("quotes, backslashes and line ends of values are escaped, and come back as they were")
  func escaping() throws {
    let value = "C:\\dir \"a\"\nb\r\nc\\n\u{301}ß"
    let text = ExpositionText.render([Self.family(Self.free, [([("pool", value)], 1)])])
    #expect(text.contains(#"{pool="C:\\dir \"a\"\nb"#))
    #expect(text.utf8.filter { $0 == 10 }.count == 3)
    #expect(try ExpositionPage(text).samples.map(\.labels) == [["pool": value]])
  }

  @Test("a help text keeps its quotes and loses its line ends")
  func help() {
    let text = ExpositionText.render([MetricFamily(MetricDefinition("a", .gauge, "say \"a\"\\\nor b"), 1)])
    #expect(text.hasPrefix("# HELP a say \"a\"\\\\\\nor b\n"))
  }

  @Test(
    "numbers are written as Prometheus reads them",
    arguments: [
      (0, "0"), (-3, "-3"), (1.5, "1.5"), (9_007_199_254_740_991, "9007199254740991"), (1e300, "1e+300"),
      (0.000_001, "1e-06"), (.infinity, "+Inf"), (-.infinity, "-Inf"), (.nan, "NaN"),
    ] as [(Double, String)])
  func numbers(value: Double, text: String) { #expect(ExpositionText.number(value) == text) }

  @Test("an empty value is no label, and the same figure comes once, whatever the order of its labels")
  func duplicates() throws {
    let text = ExpositionText.render([
      Self.family(
        Self.free,
        [
          ([("pool", "a"), ("node", "")], 1), ([("pool", "a")], 2), ([("pool", "a"), ("node", "n")], 3),
          ([("node", "n"), ("pool", "a")], 4),
        ]),
      Self.family(Self.free, [([("pool", "z")], 9)]),
    ])
    #expect(try ExpositionPage(text).samples.map(\.value) == [1, 3])
  }

  @Test("names that are none do not spoil the page")
  func badNames() throws {
    let text = ExpositionText.render([
      MetricFamily(MetricDefinition("9lives", .gauge, "x"), 1), MetricFamily(MetricDefinition("a-b", .gauge, "x"), 1),
      MetricFamily(MetricDefinition("", .gauge, "x"), 1),
      Self.family(
        Self.free, [([("a.b", "x")], 1), ([("__name__", "x")], 2), ([("", "x")], 3), ([("a", "x"), ("a", "y")], 4)]),
    ])
    #expect(text == "# HELP pool_free_bytes Bytes free\n# TYPE pool_free_bytes gauge\n")
  }

  @Test("a set brings the figures of a family together, whatever the order they were found in")
  func grouping() throws {
    let size = MetricDefinition("pool_size_bytes", .gauge, "Size")
    var set = MetricSet()
    for pool in ["a", "b"] {
      set.add(Self.free, [("pool", pool)], 1)
      set.add(size, [("pool", pool)], 2)
    }
    let page = try ExpositionPage(ExpositionText.render(set.families))
    #expect(page.samples.map(\.name) == ["pool_free_bytes", "pool_free_bytes", "pool_size_bytes", "pool_size_bytes"])
  }
}
