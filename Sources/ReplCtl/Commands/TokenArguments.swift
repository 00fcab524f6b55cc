import ArgumentParser
import Glibc

/// Where a pairing token comes from: a file, standard input, the environment, or the command line, which other users of the
/// machine can read.
struct TokenArguments: ParsableArguments {
  /// Bytes of no token.
  private static let limit = 64 << 10
  private static let variable = "REPLCTL_TOKEN"

  @Option(
    help: ArgumentHelp(
      "Token printed by `replctl pair token` at the peer; - reads it from standard input. Without it REPLCTL_TOKEN is used.",
      valueName: "token"))
  var token: String?
  @Option(help: "File with the token, which other users cannot read out of the process list; - is standard input.")
  var tokenFile: String?

  func validate() throws {
    if let token, token != "-" { Self.hide(token) }
    guard token == nil || tokenFile == nil else {
      throw ValidationError("--token and --token-file are two answers to one question: give one of them")
    }
    guard token != nil || tokenFile != nil || Self.environment != nil else {
      throw ValidationError("a token is needed: --token-file FILE, --token - for standard input, or \(Self.variable)")
    }
  }

  /// The token, without the line end that comes with a file.
  func read() throws(Failure) -> String {
    let text: String
    switch (tokenFile ?? (token == "-" ? "-" : nil), token ?? Self.environment) {
    case ("-", _): text = try Self.contents(STDIN_FILENO, "standard input")
    case (let path?, _): text = try Self.contents(of: path)
    case (nil, let given): text = given ?? ""
    }
    let trimmed = text.drop(while: \.isWhitespace).reversed().drop(while: \.isWhitespace).reversed()
    guard !trimmed.isEmpty else {
      throw Failure(.usage, "token", "is empty", remedy: "see replctl pair token at the peer")
    }
    return String(trimmed)
  }

  private static var environment: String? { getenv(variable).map { String(cString: $0) } }

  private static func contents(of path: String) throws(Failure) -> String {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { throw Failure(.failed, path, String(cString: strerror(errno))) }
    defer { close(file) }
    return try contents(file, path)
  }

  private static func contents(_ file: Int32, _ name: String) throws(Failure) -> String {
    var bytes: [UInt8] = []
    var step = [UInt8](repeating: 0, count: 4096)
    while bytes.count <= limit {
      let count = Glibc.read(file, &step, step.count)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw Failure(.failed, name, String(cString: strerror(errno))) }
      if count == 0 { return String(decoding: bytes, as: UTF8.self) }
      bytes += step[..<count]
    }
    throw Failure(.usage, name, "is longer than any token", remedy: "give the file with the line of replctl pair token")
  }

  /// Overwrites a secret in the process's own arguments, where ps(1) reads them. What was read before stays read.
  ///
  /// The arguments are memory of this process that nothing else points into: the parser has copies.
  private static func hide(_ secret: String) {
    let length = secret.utf8.count
    for index in 1..<max(1, Int(CommandLine.argc)) {
      guard let argument = CommandLine.unsafeArgv[index] else { continue }
      let total = strlen(argument)
      guard total >= length, memcmp(argument + (total - length), secret, length) == 0 else { continue }
      memset(argument + (total - length), Int32(UInt8(ascii: "*")), length)
    }
  }
}
