import TestSupport
import Testing

extension Integration {
  @Suite("kubectl, command by command", .requiresKubectl)
  struct KubectlCommands {
    private typealias Objects = KubectlObjects

    /// Runs a test with a kubectl at a fresh agent, in the namespace `shop`.
    private func run(_ body: (Kubectl, Site) throws -> Void) throws {
      try OneSite.run { site in
        let kubectl = try Kubectl(site, in: site.directory)
        #expect(try kubectl.check("create", "namespace", "shop") == "namespace/shop created\n")
        try kubectl.check("config", "set-context", "--current", "--namespace=shop")
        try body(kubectl, site)
      }
    }

    @Test("create, of words and of files")
    func create() throws {
      try run { kubectl, _ in
        let made = [
          try kubectl.check("create", "configmap", "words", "--from-literal=a=1"),
          try kubectl.check("create", "secret", "generic", "key", "--from-literal=k=v"),
          try kubectl.check("create", "serviceaccount", "robot"),
          try kubectl.check("create", "-f", kubectl.file("rule.yaml", Objects.rule)),
        ]
        #expect(
          made == [
            "configmap/words created\n", "secret/key created\n", "serviceaccount/robot created\n",
            "rule.stork.libopenstorage.org/freeze created\n",
          ])
        let again = try kubectl.run(["create", "configmap", "words"])
        #expect(again.status == 1)
        #expect(again.errors.contains("configmaps \"words\" already exists"))
      }
    }

    @Test("get --raw /metrics: the page is in order, and requests are counted on it")
    func metrics() throws {
      try run { kubectl, _ in
        let page = try ExpositionPage(try kubectl.check("get", "--raw", "/metrics"))
        #expect(page.value("repl_agent_api_requests_total", ["verb": "create", "code": "201"]) == 1)
        #expect(page.samples("repl_agent_collector_up").map(\.value) == [1, 1, 1, 1])
      }
    }

    @Test("apply: created, unchanged, configured, by the server; a field that goes is removed")
    func apply() throws {
      try run { kubectl, _ in
        for (kind, text) in [("configmap/settings", Objects.settings), ("rule.\(Objects.group)/freeze", Objects.rule)] {
          let changed = text.replacing("first", with: "second")
          #expect(try kubectl.apply(text, namespace: "shop") == "\(kind) created\n")
          let version = try self.version(kubectl, kind)
          #expect(try kubectl.apply(text, namespace: "shop") == "\(kind) unchanged\n")
          #expect(try self.version(kubectl, kind) == version)
          #expect(try kubectl.apply(changed, namespace: "shop") == "\(kind) configured\n")
          #expect(try kubectl.check("get", kind, "-o", "yaml").contains("second"))
        }
        try kubectl.apply(Objects.settings.replacing("  two: \"2\"\n", with: ""), namespace: "shop")
        #expect(try kubectl.check("get", "cm", "settings", "-o", "jsonpath={.data}") == #"{"one":"first"}"#)

        let server = Objects.settings.replacing("settings", with: "served")
        let said = try kubectl.apply(server, namespace: "shop", "--server-side")
        #expect(said == "configmap/served serverside-applied\n")
        try kubectl.apply(server.replacing("first", with: "second"), namespace: "shop", "--server-side")
        #expect(try kubectl.check("get", "cm", "served", "-o", "jsonpath={.data.one}") == "second")
      }
    }

    @Test("what the server would do: dry runs, diff, unknown fields")
    func dryRuns() throws {
      try run { kubectl, _ in
        let dry = try kubectl.check("create", "configmap", "dry", "--dry-run=server")
        #expect(dry == "configmap/dry created (server dry run)\n")
        #expect(try kubectl.run(["get", "configmap", "dry"]).errors.contains("configmaps \"dry\" not found"))
        for (kind, text) in [("configmap/settings", Objects.settings), ("rule.\(Objects.group)/freeze", Objects.rule)] {
          let dry = try kubectl.apply(text, namespace: "shop", "--dry-run=server")
          #expect(dry == "\(kind) created (server dry run)\n")
          let file = try kubectl.file("object.yaml", text)
          #expect(try kubectl.run(["diff", "-f", file]).status == 1)
          try kubectl.apply(text, namespace: "shop")
          #expect(try kubectl.check("diff", "-f", file) == "")
          let changed = try kubectl.file("changed.yaml", text.replacing("first", with: "second"))
          let differs = try kubectl.run(["diff", "-f", changed])
          #expect(differs.status == 1, "\(differs.summary)")
          #expect(differs.output.contains("first\n+") && differs.output.contains(": second"))
          #expect(try kubectl.check("get", kind, "-o", "yaml").contains("first"))
        }
        #expect(try kubectl.check("delete", "configmap", "settings", "--dry-run=server").contains("server dry run"))
        #expect(try kubectl.check("get", "configmap", "settings", "-o", "name") == "configmap/settings\n")
        let text = Objects.settings.replacing("name: settings", with: "name: bad") + "nonsense: 1"
        let bad = try kubectl.run(["create", "-f", kubectl.file("bad.yaml", text)])
        #expect(bad.status == 1, "an unknown field is refused: \(bad.summary)")
        #expect(bad.errors.contains("nonsense"))
      }
    }

    @Test("replace, edit")
    func replace() throws {
      try run { kubectl, _ in
        try kubectl.apply(Objects.settings, namespace: "shop")
        let changed = try kubectl.file("changed.yaml", Objects.settings.replacing("first", with: "second"))
        #expect(try kubectl.check("replace", "-f", changed) == "configmap/settings replaced\n")

        let stale = try kubectl.file(
          "stale.yaml", Objects.settings.replacing("name: settings", with: "name: settings\n  resourceVersion: \"1\""))
        let refused = try kubectl.run(["replace", "-f", stale])
        #expect(refused.status == 1)
        #expect(
          refused.errors.contains("the object has been modified; please apply your changes to the latest version"))

        #expect(try kubectl.run(["edit", "configmap", "settings"]).errors.contains("no changes made"))
        let edit = "sed -i s/second/third/"
        #expect(try kubectl.check("edit", "configmap", "settings", editor: edit) == "configmap/settings edited\n")
        #expect(try kubectl.check("get", "cm", "settings", "-o", "jsonpath={.data.one}") == "third")
        try kubectl.check("create", "-f", kubectl.file("rule.yaml", Objects.rule))
        #expect(
          try kubectl.check("edit", "rule.\(Objects.group)", "freeze", editor: "sed -i s/first/edited/").hasSuffix(
            "edited\n"))
        #expect(try kubectl.check("get", "rule.\(Objects.group)", "freeze", "-o", "yaml").contains("edited"))
      }
    }

    @Test("patch of three types, label, annotate; what changes nothing writes nothing")
    func patch() throws {
      try run { kubectl, _ in
        try kubectl.apply(Objects.rule, namespace: "shop")
        try kubectl.apply(Objects.settings, namespace: "shop")
        let rule = "rule.\(Objects.group)/freeze"
        func patch(_ object: String, _ type: String, _ text: String) throws -> CommandOutput {
          try kubectl.run(["patch", object, "--type=\(type)", "-p", text])
        }
        let item = #"[{"op":"replace","path":"/rules/0/actions/0/value","value":"by-json"}]"#
        #expect(try patch(rule, "json", item).output == "\(rule) patched\n")
        #expect(try kubectl.check("get", rule, "-o", "jsonpath={.rules[0].actions[0].value}") == "by-json")
        #expect(try patch(rule, "merge", #"{"rules":[]}"#).output == "\(rule) patched\n")
        #expect(try patch(rule, "merge", #"{"rules":[]}"#).output == "\(rule) patched (no change)\n")
        let strategic = try patch(rule, "strategic", "{}")
        #expect(strategic.status == 1)
        #expect(strategic.errors.contains("the body of the request was in an unknown format"), "\(strategic.errors)")
        #expect(try patch("cm/settings", "strategic", #"{"data":{"three":"3"}}"#).status == 0)
        #expect(try kubectl.check("get", "cm", "settings", "-o", "jsonpath={.data.three}") == "3")
        let failed = try patch("cm/settings", "json", #"[{"op":"test","path":"/data/one","value":"x"}]"#)
        #expect(failed.status == 1)

        for verb in ["label", "annotate"] {
          #expect(try kubectl.run([verb, rule, "color=red"]).status == 0)
          let before = try version(kubectl, rule)
          #expect(try kubectl.run([verb, rule, "color=red", "--overwrite"]).status == 0)
          #expect(try version(kubectl, rule) == before, "\(verb) of what is there already")
          let taken = try kubectl.run([verb, rule, "color=blue"])
          #expect(taken.status == 1, "--overwrite is needed")
          #expect(try kubectl.run([verb, rule, "color=blue", "--overwrite"]).status == 0)
          #expect(try kubectl.run([verb, rule, "color-"]).status == 0)
        }
      }
    }

    @Test("get in every form, selectors, pages; names and namespaces that are not there")
    func get() throws {
      try run { kubectl, _ in
        for number in 1...5 {
          try kubectl.check("create", "configmap", "c\(number)", "--from-literal=n=\(number)")
        }
        try kubectl.check("label", "configmap", "c1", "c2", "half=first")
        let names = try kubectl.check("get", "cm", "-o", "name", "--chunk-size=2").words
        #expect(names == (1...5).map { "configmap/c\($0)" })
        #expect(try kubectl.check("get", "cm").words.first == "NAME DATA AGE")
        #expect(try kubectl.check("get", "cm", "-A").words.first == "NAMESPACE NAME DATA AGE")
        #expect(try kubectl.check("get", "cm", "-l", "half=first", "-o", "name").words.count == 2)
        #expect(try kubectl.check("get", "cm", "-l", "half!=first", "-o", "name").words.count == 3)
        let selected = try kubectl.check("get", "cm", "--field-selector=metadata.name=c3", "-o", "name")
        #expect(selected == "configmap/c3\n")
        #expect(try kubectl.check("get", "cm", "c1", "-o", "jsonpath={.data.n}") == "1")
        #expect(try kubectl.check("get", "cm", "c1", "-o", "yaml").contains("kind: ConfigMap"))
        #expect(try JSONTree(kubectl.check("get", "cm", "-o", "json"))["kind"]?.text == "List")
        #expect(try kubectl.check("get", "cm", "-o", "custom-columns=N:.metadata.name").words.first == "N")
        try kubectl.apply(Objects.node, namespace: "shop")
        let wide = try kubectl.check("get", "nodes", "-o", "wide").words.first ?? ""
        #expect(wide.hasPrefix("NAME STATUS ROLES AGE VERSION INTERNAL-IP"), "\(wide)")
        #expect(try kubectl.check("get", "nodes,namespaces", "-o", "name").words.contains("namespace/shop"))

        #expect(try kubectl.run(["get", "cm", "nope"]).errors.contains(#"configmaps "nope" not found"#))
        #expect(try kubectl.run(["get", "cm", "c1", "-n", "nope"]).errors.contains(#"namespaces "nope" not found"#))
        #expect(
          try kubectl.run(["get", "cm", "-n", "nope"]).errors.trimmed == "No resources found in nope namespace.")
        #expect(try kubectl.run(["get", "nonsense"]).errors.contains("the server doesn't have a resource type"))
      }
    }

    @Test("discovery, explain, version, raw paths")
    func discovery() throws {
      try run { kubectl, _ in
        let kinds = try kubectl.check("api-resources")
        for kind in ["ClusterPair", "MigrationSchedule", "PersistentVolumeClaim", "RecoveryPoint", "CronJob", "Lease"] {
          #expect(kinds.contains(kind))
        }
        #expect(try kubectl.check("api-versions").words.contains("\(Objects.group)/v1alpha1"))
        #expect(try kubectl.check("version", "-o", "json").contains("serverVersion"))
        let explained = try kubectl.check("explain", "migrationschedule.spec.template.spec")
        #expect(explained.contains("clusterPair") && explained.contains("startApplications"))
        #expect(try kubectl.check("explain", "deployment.spec").contains("replicas"))
        #expect(try kubectl.check("get", "--raw", "/readyz") == "ok")
        _ = try kubectl.check("cluster-info")
      }
    }

    @Test("describe of every kind, with events")
    func describe() throws {
      try run { kubectl, site in
        _ = try site.createVolume("data", size: 8 * .mebibyte)
        for text in Objects.builtIn { try kubectl.apply(text, namespace: "shop") }
        let volume = try kubectl.check("get", "pvc", "data", "-o", "jsonpath={.spec.volumeName}")
        for (kind, name) in [
          ("pvc", "data"), ("pv", volume), ("node", "n1"), ("ns", "shop"), ("sa", "robot"), ("svc", "web"),
          ("deploy", "web"), ("sts", "db"), ("job", "once"), ("cronjob", "nightly"), ("cm", "settings"),
          ("secret", "pass"), ("storageclass", "fast"), ("lease", "leader"), ("rule.\(Objects.group)", "freeze"),
          ("schedulepolicy", "default-daily-policy"),
        ] {
          let described = try kubectl.run(["describe", kind, name])
          #expect(described.status == 0, "\(kind): \(described.summary)")
          #expect(described.output.words.first == "Name: \(name)", "\(kind): \(described.output)")
        }
        #expect(try !kubectl.check("describe", "secret", "pass").contains("c2VjcmV0"))

        try kubectl.apply(Objects.lonelySchedule, namespace: "shop")
        try eventually("the schedule's event shows") {
          try kubectl.check("describe", "migrationschedule", "lonely").words.contains {
            $0.hasPrefix("Warning Failed ") && $0.contains("error getting clusterpair (shop/nowhere)")
          }
        }
        let selector = "--field-selector=involvedObject.name=lonely"
        #expect(try kubectl.check("get", "events", selector).contains("migrationschedule/lonely"))
        if kubectl.minorVersion >= 26 {
          #expect(
            try kubectl.check("events", "--for", "migrationschedule/lonely").contains("nowhere"))
        }
      }
    }

    @Test("delete: finalizers hold, wait sees the end, selectors, whole namespaces")
    func delete() throws {
      try run { kubectl, _ in
        try kubectl.apply(Objects.rule, namespace: "shop")
        let rule = "rule.\(Objects.group)/freeze"
        try kubectl.check("patch", rule, "--type=merge", "-p", #"{"metadata":{"finalizers":["example.com/held"]}}"#)
        try kubectl.check("delete", rule, "--wait=false")
        #expect(try kubectl.check("get", rule, "-o", "jsonpath={.metadata.deletionTimestamp}").hasSuffix("Z"))
        let waiting = try kubectl.watch("wait", "--for=delete", rule, "--timeout=60s")
        #expect(waiting.isRunning)
        try kubectl.check("patch", rule, "--type=merge", "-p", #"{"metadata":{"finalizers":null}}"#)
        try eventually("`wait --for=delete` ends") { !waiting.isRunning }
        #expect(try waiting.text() == "" || waiting.text().contains("condition met"))
        #expect(try kubectl.run(["get", rule]).status == 1)

        for name in ["a", "b", "c", "d"] { try kubectl.check("create", "configmap", name) }
        try kubectl.check("label", "configmap", "a", "b", "old=yes")
        #expect(try kubectl.check("delete", "configmap", "-l", "old=yes").words.count == 2)
        #expect(try kubectl.check("delete", "configmap", "--all").words.count == 2)
        #expect(try kubectl.run(["delete", "configmap", "a"]).errors.contains("(NotFound)"))
        try kubectl.check("delete", "configmap", "a", "--ignore-not-found")
        try kubectl.check("create", "configmap", "left")
        try kubectl.check("delete", "namespace", "shop")
        #expect(try kubectl.run(["get", "namespace", "shop"]).status == 1)
        #expect(try kubectl.run(["get", "configmap", "left"]).status == 1)
        #expect(try kubectl.run(["delete", "namespace", "default"]).errors.contains("forbidden"))
      }
    }

    @Test("get -w and wait see each change")
    func watch() throws {
      try run { kubectl, _ in
        try kubectl.check("create", "configmap", "before", "--from-literal=a=1")
        let all = try kubectl.watch("get", "configmaps", "-w", "-o", "name")
        let one = try kubectl.watch("get", "configmap", "before", "-w", "-o", "jsonpath={.data.a}{\"\\n\"}")
        try eventually("both have begun") { try !all.text().isEmpty && !one.text().isEmpty }
        try kubectl.check("create", "configmap", "after")
        for value in 2...4 {
          try kubectl.check("patch", "configmap", "before", "--type=merge", "-p", "{\"data\":{\"a\":\"\(value)\"}}")
        }
        try eventually("every change is seen: \((try? one.text()) ?? "")") {
          try one.text().words == ["1", "2", "3", "4"]
        }
        try eventually("the new one too: \((try? all.text()) ?? "")") {
          try all.text().words == ["configmap/before", "configmap/after"]
            + Array(repeating: "configmap/before", count: 3)
        }
        try kubectl.apply(Objects.deployment, namespace: "shop")
        guard kubectl.minorVersion >= 24 else { return }
        let waiting = try kubectl.watch("wait", "--for=condition=Available", "deployment/web", "--timeout=60s")
        try kubectl.check(
          "patch", "deployment", "web", "--subresource=status", "--type=merge", "-p",
          #"{"status":{"conditions":[{"type":"Available","status":"True"}]}}"#)
        try eventually("the condition is met") { try waiting.text().contains("deployment.apps/web condition met") }
      }
    }

    private func version(_ kubectl: Kubectl, _ object: String) throws -> String {
      try kubectl.check("get", object, "-o", "jsonpath={.metadata.resourceVersion}")
    }
  }
}
