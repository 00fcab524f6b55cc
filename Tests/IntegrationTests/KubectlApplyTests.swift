import TestSupport
import Testing

extension Integration {
  @Suite("kubectl apply --server-side", .requiresKubectl)
  struct KubectlServerSideApply {
    private typealias Objects = KubectlObjects

    /// Runs a test with a kubectl at a fresh agent, in the namespace `shop`.
    private func run(_ body: (Kubectl) throws -> Void) throws {
      try OneSite.run { site in
        let kubectl = try Kubectl(site, in: site.directory)
        try kubectl.check("create", "namespace", "shop")
        try kubectl.check("config", "set-context", "--current", "--namespace=shop")
        try body(kubectl)
      }
    }

    /// A manager and how it wrote, for each entry of `managedFields`.
    private func managers(_ kubectl: Kubectl, _ object: String) throws -> [String] {
      let path = #"jsonpath={range .metadata.managedFields[*]}{.manager}{" "}{.operation}{"\n"}{end}"#
      let shown = kubectl.minorVersion >= 21 ? ["--show-managed-fields"] : []
      let result = try kubectl.run(["get", object, "-o", path] + shown)
      #expect(result.status == 0, "\(result.summary)")
      return result.output.words
    }

    @Test("A field somebody else changed is a conflict, by field and manager; --force-conflicts takes it over")
    func conflict() throws {
      try run { kubectl in
        let settings = Objects.settings
        #expect(
          try kubectl.apply(settings, namespace: "shop", "--server-side") == "configmap/settings serverside-applied\n")
        try kubectl.check("patch", "cm", "settings", "--type=merge", "-p", #"{"data":{"one":"other"}}"#)
        let file = try kubectl.file("settings.yaml", settings)
        let refused = try kubectl.run(["apply", "--server-side", "-f", file])
        #expect(refused.status != 0)
        #expect(refused.errors.contains("Apply failed with 1 conflict: conflict with \"kubectl-patch\" using v1"))
        #expect(refused.errors.contains(".data.one"), "\(refused.errors)")
        #expect(try kubectl.check("get", "cm", "settings", "-o", "jsonpath={.data.one}") == "other")

        try kubectl.check("apply", "--server-side", "--force-conflicts", "-f", file)
        #expect(try kubectl.check("get", "cm", "settings", "-o", "jsonpath={.data.one}") == "first")
        #expect(try managers(kubectl, "cm/settings") == ["kubectl Apply"])
      }
    }

    @Test("What is left out goes, and what another manager applied stays")
    func prune() throws {
      try run { kubectl in
        let mine = Objects.settings
        let theirs = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n  theirs: \"1\""
        try kubectl.apply(mine, namespace: "shop", "--server-side")
        try kubectl.apply(theirs, namespace: "shop", "--server-side", "--field-manager=other")
        try kubectl.apply(mine.replacing("  two: \"2\"\n", with: ""), namespace: "shop", "--server-side")
        #expect(
          try kubectl.check("get", "cm", "settings", "-o", "jsonpath={.data}") == #"{"one":"first","theirs":"1"}"#)
        let version = try kubectl.check("get", "cm", "settings", "-o", "jsonpath={.metadata.resourceVersion}")
        try kubectl.apply(theirs, namespace: "shop", "--server-side", "--field-manager=other")
        #expect(try kubectl.check("get", "cm", "settings", "-o", "jsonpath={.metadata.resourceVersion}") == version)
      }
    }

    @Test("What was applied on the client's side before goes over, without conflicts and with its fields")
    func migration() throws {
      try run { kubectl in
        for text in [Objects.settings, Objects.rule, Objects.deployment] {
          let applied = try kubectl.apply(text, namespace: "shop")
          let object = applied.words.first?.split(separator: " ").first.map(String.init) ?? ""
          #expect(try managers(kubectl, object) == ["kubectl-client-side-apply Update"])
          let changed = text.replacing("first", with: "second")
          #expect(try kubectl.apply(changed, namespace: "shop", "--server-side") == "\(object) serverside-applied\n")
          let after = try managers(kubectl, object)
          #expect(after.contains("kubectl Apply"), "\(object): \(after)")
          // Later ones take over what they owned on the client's side.
          if kubectl.minorVersion >= 26 {
            #expect(!after.contains { $0.contains("client-side") }, "\(object): \(after)")
          }
        }
        if kubectl.minorVersion >= 26 {
          let less = Objects.settings.replacing("  two: \"2\"\n", with: "").replacing("first", with: "second")
          try kubectl.apply(less, namespace: "shop", "--server-side")
          #expect(try kubectl.check("get", "cm", "settings", "-o", "jsonpath={.data}") == #"{"one":"second"}"#)
        }
        let back = try kubectl.apply(Objects.settings, namespace: "shop")
        #expect(back == "configmap/settings configured\n", "and back again")
      }
    }

    @Test("Owners are hidden where people look, and shown on demand")
    func hidden() throws {
      try run { kubectl in
        try kubectl.apply(Objects.settings, namespace: "shop", "--server-side")
        try kubectl.apply(Objects.rule, namespace: "shop", "--server-side")
        guard kubectl.minorVersion >= 21 else { return }
        for object in ["cm/settings", "rule.\(Objects.group)/freeze"] {
          #expect(try !kubectl.check("get", object, "-o", "yaml").contains("managedFields"))
          #expect(try kubectl.check("get", object, "-o", "yaml", "--show-managed-fields").contains("fieldsV1"))
          #expect(try !kubectl.check("describe", object).contains("Managed Fields"))
        }
      }
    }

    @Test("The scale is a field like others: who scaled last owns it")
    func scale() throws {
      try run { kubectl in
        let text = Objects.deployment
        try kubectl.apply(text, namespace: "shop", "--server-side")
        try kubectl.check("scale", "deployment", "web", "--replicas=4")
        let file = try kubectl.file("deployment.yaml", text)
        let refused = try kubectl.run(["apply", "--server-side", "-f", file])
        #expect(refused.status != 0 && refused.errors.contains(".spec.replicas"), "\(refused.errors)")
        let without = text.replacing("replicas: 2, ", with: "")
        try kubectl.apply(without, namespace: "shop", "--server-side")
        #expect(try kubectl.check("get", "deployment", "web", "-o", "jsonpath={.spec.replicas}") == "4")
      }
    }
  }
}

extension Integration {
  @Suite("kubectl checks what it sends", .requiresKubectl)
  struct KubectlValidation {
    @Test("A value of the wrong type and a field that does not exist are refused, by name; what is right is not")
    func validation() throws {
      try OneSite.run { site in
        let kubectl = try Kubectl(site, in: site.directory)
        let good = KubectlObjects.deployment
        for (text, word) in [
          (good.replacing("replicas: 2", with: "replicas: two"), "replicas"),
          (good.replacing("replicas: 2", with: "replicas: 2, nonsense: 1"), "nonsense"),
          (KubectlObjects.settings + "nonsense: 1", "nonsense"),
        ] {
          // Current ones leave this to the server, which looks for unknown fields at the top only.
          if kubectl.minorVersion >= 27, text.contains("2, nonsense") { continue }
          let file = try kubectl.file("bad.yaml", text)
          let refused = try kubectl.run(["apply", "--validate=true", "-f", file])
          #expect(refused.status == 1 && refused.errors.contains(word), "\(refused.summary)")
        }
        for text in KubectlObjects.builtIn { try kubectl.apply(text, namespace: "default", "--validate=true") }
        let claims = """
          ---
          {apiVersion: apps/v1, kind: StatefulSet, metadata: {name: claims}, spec: {serviceName: db, selector:
          {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}}, spec: {affinity: {}, tolerations:
          [{operator: Exists}], containers: [{name: c, image: i, resources: {limits: {cpu: 1}}, envFrom: [{secretRef:
          {name: s}}]}]}}, volumeClaimTemplates: [{metadata: {name: data}, spec: {accessModes: [ReadWriteOnce],
          resources: {requests: {storage: 1Gi}}}}]}}
          """
        try kubectl.apply(claims, namespace: "default", "--validate=true")
      }
    }
  }
}
