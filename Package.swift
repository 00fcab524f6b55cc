// swift-tools-version: 6.1
import PackageDescription

/// Settings shared by every Swift target of this package: one language mode, one set of rules.
let strict: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
]

let package = Package(
  name: "repl-agent",
  products: [
    .executable(name: "repl-agent", targets: ["ReplAgent"]),
    .executable(name: "replctl", targets: ["ReplCtl"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser.git", from: "1.8.0"),
    .package(url: "https://github.com/apple/swift-http-types.git", from: "1.8.0"),
    .package(url: "https://github.com/apple/swift-log.git", from: "1.16.0"),
    .package(url: "https://github.com/apple/swift-metrics.git", from: "2.13.0"),
    .package(url: "https://github.com/apple/swift-nio.git", from: "2.101.0"),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle.git", from: "2.13.0"),
    .package(url: "https://github.com/hummingbird-project/hummingbird.git", from: "2.28.0"),
    .package(url: "https://github.com/groue/GRDB.swift.git", from: "7.10.0"),
    .package(url: "https://github.com/jpsim/Yams.git", from: "6.2.0"),
  ],
  targets: [
    // libssl, liblz4, libxxhash and the ioctls Swift cannot call: thin, no policy, errors as values.
    .target(
      name: "CStorageShims",
      cSettings: [.unsafeFlags(["-Wall", "-Wextra", "-Werror"])],
      linkerSettings: [
        .linkedLibrary("ssl"), .linkedLibrary("crypto"), .linkedLibrary("lz4"), .linkedLibrary("xxhash"),
      ]),
    // The words both sides share: ids, extents, fingerprints, seals, errors. Values only, no I/O.
    .target(name: "ReplModel", swiftSettings: strict),
    // Threads of the system for work that blocks, and how they wait for each other.
    .target(name: "Threads", dependencies: ["CStorageShims", "ReplModel"], swiftSettings: strict),
    // Volumes, snapshots, change sources, fingerprints, staging and sealing of recovery points.
    .target(name: "BlockDiff", dependencies: ["CStorageShims", "ReplModel", "Threads"], swiftSettings: strict),
    // Frames, messages and state machines; no sockets, no files, no clock.
    .target(name: "WireProtocol", dependencies: ["CStorageShims", "ReplModel"], swiftSettings: strict),
    // TLS and sockets, and what runs the protocol machines on them.
    .target(
      name: "WireTransport", dependencies: ["CStorageShims", "ReplModel", "Threads", "WireProtocol"],
      swiftSettings: strict),
    // What is measured, as Prometheus reads it: families, their text, a backend for swift-metrics. No I/O, no clock.
    .target(
      name: "MetricsExposition", dependencies: [.product(name: "CoreMetrics", package: "swift-metrics")],
      swiftSettings: strict),
    // What a control plane may ask of an agent, and the typed reports it gets: verbs and values, nothing behind them.
    .target(name: "AgentService", dependencies: ["ReplModel"], swiftSettings: strict),
    // Joins BlockDiff and the wire: catalogue, cycles, target service, pairing, scrub, verify.
    .target(
      name: "ReplicationEngine",
      dependencies: [
        "AgentService", "BlockDiff", "MetricsExposition", "ReplModel", "Threads", "WireProtocol", "WireTransport",
        .product(name: "CoreMetrics", package: "swift-metrics"),
        .product(name: "GRDB", package: "GRDB.swift"),
        .product(name: "Logging", package: "swift-log"),
      ], swiftSettings: strict),
    // JSON documents, Kubernetes objects, quantities and Status errors: what the API and its client share.
    .target(name: "APIModel", swiftSettings: strict),
    // Kinds as values (names, schemas, tables, rules) and the store that controllers talk to. No I/O, no clock.
    .target(name: "KubeModel", dependencies: ["APIModel"], swiftSettings: strict),
    // The Kubernetes-shaped API: object store, verbs, patches, field ownership, watches, HTTP. Kinds come from outside.
    .target(
      name: "KubeServer",
      dependencies: [
        "APIModel", "KubeModel", "MetricsExposition", "ReplModel",
        .product(name: "CoreMetrics", package: "swift-metrics"),
        .product(name: "GRDB", package: "GRDB.swift"),
        .product(name: "HTTPTypes", package: "swift-http-types"),
        .product(name: "Hummingbird", package: "hummingbird"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
      ], swiftSettings: strict),
    // The Stork kinds and what carries their objects out, on any store and any agent.
    .target(
      name: "StorkControllers",
      dependencies: [
        "AgentService", "APIModel", "KubeModel", "MetricsExposition", "ReplModel",
        .product(name: "CoreMetrics", package: "swift-metrics"),
        .product(name: "Logging", package: "swift-log"),
      ], swiftSettings: strict),
    // The daemon: configuration, service graph, signals, systemd notification.
    .executableTarget(
      name: "ReplAgent",
      dependencies: [
        "AgentService", "APIModel", "BlockDiff", "KubeModel", "KubeServer", "MetricsExposition", "ReplicationEngine",
        "ReplModel", "StorkControllers", "WireTransport", "Yams",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "Hummingbird", package: "hummingbird"),
        .product(name: "HummingbirdCore", package: "hummingbird"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
      ], swiftSettings: strict),
    // The command-line client of the local socket.
    .executableTarget(
      name: "ReplCtl",
      dependencies: [
        "APIModel", "ReplModel", "Yams",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ], swiftSettings: strict),
    // In-memory disk with crash semantics, fault injection, byte patterns, seeded randomness.
    .target(
      name: "TestSupport", dependencies: ["BlockDiff", "ReplModel", "Threads"], path: "Tests/TestSupport",
      swiftSettings: strict),
    .testTarget(name: "ReplModelTests", dependencies: ["ReplModel", "TestSupport"], swiftSettings: strict),
    .testTarget(
      name: "ThreadsTests", dependencies: ["Threads", "ReplModel", "TestSupport"], swiftSettings: strict),
    .testTarget(
      name: "BlockDiffTests", dependencies: ["BlockDiff", "CStorageShims", "ReplModel", "TestSupport", "Threads"],
      swiftSettings: strict),
    .testTarget(
      name: "MetricsExpositionTests",
      dependencies: [
        "MetricsExposition", "TestSupport", .product(name: "CoreMetrics", package: "swift-metrics"),
      ], swiftSettings: strict),
    .testTarget(
      name: "WireProtocolTests", dependencies: ["CStorageShims", "WireProtocol", "ReplModel", "TestSupport"],
      swiftSettings: strict),
    .testTarget(
      name: "WireTransportTests",
      dependencies: ["CStorageShims", "WireTransport", "WireProtocol", "Threads", "ReplModel", "TestSupport"],
      swiftSettings: strict),
    .testTarget(
      name: "ReplicationEngineTests",
      dependencies: [
        "AgentService", "ReplicationEngine", "BlockDiff", "MetricsExposition", "WireProtocol", "WireTransport",
        "Threads", "ReplModel",
        "TestSupport",
        .product(name: "GRDB", package: "GRDB.swift"),
        .product(name: "Logging", package: "swift-log"),
      ], swiftSettings: strict),
    .testTarget(
      name: "SimulationTests",
      dependencies: [
        "AgentService", "ReplicationEngine", "BlockDiff", "MetricsExposition", "WireProtocol", "WireTransport",
        "Threads",
        "ReplModel", "TestSupport",
        .product(name: "GRDB", package: "GRDB.swift"),
        .product(name: "Logging", package: "swift-log"),
      ], swiftSettings: strict),
    .testTarget(
      name: "ControlPlaneTests",
      dependencies: [
        "AgentService", "APIModel", "KubeModel", "KubeServer", "MetricsExposition", "ReplAgent", "ReplicationEngine",
        "ReplCtl", "ReplModel", "StorkControllers", "TestSupport",
        .product(name: "GRDB", package: "GRDB.swift"),
        .product(name: "Logging", package: "swift-log"),
      ], swiftSettings: strict),
    .testTarget(
      name: "ReplCtlTests", dependencies: ["ReplCtl", "APIModel"], swiftSettings: strict),
    .testTarget(
      name: "ReplAgentTests",
      dependencies: [
        "ReplAgent", "ReplicationEngine", "ReplModel",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ], swiftSettings: strict),
    .testTarget(
      name: "IntegrationTests", dependencies: ["TestSupport"], swiftSettings: strict),
  ]
)
