import Foundation
import Logging
import ReplModel
import Synchronization
import WireTransport

/// The API's TLS listener on the loopback interface, for kubectl and other programs that cannot speak to a Unix socket.
///
/// It is a convenience: whatever keeps it from listening is logged and tried again, and keeps nothing else from running.
final class LoopbackAPI: Sendable {
  private enum State {
    case waiting(ReplError)
    case listening(TLSFront, FrontAuthority)
  }

  private let listen: LoopbackListen
  private let clusterID: String
  private let node: String
  private let directory: String
  private let socket: String
  private let logger: Logger
  private let state = Mutex(
    State.waiting(ReplError(.transient, subject: "loopback listener", cause: "is not listening yet")))

  private static let retryInterval: Duration = .seconds(5)

  init(_ configuration: AgentConfiguration, logger: Logger) {
    listen = configuration.api
    clusterID = configuration.engine.clusterID
    node = configuration.engine.node
    directory = configuration.engine.stateDirectory + "/api"
    socket = configuration.socket
    self.logger = logger
  }

  /// Serves until the task is cancelled.
  func run() async {
    while listen != .off, !Task.isCancelled {
      do throws(ReplError) {
        try start()
        break
      } catch {
        state.withLock { $0 = .waiting(error) }
        logger.error("the loopback listener does not work", metadata: ["reason": "\(error)"])
      }
      try? await Task.sleep(for: Self.retryInterval)
    }
    while (try? await Task.sleep(for: .seconds(86_400))) != nil {}
    if case .listening(let front, _) = state.withLock({ $0 }) { front.stop() }
  }

  private func start() throws(ReplError) {
    let authority = try FrontAuthority(directory: directory, clusterID: clusterID, node: node)
    let front = try open(authority)
    state.withLock { $0 = .listening(front, authority) }
    logger.info("listening", metadata: ["api": "\(front.bound.map(\.description).joined(separator: ", "))"])
  }

  private func open(_ authority: FrontAuthority) throws(ReplError) -> TLSFront {
    if case .fixed(let addresses, let port) = listen {
      return try front(addresses, port, authority)
    }
    let file = PortFile(path: directory + "/port")
    if let last = file.read(), let front = try? front(TLSFront.addresses, last, authority) { return front }
    let made = try front(TLSFront.addresses, 0, authority)
    do { try file.write(made.port) } catch {
      logger.warning("the port of the loopback listener is not kept", metadata: ["reason": "\(error)"])
    }
    return made
  }

  private func front(
    _ addresses: [String], _ port: UInt16, _ authority: FrontAuthority
  ) throws(ReplError) -> TLSFront {
    let logger = logger
    return try TLSFront(addresses: addresses, port: port, upstream: socket, authority: authority) { error in
      logger.warning("loopback listener", metadata: ["reason": "\(error)"])
    }
  }

  /// A kubeconfig with credentials made for it.
  ///
  /// - Throws: `.refused` when the listener is switched off, or the reason why it does not listen.
  func kubeconfig() throws(ReplError) -> String {
    if listen == .off {
      throw ReplError(
        .refused, subject: "loopback listener", cause: "is switched off",
        remedy: "remove api.listen from the configuration and restart the agent")
    }
    switch state.withLock({ $0 }) {
    case .waiting(let error): throw error
    case .listening(let front, let authority):
      guard let address = front.bound.first else {
        throw ReplError(.bug, subject: "loopback listener", cause: "has no address")
      }
      return Kubeconfig(
        name: clusterID, server: "https://\(address)", authority: authority.certificateDER,
        client: try authority.makeClient()
      ).text
    }
  }
}

/// The file that tells kubectl where to go and what to show.
struct Kubeconfig {
  var name: String
  var server: String
  /// DER.
  var authority: [UInt8]
  var client: LeafIdentity

  /// YAML. Names are quoted, so that a cluster called `1` or `true` stays a text.
  var text: String {
    """
    apiVersion: v1
    kind: Config
    clusters:
    - name: "\(name)"
      cluster:
        server: \(server)
        certificate-authority-data: \(Self.encoded(Self.pem(authority)))
    users:
    - name: "\(name)-admin"
      user:
        client-certificate-data: \(Self.encoded(client.certificateChain.prefix(1).map(Self.pem).joined()))
        client-key-data: \(Data(client.privateKeyPEM).base64EncodedString())
    contexts:
    - name: "\(name)"
      context:
        cluster: "\(name)"
        user: "\(name)-admin"
        namespace: default
    current-context: "\(name)"
    preferences: {}

    """
  }

  private static func encoded(_ text: String) -> String { Data(text.utf8).base64EncodedString() }

  private static func pem(_ certificate: [UInt8]) -> String {
    let body = Data(certificate).base64EncodedString(options: [.lineLength64Characters, .endLineWithLineFeed])
    return "-----BEGIN CERTIFICATE-----\n\(body)\n-----END CERTIFICATE-----\n"
  }
}
