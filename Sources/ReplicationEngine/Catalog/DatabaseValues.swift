import Foundation
public import GRDB
public import ReplModel

extension Identifier: DatabaseValueConvertible {
  public var databaseValue: DatabaseValue { description.databaseValue }

  public static func fromDatabaseValue(_ value: DatabaseValue) -> Identifier<Tag>? {
    String.fromDatabaseValue(value).flatMap { Identifier($0) }
  }
}

extension Timestamp: DatabaseValueConvertible {
  public var databaseValue: DatabaseValue { nanoseconds.databaseValue }

  public static func fromDatabaseValue(_ value: DatabaseValue) -> Timestamp? {
    Int64.fromDatabaseValue(value).map { Timestamp(nanoseconds: $0) }
  }
}

extension Seal {
  /// Reads the binary form whole; nil when it is damaged.
  init?(stored bytes: [UInt8]) {
    var reader = ByteReader(bytes)
    guard let seal = try? Seal(from: &reader), reader.remaining == 0 else { return nil }
    self = seal
  }
}

extension Row {
  /// A column of a seal; a damaged one is an error that names the table's row, never a crash.
  func seal(_ column: String) throws -> Seal {
    guard let data = Data.fromDatabaseValue(self[column]), let seal = Seal(stored: Array(data)) else {
      throw ReplError(
        .damaged, subject: "agent database", cause: "column \(column) does not hold a seal",
        remedy: "stop the agent and run repl-agent recover --config FILE")
    }
    return seal
  }
}
