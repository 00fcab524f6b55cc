/// What kind of figure a family holds.
public enum MetricKind: String, Hashable, Sendable {
  /// Only grows while the process lives; its name ends in `_total`.
  case counter
  case gauge
  /// A sum and a count of observations; no quantiles.
  case summary
}

/// The name of a metric and what it says. Names follow Prometheus: base units (seconds, bytes), counters end in `_total`.
public struct MetricDefinition: Hashable, Sendable {
  public let name: String
  public let kind: MetricKind
  /// One sentence for people, without a full stop.
  public let help: String

  public init(_ name: String, _ kind: MetricKind, _ help: String) {
    self.name = name
    self.kind = kind
    self.help = help
  }
}

/// Label names with their values, as they are written. Values must come from a bounded set.
public typealias MetricLabels = [(name: String, value: String)]

/// One figure of a family.
public struct MetricSample: Sendable {
  /// What follows the family's name: empty, or `_sum` and `_count` of a summary.
  public var suffix: String
  public var labels: MetricLabels
  public var value: Double

  public init(suffix: String = "", labels: MetricLabels, value: Double) {
    self.suffix = suffix
    self.labels = labels
    self.value = value
  }
}

/// A metric with its figures of one moment.
public struct MetricFamily: Sendable {
  public let definition: MetricDefinition
  public private(set) var samples: [MetricSample] = []

  public init(_ definition: MetricDefinition) { self.definition = definition }

  /// A family of one figure without labels.
  public init(_ definition: MetricDefinition, _ value: Double) {
    self.init(definition)
    add([], value)
  }

  /// Adds a figure. One with the same labels as an earlier one is left out of the text.
  public mutating func add(_ labels: MetricLabels, _ value: Double) {
    samples.append(MetricSample(labels: labels, value: value))
  }

  mutating func add(_ sample: MetricSample) { samples.append(sample) }
}

/// Families that a collector fills in any order; each appears once, in the order of its first figure.
public struct MetricSet: Sendable {
  private var order: [String] = []
  private var byName: [String: MetricFamily] = [:]

  public init() {}

  public mutating func add(_ definition: MetricDefinition, _ labels: MetricLabels = [], _ value: Double) {
    if byName[definition.name] == nil {
      order.append(definition.name)
      byName[definition.name] = MetricFamily(definition)
    }
    byName[definition.name]?.add(labels, value)
  }

  public var families: [MetricFamily] { order.compactMap { byName[$0] } }
}
