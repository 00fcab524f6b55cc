import ReplModel
import Testing

@testable import WireProtocol

@Suite("Tables of docs/wire-protocol.md")
struct DocumentTests {
  let rows: [[String]]
  init() throws { rows = try VectorPage.rows(in: "docs/wire-protocol.md") }

  @Test func frameTypesAndLimitsAreThoseOfTheCode() {
    for type in FrameType.allCases {
      let request = FrameType.bodyLimit(type: type.rawValue, flags: [])
      let reply = FrameType.bodyLimit(type: type.rawValue, flags: .reply)
      #expect(rows.contains(["\(type.rawValue)", "\(type)", "\(request)", "\(reply)"]), "\(type)")
    }
  }

  @Test func reasonsAreThoseOfTheCode() {
    for reason in ReasonCode.known {
      #expect(rows.contains { $0.count == 3 && $0[0] == "\(reason.rawValue)" && $0[1] == "\(reason)" }, "\(reason)")
    }
    #expect(ReasonCode.known.count == 17)
  }

  @Test func kindsOfErrorsAreThoseOfTheCode() {
    for kind in ReplError.Kind.allCases {
      #expect(rows.contains { $0.count == 3 && $0[0] == "\(kind.rawValue)" && $0[1] == "\(kind)" }, "\(kind)")
    }
  }

  @Test func namesOfTheProtocolsAreOnThePage() throws {
    let text = try VectorPage.text("docs/wire-protocol.md")
    let names = [
      WireLimits.controlProtocol, WireLimits.dataProtocol, WireLimits.pairingProtocol, ChannelBinding.exporterLabel,
      PairingTokenID.label,
    ]
    for name in names { #expect(text.contains("`\(name)`"), "\(name)") }
  }
}
