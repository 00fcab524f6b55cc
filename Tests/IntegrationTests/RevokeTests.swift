import Glibc
import TestSupport
import Testing

extension Integration {
  @Suite("Trust can be ended by either side")
  struct Revoke {
    @Test("the side that printed the token revokes the other: open connections end and no new one is let in")
    func byTheTarget() throws {
      var options = TwoSites.Options()
      options.proxied = true
      try TwoSites.run(options) { sites, proxy in
        let volume = try sites.source.createVolume("data", size: 128 * .mebibyte)
        try volume.fill(seed: 1, count: 128 * .mebibyte)
        #expect(try sites.target.control.check("status").contains(sites.source.name))
        proxy.hold(after: 32 * .mebibyte)
        let name = try sites.begin()
        try eventually("it is being shipped") { proxy.isHolding }
        try sites.target.control.check("pair", "revoke", sites.source.name)
        proxy.release()
        try eventually("the source says that it is not let in any more") {
          let report = try sites.source.control.check("status")
          return report.contains("false")
        }
        #expect(try !sites.migration(name).isSuccessful)
        #expect(try sites.target.points("data").isEmpty)
        #expect(try sites.target.control.run(["pair", "revoke", "nobody"]).status == 3)
        try sites.pair("again")
        let result = try sites.source.control.run([
          "create", "migration", "again", "-n", Site.namespace, "-c", "again", "--namespaces", Site.namespace, "--wait",
        ])
        #expect(result.status == 0, "\(result.summary)")
        try sites.checkNewestPointIsLive(volume)
      }
    }
  }
}
