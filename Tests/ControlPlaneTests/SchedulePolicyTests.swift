import APIModel
import Testing

@testable import KubeModel
@testable import KubeServer
@testable import ReplAgent
@testable import StorkControllers

@Suite("Schedule policies are read and checked")
struct SchedulePolicyTests {
  private func policy(_ text: String) throws -> KubeObject {
    var object = ResourceKind.schedulePolicy.object(name: "p")
    object.json["policy"] = try JSONParser.parse(text)
    return object
  }

  private func fault(_ text: String) throws -> String {
    let object = try policy(text)
    do throws(SchedulePolicy.Invalid) {
      _ = try SchedulePolicy(object)
      return ""
    } catch { return error.text }
  }

  @Test("the documents' own policy is understood")
  func documented() throws {
    let read = try SchedulePolicy(
      policy(
        #"{"interval":{"intervalMinutes":1},"daily":{"time":"10:14PM"},"weekly":{"day":"Thursday","time":"10:13PM"},"#
          + #""monthly":{"date":14,"time":"8:05PM"}}"#))
    #expect(read.interval == 1 && read.daily?.minutes == 22 * 60 + 14)
    #expect(read.weekly == SchedulePolicy.Weekly(weekday: 4, time: KitchenTime(minutes: 22 * 60 + 13)))
    #expect(read.monthly == SchedulePolicy.Monthly(date: 14, time: KitchenTime(minutes: 20 * 60 + 5)))
  }

  @Test("numbers may be texts, and sections that are absent or null are not there")
  func lenient() throws {
    let read = try SchedulePolicy(
      policy(#"{"interval":{"intervalMinutes":"15"},"daily":null,"monthly":{"date":"31","time":"1:00am"}}"#))
    #expect(read.interval == 15 && read.daily == nil && read.weekly == nil && read.monthly?.date == 31)
    #expect(try SchedulePolicy(policy("{}")) == SchedulePolicy())
  }

  @Test(
    "what cannot be used is named in the words of the reference",
    arguments: [
      (#"{"interval":{"intervalMinutes":0}}"#, "Invalid intervalMinutes (0) in Interval policy"),
      (#"{"interval":{"intervalMinutes":-5}}"#, "Invalid intervalMinutes (-5) in Interval policy"),
      (#"{"interval":{}}"#, "Invalid intervalMinutes (0) in Interval policy"),
      (
        #"{"daily":{"time":"13:15pm"}}"#,
        #"Invalid time (13:15pm) in Daily policy: parsing time "13:15pm": hour out of range"#
      ),
      (
        #"{"weekly":{"time":"12:75PM","day":"Nonday"}}"#,
        #"Invalid time (12:75PM) in Weekly policy: parsing time "12:75PM": minute out of range"#
      ),
      (#"{"weekly":{"time":"1:00PM","day":"SUNDAY"}}"#, "Invalid day of the week (SUNDAY) in Weekly policy"),
      (
        #"{"monthly":{"time":"1215","date":99}}"#,
        #"Invalid time (1215) in Monthly policy: parsing time "1215" as "3:04pm": cannot parse "15" as ":""#
      ),
      (#"{"monthly":{"time":"1:00PM","date":32}}"#, "Invalid date of the month (32) in Monthly policy"),
      (#"{"monthly":{"time":"1:00PM","date":0}}"#, "Invalid date of the month (0) in Monthly policy"),
    ])
  func refused(_ text: String, _ expected: String) throws { #expect(try fault(text) == expected) }

  @Test("sections are checked in the order interval, daily, weekly, monthly")
  func order() throws {
    let all = #"{"monthly":{"date":0},"weekly":{"day":"x"},"daily":{"time":""},"interval":{"intervalMinutes":0}}"#
    #expect(try fault(all).hasSuffix("in Interval policy"))
    #expect(try fault(#"{"monthly":{"date":0},"daily":{"time":""}}"#).contains("in Daily policy"))
  }

  @Test(
    "times of day follow the kitchen format",
    arguments: [
      ("1:02PM", 13 * 60 + 2), ("1:02pm", 13 * 60 + 2), ("01:15am", 75), ("12:00am", 0), ("12:04PM", 12 * 60 + 4),
      ("0:15AM", 15), ("0:15PM", 12 * 60 + 15), ("11:59pm", 23 * 60 + 59),
    ] as [(String, Int64)])
  func times(_ text: String, _ minutes: Int64) throws { #expect(try KitchenTime(text).minutes == minutes) }

  @Test(
    "other times are refused with the words of Go's parser",
    arguments: [
      ("25:15am", #"parsing time "25:15am": hour out of range"#),
      ("1:2PM", #"parsing time "1:2PM" as "3:04pm": cannot parse "2PM" as "04""#),
      ("1:02 PM", #"parsing time "1:02 PM" as "3:04pm": cannot parse " PM" as "pm""#),
      ("1:02Pm", #"parsing time "1:02Pm" as "3:04pm": cannot parse "Pm" as "pm""#),
      ("1:02", #"parsing time "1:02" as "3:04pm": cannot parse "" as "pm""#),
      ("", #"parsing time "" as "3:04pm": cannot parse "" as "3""#),
      ("1:02pm ", #"parsing time "1:02pm ": extra text: " ""#),
    ])
  func badTimes(_ text: String, _ expected: String) {
    #expect(throws: KitchenTime.Failure(text: expected)) { _ = try KitchenTime(text) }
  }

  @Test("weekdays are the words of the reference and no others")
  func weekdays() {
    let good = [
      "Sunday Sun sunday sun", "Monday Mon monday mon", "Tuesday Tue tuesday tue", "Wednesday Wed wednesday wed",
      "Thursday Thu Thur Thurs thursday thu thur thurs", "Friday Fri friday fri", "Saturday Sat saturday sat",
    ]
    for (number, words) in good.enumerated() {
      for word in words.split(separator: " ") {
        #expect(SchedulePolicy.weekday(String(word)) == Int64(number), "\(word)")
      }
    }
    for word in ["SUNDAY", "Tues", "Weds", "sUnday", "", "day", "Thurd"] {
      #expect(SchedulePolicy.weekday(word) == nil, "\(word)")
    }
  }

  @Test("the default policies are made once, and only the oldest default is corrected")
  func defaults() async throws {
    let fixture = try StoreFixture()
    try await DefaultPolicies.ensure(fixture.store)
    let names = try await fixture.store.list(ListQuery(.schedulePolicy)).items.map(\.name)
    #expect(
      names == [
        "default-daily-policy", "default-interval-policy", "default-migration-policy", "default-monthly-policy",
        "default-weekly-policy",
      ])
    for policy in DefaultPolicies.all { _ = try SchedulePolicy(policy) }
    func set(_ name: String, _ minutes: Int64) async throws {
      _ = try await fixture.store.update(.schedulePolicy, namespace: "", name: name, part: .whole, dryRun: false) {
        old in
        var new = old
        new.json[at: "policy.interval.intervalMinutes"] = .integer(minutes)
        return new
      }
    }
    try await set("default-migration-policy", 1)
    try await set("default-interval-policy", 1)
    try await DefaultPolicies.ensure(fixture.store)
    func minutes(_ name: String) async throws -> Int64? {
      try SchedulePolicy(try await fixture.store.get(.schedulePolicy, namespace: "", name: name)).interval
    }
    #expect(try await minutes("default-migration-policy") == 30)
    #expect(try await minutes("default-interval-policy") == 1)
    try await set("default-migration-policy", 7)
    try await DefaultPolicies.ensure(fixture.store)
    #expect(try await minutes("default-migration-policy") == 7)
  }
}
