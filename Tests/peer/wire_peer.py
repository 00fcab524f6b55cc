#!/usr/bin/env python3
"""A small peer of repl-agent, written from docs/wire-protocol.md alone.

  wire_peer.py init  --state DIR --cluster C --node N
  wire_peer.py pair  --state DIR --address A [--port 9001] --token T      pairs with an agent, or with `serve`
  wire_peer.py ship  --state DIR --address A [--port 9001] --file F -n NAMESPACE --name NAME
  wire_peer.py document --state DIR --address A [--port 9001] --topic T --file F
  wire_peer.py serve --state DIR --address A [--port 9001] [--data-port 9010] --output DIR --token-file F [--documents]

`ship` is a source that sends a file in full, whatever the target holds. `serve` is a target that takes full copies,
recomputes the fingerprint of everything it got, and leaves DIR/VOLUME-POINT.img behind. No compression, no resume.
`document` sends a file to the control plane of an agent and prints the answer; `serve --documents` answers a document with
itself. Without it the target says that it takes none: it keeps volumes and has no control plane.
"""
import argparse
import hmac
import json
import os
import secrets
import socket
import struct
import sys
import threading
import time

import wire_codec as wire
import wire_tls as tls

SOFTWARE = "wire_peer 1.0"


def now():
    return time.time_ns()


def receive(connection, count):
    parts = []
    while count:
        part = connection.recv(min(count, 1 << 16))
        if not part:
            raise wire.WireFailure("the connection ended")
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


class Control:
    """The client's end of a control or pairing connection."""

    def __init__(self, address, port, context):
        self.connection = context.wrap_socket(socket.create_connection((address, port), 10))
        self.last = 0

    def ask(self, name, body):
        """Sends a request, again while the peer says that the work is under way, and gives a reader of the reply's body."""
        while True:
            flags, reader = self.ask_once(name, body)
            if not flags & wire.UNDER_WAY:
                return reader

    def ask_once(self, name, body):
        self.last += 1
        self.connection.sendall(wire.control_frame(name, body, self.last).bytes)
        kind, flags, length, request_id = wire.read_control_header(receive(self.connection, 16))
        reader = wire.Reader(receive(self.connection, length))
        if kind == wire.TYPES["close"]:
            raise wire.WireFailure(f"closed: reason {reader.u16()}, {wire.read_error(reader)}")
        if flags & wire.ERROR:
            raise wire.WireFailure(f"{name} is refused: {wire.read_error(reader)}")
        if (kind, request_id) != (wire.TYPES[name], self.last) or not flags & wire.REPLY:
            raise wire.WireFailure("a reply to something else")
        return flags, reader

    def close(self):
        self.connection.close()


class State:
    """Identity and pairs of one cluster in a directory."""

    def __init__(self, directory):
        self.directory = directory
        with open(self.path("peer.json")) as file:
            self.values = json.load(file)

    def path(self, name):
        return os.path.join(self.directory, name)

    @property
    def authority(self):
        return tls.read_certificate(self.path("ca.crt"))

    def pin(self, certificate, hello):
        """Keeps the peer's CA and name: the pairing is recorded."""
        tls.write_certificate(self.path("peer-ca.crt"), certificate)
        self.values["peer"] = hello["cluster"]
        with open(self.path("peer.json"), "w") as file:
            json.dump(self.values, file)


def init(arguments):
    tls.make_identity(arguments.state, arguments.cluster, arguments.node)
    with open(os.path.join(arguments.state, "peer.json"), "w") as file:
        json.dump({"cluster": arguments.cluster, "node": arguments.node}, file)


# ----------------------------------------------------------------------------------------------------------- pairing

def pair(arguments):
    state = State(arguments.state)
    cluster, pin, secret = tls.read_token(arguments.token)
    own = state.values["cluster"]
    control = Control(arguments.address, arguments.port, tls.pairing_client_context(state.directory))
    chain = tls.chain_of(control.connection)
    matching = [der for der in chain if tls.hashlib.sha256(tls.spki(der)).digest() == pin]
    if not matching:
        raise wire.WireFailure("the server's CA is not the token's")
    tls.check_issued(chain[0], matching[0], state.directory)
    client_key = tls.spki(tls.read_certificate(state.path("pairing.crt")))
    parts = (tls.exporter(control.connection), client_key, tls.spki(chain[0]), own, cluster)
    answer = control.ask("pairHello", lambda w: wire.pair_hello(
        w, wire.token_id(secret), own, state.values["node"], SOFTWARE, 9001))
    hello = wire.read_pair_hello(answer)
    if hello["cluster"] != cluster or hello["token"] != wire.token_id(secret):
        raise wire.WireFailure("the server is of another cluster than the token")
    answer = control.ask("pairProof", lambda w: wire.pair_proof(w, wire.proof_of(secret, 1, *parts), state.authority))
    proof, certificate = wire.read_pair_proof(answer)
    if not hmac.compare_digest(proof, wire.proof_of(secret, 2, *parts)):
        raise wire.WireFailure("the server does not know the token")
    state.pin(certificate, hello)
    control.close()
    print(f"paired with {hello['cluster']}")


# ------------------------------------------------------------------------------------------------------------ source

class Source:
    """One session that ships a file in full."""

    def __init__(self, state, arguments):
        self.state, self.arguments = state, arguments
        self.key = secrets.token_bytes(wire.KEY_LENGTH)
        self.ids = {name: secrets.token_bytes(16) for name in
                    ("session", "volume", "lineage", "branch", "snapshot", "group")}
        self.size = os.path.getsize(arguments.file)
        self.taken = now()
        self.members = [(self.ids["volume"], self.size, None)]

    def run(self):
        context = tls.context(False, self.state.directory, wire.ALPN_CONTROL, self.state.path("peer-ca.crt"))
        control = Control(self.arguments.address, self.arguments.port, context)
        cluster, _ = tls.identity_uri(control.connection)
        own = self.state.values
        peer = wire.read_hello(control.ask("hello", lambda w: wire.hello(
            w, own["cluster"], own["node"], SOFTWARE, 1 << 20, 1)))
        if not peer["cluster"] == cluster == own["peer"]:
            raise wire.WireFailure(f"connected to cluster {peer['cluster']}")
        reply = wire.read_begin_reply(control.ask("beginSession", self.begin))
        if reply["outcome"] != "full":
            raise wire.WireFailure(f"{reply['outcome']} is the answer to a full session")
        control.ask("startSession", lambda w: wire.start_session(
            w, self.ids["session"], None, wire.KINDS["full"], int.from_bytes(secrets.token_bytes(16), "big"),
            self.size, self.size))
        self.ship(reply)
        self.seal(control)
        control.close()

    def begin(self, w):
        wire.begin_session(w, dict(
            self.ids, namespace=self.arguments.namespace, name=self.arguments.name, key=self.key, epoch=1,
            generation=1, size=self.size, takenAt=self.taken, consistency=1, kind=wire.KINDS["full"], candidates=[],
            members=self.members, acceptShrink=False, streams=1))

    def ship(self, reply):
        context = tls.context(False, self.state.directory, wire.ALPN_DATA, self.state.path("peer-ca.crt"))
        address = reply["address"] or self.arguments.address
        stream = context.wrap_socket(socket.create_connection((address, reply["port"]), 10))
        stream.sendall(wire.attach_frame(self.ids["session"], reply["tickets"][0]).bytes)
        self.expect(stream, "attached")
        chunks = zero_runs = offset = 0
        with open(self.arguments.file, "rb") as file:
            while data := file.read(reply["maxChunk"]):
                if any(data):
                    stream.sendall(wire.chunk_frame(offset, data).bytes)
                    chunks += 1
                else:
                    stream.sendall(wire.zero_run_frame(offset, len(data)).bytes)
                    zero_runs += 1
                offset += len(data)
        stream.sendall(wire.stream_end_frame(chunks, zero_runs).bytes)
        self.expect(stream, "streamEndAcknowledged")
        stream.close()
        print(f"shipped {chunks} chunks and {zero_runs} runs of zeros")

    @staticmethod
    def expect(stream, name):
        head = wire.read_data_head(receive(stream, wire.HEAD))
        payload = wire.Reader(receive(stream, head["length"]))
        if head["name"] == "close":
            raise wire.WireFailure(f"closed: reason {payload.u16()}, {wire.read_error(payload)}")
        if head["name"] != name:
            raise wire.WireFailure(f"{head['name']} instead of {name}")

    def seal(self, control):
        with open(self.arguments.file, "rb") as file:
            total, count = wire.fingerprint(file.read(), self.key)
        seal = {
            "point": self.ids["snapshot"], "volume": self.ids["volume"], "lineage": self.ids["lineage"], "epoch": 1,
            "branch": self.ids["branch"], "base": None, "generation": 1, "size": self.size, "fingerprint": total,
            "nonZeroBlocks": count, "takenAt": self.taken, "consistency": 1, "proof": 2, "group": self.ids["group"],
            "members": self.members}
        answer = control.ask("sealSession", lambda w: (w.raw(self.ids["session"], ""), wire.write_seal(w, seal)))
        if answer.u8() != 1:
            raise wire.WireFailure(f"mismatch: {wire.read_sums(answer, 65536)}")
        answer = control.ask("commitGroup", lambda w: w.raw(self.ids["group"], ""))
        answer.i64()
        points = answer.list(1024, lambda: answer.raw(16))
        if points != [self.ids["snapshot"]]:
            raise wire.WireFailure("other points were committed")
        control.ask("confirmGroup", lambda w: w.raw(self.ids["group"], ""))
        print(f"sealed {self.ids['snapshot'].hex()} {total:032x}")


def ship(arguments):
    Source(State(arguments.state), arguments).run()


# --------------------------------------------------------------------------------------------------------- documents

def document(arguments):
    state = State(arguments.state)
    own = state.values
    context = tls.context(False, state.directory, wire.ALPN_CONTROL, state.path("peer-ca.crt"))
    control = Control(arguments.address, arguments.port, context)
    hello = wire.read_hello(control.ask("hello", lambda w: wire.hello(
        w, own["cluster"], own["node"], SOFTWARE, 1 << 18, 1, wire.FEATURE_DOCUMENTS)))
    if not hello["features"] & wire.FEATURE_DOCUMENTS:
        raise wire.WireFailure("the agent takes no documents")
    with open(arguments.file, "rb") as file:
        data = file.read()
    exchange, parts = secrets.token_bytes(16), wire.document_parts(data)
    for index, part in parts:
        reader = control.ask("sendDocument", lambda w: wire.send_document(
            w, exchange, arguments.topic, len(data), index, part))
        if reader.u8() != (2 if index == parts[-1][0] else 1):
            raise wire.WireFailure("an answer out of place")
    total, _, answer = wire.read_part(reader)
    while len(answer) < total:
        index = len(answer) // wire.DOCUMENT_PART
        reader = control.ask("fetchAnswer", lambda w: w.raw(exchange, "").u16(index, ""))
        answer += wire.read_part(reader)[2]
    control.close()
    sys.stdout.buffer.write(answer)


# ------------------------------------------------------------------------------------------------------------ target

class Refusal(Exception):
    def __init__(self, kind, cause):
        super().__init__(cause)
        self.kind = kind


class Target:
    """Takes full copies. One thread per connection; a lock around all state."""

    def __init__(self, state, arguments):
        self.state, self.arguments = state, arguments
        self.lock = threading.Lock()
        self.secret = secrets.token_bytes(32)
        self.sessions, self.tickets, self.groups, self.documents = {}, {}, {}, {}

    def run(self):
        token = tls.make_token(self.state.values["cluster"], self.state.authority, self.secret)
        listeners = [(self.listen(self.arguments.port), self.control_or_pairing),
                     (self.listen(self.arguments.data_port), self.data)]
        self.data_port = listeners[1][0].getsockname()[1]
        with open(self.arguments.token_file + ".new", "w") as file:
            json.dump({"token": token, "port": listeners[0][0].getsockname()[1], "dataPort": self.data_port}, file)
        os.rename(self.arguments.token_file + ".new", self.arguments.token_file)
        for listener, handler in listeners[1:]:
            threading.Thread(target=self.accept, args=(listener, handler), daemon=True).start()
        self.accept(*listeners[0])

    def listen(self, port):
        return socket.create_server((self.arguments.address, port))

    def accept(self, listener, handler):
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=self.guard, args=(handler, connection), daemon=True).start()

    @staticmethod
    def guard(handler, connection):
        try:
            handler(connection)
        except (OSError, wire.WireFailure) as error:
            print(f"connection: {error}", file=sys.stderr)
        finally:
            connection.close()

    def control_or_pairing(self, plain):
        # The name of the protocol stands readable in the client's first record; it decides whose certificates count.
        start = plain.recv(16384, socket.MSG_PEEK)
        if wire.ALPN_PAIRING.encode() in start:
            self.pairing(tls.context(True, self.state.directory, wire.ALPN_PAIRING).wrap_socket(plain, server_side=True))
        else:
            context = tls.context(True, self.state.directory, wire.ALPN_CONTROL, self.state.path("peer-ca.crt"))
            self.control(context.wrap_socket(plain, server_side=True))

    def pairing(self, connection):
        own = self.state.values["cluster"]
        hello = None
        while True:
            kind, _, length, request_id = wire.read_control_header(receive(connection, 16))
            reader = wire.Reader(receive(connection, length))
            if kind == wire.TYPES["pairHello"] and hello is None:
                hello = wire.read_pair_hello(reader)
                body = lambda w: wire.pair_hello(w, hello["token"], own, self.state.values["node"], SOFTWARE,
                                                 self.arguments.port)
                connection.sendall(wire.control_frame("pairHello", body, request_id, wire.REPLY).bytes)
            elif kind == wire.TYPES["pairProof"] and hello:
                proof, certificate = wire.read_pair_proof(reader)
                parts = (tls.exporter(connection), tls.spki(connection.getpeercert(True)),
                         tls.spki(tls.read_certificate(self.state.path("chain.crt"))), hello["cluster"], own)
                if not hmac.compare_digest(proof, wire.proof_of(self.secret, 1, *parts)):
                    raise wire.WireFailure("wrong proof")
                with self.lock:
                    self.state.pin(certificate, hello)
                body = lambda w: wire.pair_proof(w, wire.proof_of(self.secret, 2, *parts), self.state.authority)
                connection.sendall(wire.control_frame("pairProof", body, request_id, wire.REPLY).bytes)
                return
            else:
                raise wire.WireFailure("out of order")

    def control(self, connection):
        cluster, _ = tls.identity_uri(connection)
        if cluster != self.state.values["peer"]:
            raise wire.WireFailure(f"cluster {cluster} is not paired")
        names = {value: name for name, value in wire.TYPES.items()}
        while True:
            kind, _, length, request_id = wire.read_control_header(receive(connection, 16))
            reader = wire.Reader(receive(connection, length))
            name = names.get(kind)
            if name == "close":
                return
            try:
                with self.lock:
                    body = getattr(self, "on_" + (name or ""), self.not_here)(reader)
                frame = wire.control_frame(name, body, request_id, wire.REPLY)
            except wire.OtherMajor as error:
                notice = wire.close_payload(6, 9, f"peer {cluster}", str(error))
                connection.sendall(wire.control_frame("close", lambda w: w.raw(notice.bytes, "notice"), 0).bytes)
                return
            except Refusal as error:
                frame = wire.control_frame(name, lambda w: wire.write_error(w, error.kind, name, str(error)), request_id,
                                           wire.REPLY | wire.ERROR)
            connection.sendall(frame.bytes)

    def not_here(self, reader):
        raise Refusal(3, "is not in this peer")

    def on_hello(self, reader):
        wire.read_hello(reader)
        own = self.state.values
        features = wire.FEATURE_DOCUMENTS if self.arguments.documents else 0
        return lambda w: wire.hello(w, own["cluster"], own["node"], SOFTWARE, 1 << 18, 1, features)

    def on_heartbeat(self, reader):
        sent, received = reader.i64(), now()
        return lambda w: w.i64(sent, "").i64(received, "").i64(now(), "").bool(False, "")

    def on_inventory(self, reader):
        reader.raw(16)
        return lambda w: w.list([], "points", None)

    def on_beginSession(self, reader):
        begin = wire.read_begin(reader)
        if begin["key"] is None:
            raise Refusal(13, "the key of the lineage is not known here")
        path = os.path.join(self.arguments.output, f"{begin['volume'].hex()}-{begin['snapshot'].hex()}.img")
        self.sessions[begin["session"]] = {"begin": begin, "path": path, "seal": None}
        self.groups.setdefault(begin["group"], {})[begin["volume"]] = begin["session"]
        tickets = [secrets.token_bytes(32) for _ in range(min(begin["streams"], 4))]
        for ticket in tickets:
            self.tickets[ticket] = begin["session"]
        return lambda w: wire.begin_reply(w, "full", "this peer takes full copies only", "", self.data_port, 1 << 18,
                                          tickets)

    def session(self, reader):
        session = self.sessions.get(reader.raw(16))
        if session is None:
            raise Refusal(2, "no such session")
        return session

    def on_startSession(self, reader):
        session = self.session(reader)
        with open(session["path"] + ".part", "wb") as file:
            file.truncate(session["begin"]["size"])
        return lambda w: w.u64(0, "")

    def on_sealSession(self, reader):
        session = self.session(reader)
        seal = wire.read_seal(reader)
        with open(session["path"] + ".part", "rb") as file:
            total, count = wire.fingerprint(file.read(), session["begin"]["key"])
        if (total, count, session["begin"]["size"]) != (seal["fingerprint"], seal["nonZeroBlocks"], seal["size"]):
            return lambda w: (w.u8(2, ""), wire.write_sums(w, []), w.bool(True, ""))
        session["seal"] = seal
        return lambda w: w.u8(1, "")

    def on_commitGroup(self, reader):
        sessions = [self.sessions[key] for key in self.groups.get(reader.raw(16), {}).values()]
        if not sessions or any(session["seal"] is None for session in sessions):
            raise Refusal(3, "not every member is prepared")
        for session in sessions:
            if os.path.exists(session["path"] + ".part"):
                os.rename(session["path"] + ".part", session["path"])
        points = [session["begin"]["snapshot"] for session in sessions]
        return lambda w: w.i64(now(), "").list(points, "", lambda point: w.raw(point, ""))

    def on_confirmGroup(self, reader):
        reader.raw(16)
        return lambda w: None

    def on_abortSession(self, reader):
        self.session(reader)
        return lambda w: None

    def on_queryPoint(self, reader):
        volume, point = reader.raw(16), reader.raw(16)
        for session in self.sessions.values():
            begin = session["begin"]
            if session["seal"] and (begin["volume"], begin["snapshot"]) == (volume, point):
                if os.path.exists(session["path"]):
                    return lambda w: (w.u8(3, ""), wire.write_seal(w, session["seal"]), w.u8(1, ""))
                return lambda w: (w.u8(2, ""), wire.write_seal(w, session["seal"]))
        return lambda w: w.u8(1, "")

    def on_volumeNotice(self, reader):
        reader.raw(16)
        kind = reader.u8()
        if kind == 2:
            reader.i64()
            reader.text(512)
        elif kind != 1:
            raise wire.WireFailure(f"notice {kind}")
        return lambda w: None

    def on_unpair(self, reader):
        return lambda w: None

    def on_sendDocument(self, reader):
        exchange, _, (total, index, part) = wire.read_document(reader)
        if index == 0:
            self.documents[exchange] = b""
        self.documents[exchange] += part
        data = self.documents[exchange]
        if len(data) < total:
            return wire.document_reply
        parts = wire.document_parts(data)
        return lambda w: wire.document_reply(w, (total, 0, parts[0][1]))

    def on_fetchAnswer(self, reader):
        exchange, index = reader.raw(16), reader.u16()
        data = self.documents[exchange]
        return lambda w: wire.write_part(w, len(data), index, wire.document_parts(data)[index][1])

    def data(self, plain):
        context = tls.context(True, self.state.directory, wire.ALPN_DATA, self.state.path("peer-ca.crt"))
        stream = context.wrap_socket(plain, server_side=True)
        head = wire.read_data_head(receive(stream, wire.HEAD))
        ticket = receive(stream, head["length"])[:32]
        with self.lock:
            if head["name"] != "attach" or self.tickets.pop(ticket, None) != head["sixteen"]:
                stream.sendall(wire.close_frame(9, 14, "stream", "the ticket is not valid").bytes)
                return
            session = self.sessions[head["sixteen"]]
        stream.sendall(wire.data_frame("attached").bytes)
        with open(session["path"] + ".part", "r+b") as file:
            self.take(stream, file, session["begin"]["size"])

    @staticmethod
    def take(stream, file, size):
        chunks = zero_runs = 0
        while True:
            head = wire.read_data_head(receive(stream, wire.HEAD))
            payload = receive(stream, head["length"])
            offset, length = head["first"], head["second"]
            if head["name"] in ("chunk", "zeroRun") and offset + length > size:
                stream.sendall(wire.close_frame(10, 9, "stream", f"{offset}+{length} is beyond the volume").bytes)
                return
            if head["name"] == "chunk":
                if head["codec"] or struct.pack("<QQ", *wire.xxh3(payload)) != head["sixteen"]:
                    stream.sendall(wire.close_frame(11, 7, "stream", f"wrong digest at {offset}").bytes)
                    return
                file.seek(offset)
                file.write(payload)
                chunks += 1
            elif head["name"] == "zeroRun":
                file.seek(offset)
                file.write(bytes(length))
                zero_runs += 1
            elif head["name"] == "streamEnd":
                if (offset, length) != (chunks, zero_runs):
                    stream.sendall(wire.close_frame(7, 9, "stream", "other counts").bytes)
                    return
                file.flush()
                os.fsync(file.fileno())
                stream.sendall(wire.data_frame("streamEndAcknowledged").bytes)
                chunks = zero_runs = 0
            elif head["name"] == "close":
                return
            elif head["name"] is not None:
                raise wire.WireFailure(f"{head['name']} is not legal here")


def serve(arguments):
    os.makedirs(arguments.output, exist_ok=True)
    Target(State(arguments.state), arguments).run()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    options = {
        "init": (init, ["--cluster", "--node"], False), "pair": (pair, ["--token"], True),
        "ship": (ship, ["--file", "--name"], True), "document": (document, ["--topic", "--file"], True),
        "serve": (serve, ["--output", "--token-file"], True)}
    for name, (function, required, network) in options.items():
        command = commands.add_parser(name)
        command.set_defaults(run=function)
        for option in ["--state"] + required + (["--address"] if network else []):
            command.add_argument(option, required=True)
        if network:
            command.add_argument("--port", type=int, default=9001)
            command.add_argument("--major", type=int, default=wire.MAJOR, help="say hello as this major version")
    commands.choices["ship"].add_argument("-n", "--namespace", default="default")
    commands.choices["serve"].add_argument("--data-port", type=int, default=9010)
    commands.choices["serve"].add_argument("--documents", action="store_true")
    arguments = parser.parse_args()
    wire.MAJOR = getattr(arguments, "major", wire.MAJOR)
    try:
        arguments.run(arguments)
    except (OSError, wire.WireFailure) as error:
        sys.exit(f"wire_peer: {error}")


if __name__ == "__main__":
    main()
