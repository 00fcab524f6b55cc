import Glibc
import TestSupport
import Testing

extension Integration {
  @Suite("The official Python client and plain HTTP find a Kubernetes API on the loopback port")
  struct KubernetesClients {
    @Test("every check of Tests/kubernetes/conformance.py passes", .requiresPythonClient)
    func conformance() throws {
      try OneSite.run { site in
        let kubeconfig = "\(site.directory)/kubeconfig"
        try site.control.check("kubeconfig", "--output", kubeconfig)
        let result = try Command.run(
          [PythonClient.program, "\(PythonClient.root)/Tests/kubernetes/conformance.py", "--kubeconfig", kubeconfig],
          seconds: 300)
        let failed = result.output.split(separator: "\n").filter { !$0.hasPrefix("ok ") }.joined(separator: "\n")
        #expect(result.status == 0, "\(failed)\n\(result.errors)")
        #expect(result.output.contains("\nok "), "it checked something")
        #expect(site.agent.isRunning)
      }
    }
  }
}

/// The Python package `kubernetes`, in the environment that Scripts/install-clients makes.
private enum PythonClient {
  /// Of the package.
  static let root: String = {
    let file = #filePath
    return file.split(separator: "/", omittingEmptySubsequences: false).dropLast(3).joined(separator: "/")
  }()

  static let program = "\(root)/.build/kubernetes-venv/bin/python"
}

extension Trait where Self == ConditionTrait {
  /// Needs the Python package. Skipped where it is missing; in continuous integration (CI is set) it runs, and fails.
  fileprivate static var requiresPythonClient: Self {
    .enabled("needs the Python package kubernetes (Scripts/install-clients)") {
      getenv("CI") != nil || (try? LoopFileSystem.run([PythonClient.program, "-c", "import kubernetes"])) != nil
    }
  }
}
