import ArgumentParser
import ReplModel
import Testing

@testable import ReplAgent

@Suite("Exit codes of the agent")
struct ExitCodeTests {
  /// The code that a command line ends with before its command runs; nil when it would run.
  private func code(_ arguments: [String]) -> Int32? {
    do {
      _ = try ReplAgent.parseAsRoot(arguments)
      return nil
    } catch { return ExitCodes.code(endingWith: error) }
  }

  @Test(arguments: [
    ["run"], ["check-config"], ["recover"], ["run", "--config"], ["run", "--config", "f", "--loud"],
    ["check-config", "--config", "f", "g"], ["recover", "--conf", "f"], ["launch"], ["--loud"],
  ])
  func misuseIsTwo(arguments: [String]) {
    #expect(code(arguments) == 2)
  }

  @Test(arguments: [["--help"], ["run", "--help"], ["recover", "-h"], ["help", "check-config"], ["--version"]])
  func askingForHelpIsNoError(arguments: [String]) {
    #expect(code(arguments) == nil || code(arguments) == 0)
  }

  @Test func whatACommandSaysIsKept() {
    #expect(code(["run", "--config", "f"]) == nil)
    #expect(ExitCodes.code(endingWith: ExitCode(3)) == 3)
    #expect(ExitCodes.code(endingWith: ExitCodes.exit(ReplError(.refused, subject: "s", cause: "c"))) == 4)
  }
}
