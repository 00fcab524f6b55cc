"""Bytes of the repl-agent wire protocol, written from docs/wire-protocol.md alone.

Independent of the Swift sources on purpose: tests compare the two. Standard library only; XXH3 comes from libxxhash
through ctypes. Writers keep a label with every field, so that test vectors can be printed with their meaning.
"""
import ctypes
import hashlib
import hmac
import struct

BLOCK = 4096
SEGMENT = 1 << 20
KEY_LENGTH = 192

MAJOR = 2
ALPN_CONTROL, ALPN_DATA, ALPN_PAIRING = "repl-ctl/1", "repl-data/1", "repl-pair/1"
EXPORTER_LABEL = b"EXPERIMENTAL repl-agent pairing 1"

REPLY, ERROR, OPTIONAL, UNDER_WAY = 1, 2, 4, 8
TYPES = {
    "hello": 1, "heartbeat": 2, "inventory": 3, "beginSession": 4, "startSession": 5, "resumeExtents": 6,
    "segmentSums": 7, "sealSession": 8, "commitGroup": 9, "confirmGroup": 10, "abortSession": 11, "queryPoint": 12,
    "verifyPoint": 13, "unpair": 14, "sendDocument": 15, "fetchAnswer": 16, "volumeNotice": 17, "close": 255,
    "pairHello": 257, "pairProof": 258,
}
FEATURE_DOCUMENTS = 1
DOCUMENT_LIMIT, DOCUMENT_PART = 8 << 20, 512 << 10
KINDS = {"delta": 1, "full": 2, "compare": 3, "repair": 4}


class WireFailure(Exception):
    """Bytes that are not as the protocol says, or a refusal by the peer."""


class OtherMajor(WireFailure):
    """A peer of another major version: the connection is closed with reason 6."""


# ---------------------------------------------------------------------------------------------- XXH3 and fingerprints

class _Hash128(ctypes.Structure):
    _fields_ = [("low", ctypes.c_uint64), ("high", ctypes.c_uint64)]


_xxhash = ctypes.CDLL("libxxhash.so.0")
_xxhash.XXH3_128bits.restype = _Hash128
_xxhash.XXH3_128bits.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
_xxhash.XXH3_128bits_withSecret.restype = _Hash128
_xxhash.XXH3_128bits_withSecret.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t]


def xxh3(data):
    """XXH3-128 as (low, high)."""
    value = _xxhash.XXH3_128bits(data, len(data))
    return value.low, value.high


def xxh3_keyed(data, key):
    value = _xxhash.XXH3_128bits_withSecret(data, len(data), key, len(key))
    return value.low, value.high


def block_term(index, block, key):
    """H of one 4 KiB block as an integer modulo 2^128; 0 for a block of zeros."""
    if not any(block):
        return 0
    low, high = xxh3_keyed(block, key)
    low, high = xxh3_keyed(struct.pack("<QQQ", index, low, high), key)
    return high << 64 | low


def fingerprint(data, key, first_index=0):
    """(sum, blocks that are not all zero) of bytes that begin at block `first_index`; a last partial block is padded."""
    total, count = 0, 0
    for position in range(0, len(data), BLOCK):
        block = data[position:position + BLOCK].ljust(BLOCK, b"\0")
        term = block_term(first_index + position // BLOCK, block, key)
        if any(block):
            total, count = (total + term) % (1 << 128), count + 1
    return total, count


# -------------------------------------------------------------------------------------------------- writing, reading

class Writer:
    """Appends fields in little endian and remembers what each is."""

    def __init__(self):
        self.fields = []

    @property
    def bytes(self):
        return b"".join(data for data, _ in self.fields)

    def raw(self, data, label):
        self.fields.append((bytes(data), label))
        return self

    def u8(self, value, label):
        return self.raw(struct.pack("<B", value), f"{label} {value}")

    def u16(self, value, label):
        return self.raw(struct.pack("<H", value), f"{label} {value}")

    def u32(self, value, label):
        return self.raw(struct.pack("<I", value), f"{label} {value}")

    def u64(self, value, label):
        return self.raw(struct.pack("<Q", value), f"{label} {value}")

    def i64(self, value, label):
        return self.raw(struct.pack("<q", value), f"{label} {value}")

    def bool(self, value, label):
        return self.raw(b"\1" if value else b"\0", f"{label} {'yes' if value else 'no'}")

    def sum(self, value, label):
        return self.raw(struct.pack("<QQ", value & (1 << 64) - 1, value >> 64), f"{label} {value:032x}")

    def text(self, value, label):
        data = value.encode()
        self.raw(struct.pack("<I", len(data)), f"{label}: {len(data)} bytes")
        return self.raw(data, f'"{value}"') if data else self

    def blob(self, value, label):
        self.raw(struct.pack("<I", len(value)), f"{label}: {len(value)} bytes")
        return self.raw(value, label) if value else self

    def optional(self, value, label, body):
        self.raw(b"\0" if value is None else b"\1", f"{label}: {'none' if value is None else 'present'}")
        if value is not None:
            body(value)
        return self

    def list(self, values, label, body):
        self.raw(struct.pack("<I", len(values)), f"{label}: {len(values)}")
        for value in values:
            body(value)
        return self


class Reader:
    def __init__(self, data):
        self.data, self.position = bytes(data), 0

    @property
    def remaining(self):
        return len(self.data) - self.position

    def raw(self, count):
        if self.remaining < count:
            raise WireFailure(f"{count} bytes expected at {self.position}, {self.remaining} are left")
        self.position += count
        return self.data[self.position - count:self.position]

    def _number(self, form):
        return struct.unpack("<" + form, self.raw(struct.calcsize(form)))[0]

    def u8(self):
        return self._number("B")

    def u16(self):
        return self._number("H")

    def u32(self):
        return self._number("I")

    def u64(self):
        return self._number("Q")

    def i64(self):
        return self._number("q")

    def bool(self):
        value = self.u8()
        if value > 1:
            raise WireFailure(f"0 or 1 expected, found {value}")
        return value == 1

    def sum(self):
        low, high = self.u64(), self.u64()
        return high << 64 | low

    def blob(self, limit):
        count = self.u32()
        if count > limit:
            raise WireFailure(f"at most {limit} bytes, {count} are announced")
        return self.raw(count)

    def text(self, limit=253):
        return self.blob(limit).decode()

    def optional(self, body):
        return body() if self.bool() else None

    def list(self, limit, body):
        count = self.u32()
        if count > limit:
            raise WireFailure(f"at most {limit} elements, {count} are announced")
        return [body() for _ in range(count)]


# ------------------------------------------------------------------------------------------------------------- seals

def write_seal(w, seal):
    w.u8(1, "seal format").u8(1, "seal algorithm")
    w.raw(seal["point"], "point").raw(seal["volume"], "volume").raw(seal["lineage"], "lineage")
    w.u64(seal["epoch"], "branch epoch").raw(seal["branch"], "branch id")
    w.optional(seal["base"], "base", lambda base: w.raw(base, "base point"))
    w.u64(seal["generation"], "generation").u64(seal["size"], "size").sum(seal["fingerprint"], "fingerprint")
    w.u64(seal["nonZeroBlocks"], "blocks that are not zero").i64(seal["takenAt"], "taken at")
    w.u8(seal["consistency"], "consistency").u8(seal["proof"], "proof").raw(seal["group"], "group")
    write_members(w, seal["members"])


def write_members(w, members):
    def one(member):
        volume, size, reason = member
        w.raw(volume, "member volume").u64(size, "member size")
        w.optional(reason, "missing", lambda text: w.text(text, "reason"))
    w.list(members, "members", one)


def read_members(r):
    return r.list(1024, lambda: (r.raw(16), r.u64(), r.optional(lambda: r.text(512))))


def read_seal(r):
    if (r.u8(), r.u8()) != (1, 1):
        raise WireFailure("seal of another format or algorithm")
    seal = {"point": r.raw(16), "volume": r.raw(16), "lineage": r.raw(16), "epoch": r.u64(), "branch": r.raw(16)}
    seal["base"] = r.optional(lambda: r.raw(16))
    seal.update(generation=r.u64(), size=r.u64(), fingerprint=r.sum(), nonZeroBlocks=r.u64(), takenAt=r.i64(),
                consistency=r.u8(), proof=r.u8(), group=r.raw(16))
    seal["members"] = read_members(r)
    return seal


# ---------------------------------------------------------------------------------------------------- control frames

def write_error(w, kind, subject, cause, remedy=None):
    w.u16(kind, "error kind").text(subject, "subject").text(cause, "cause")
    w.optional(remedy, "remedy", lambda text: w.text(text, "remedy"))


def read_error(r):
    kind, subject, cause = r.u16(), r.text(1024), r.text(4096)
    return kind, subject, cause, r.optional(lambda: r.text(1024))


def control_frame(name, body, request_id, flags=0):
    """A frame whose body is what the function `body` writes."""
    inner = Writer()
    body(inner)
    w = Writer()
    w.raw(struct.pack("<H", 0x5246), "magic").raw(struct.pack("<H", TYPES[name]), f"type {name}")
    w.u16(flags, "flags").u16(0, "reserved").u32(len(inner.bytes), "length").u32(request_id, "request id")
    w.fields += inner.fields
    return w


def read_control_header(data):
    magic, kind, flags, reserved, length, request_id = struct.unpack("<HHHHII", data)
    if magic != 0x5246 or reserved or flags & ~15 or length > 4 << 20:
        raise WireFailure("malformed header")
    return kind, flags, length, request_id


def hello(w, cluster, node, software, max_chunk, codecs, features=0):
    w.u16(MAJOR, "major").u16(0, "minor").u64(features, "features").text(cluster, "cluster id").text(node, "node")
    w.text(software, "software").u32(max_chunk, "largest chunk").u32(codecs, "codecs")


def read_hello(r):
    major, minor = r.u16(), r.u16()
    if major != MAJOR:
        raise OtherMajor(f"speaks protocol {major}, this peer speaks {MAJOR}")
    return {"minor": minor, "features": r.u64(), "cluster": r.text(), "node": r.text(), "software": r.text(128),
            "maxChunk": r.u32(), "codecs": r.u32()}


def begin_session(w, b):
    w.raw(b["session"], "session").raw(b["volume"], "volume").text(b["namespace"], "namespace").text(b["name"], "name")
    w.raw(b["lineage"], "lineage").optional(b["key"], "key", lambda key: w.raw(key, "key"))
    w.u64(b["epoch"], "branch epoch").raw(b["branch"], "branch id").raw(b["snapshot"], "snapshot")
    w.u64(b["generation"], "generation").u64(b["size"], "size").i64(b["takenAt"], "taken at")
    w.u8(b["consistency"], "consistency").u8(b["kind"], "kind")

    def candidate(c):
        w.raw(c[0], "candidate").sum(c[1], "its fingerprint").bool(c[2], "sums only")
    w.list(b["candidates"], "candidates", candidate)
    w.raw(b["group"], "group")
    write_members(w, b["members"])
    w.bool(b["acceptShrink"], "accept a smaller size").u16(b["streams"], "streams wanted")


def read_begin(r):
    b = {"session": r.raw(16), "volume": r.raw(16), "namespace": r.text(), "name": r.text(), "lineage": r.raw(16)}
    b["key"] = r.optional(lambda: r.raw(KEY_LENGTH))
    b.update(epoch=r.u64(), branch=r.raw(16), snapshot=r.raw(16), generation=r.u64(), size=r.u64(), takenAt=r.i64(),
             consistency=r.u8(), kind=r.u8())
    b["candidates"] = r.list(64, lambda: (r.raw(16), r.sum(), r.bool()))
    b["group"] = r.raw(16)
    b["members"] = read_members(r)
    b["acceptShrink"], b["streams"] = r.bool(), r.u16()
    return b


OUTCOMES = {"base": 1, "compareWith": 2, "full": 3, "alreadySealed": 4, "prepared": 5, "proving": 6}


def begin_reply(w, outcome, value, address, port, max_chunk, tickets):
    w.u8(OUTCOMES[outcome], f"outcome {outcome}")
    if outcome == "full":
        w.text(value, "reason")
    elif outcome in ("base", "compareWith"):
        w.raw(value, "point")
    else:
        write_seal(w, value)
    w.text(address, "data address").u16(port, "data port").u32(max_chunk, "largest chunk")
    w.list(tickets, "tickets", lambda ticket: w.raw(ticket, "ticket"))


def read_begin_reply(r):
    number = r.u8()
    outcome = {value: name for name, value in OUTCOMES.items()}.get(number)
    if outcome is None:
        raise WireFailure(f"outcome {number}")
    if outcome == "full":
        value = r.text(512)
    elif outcome in ("base", "compareWith"):
        value = r.raw(16)
    else:
        value = read_seal(r)
    reply = {"outcome": outcome, "value": value, "address": r.text(), "port": r.u16(), "maxChunk": r.u32()}
    reply["tickets"] = r.list(64, lambda: r.raw(32))
    return reply


def document_parts(data):
    """(index, bytes) of each part of a document or an answer; an empty one is one empty part."""
    return list(enumerate([data[i:i + DOCUMENT_PART] for i in range(0, len(data), DOCUMENT_PART)] or [b""]))


def write_part(w, total, index, data):
    w.u32(total, "total").u16(index, "index").blob(data, "part")


def read_part(r):
    total, index = r.u32(), r.u16()
    data = r.blob(DOCUMENT_PART)
    if total > DOCUMENT_LIMIT or len(data) != min(DOCUMENT_PART, total - index * DOCUMENT_PART):
        raise WireFailure("a part that is not of its document")
    return total, index, data


def send_document(w, exchange, topic, total, index, data):
    w.raw(exchange, "exchange").text(topic, "topic")
    write_part(w, total, index, data)


def read_document(r):
    exchange, topic = r.raw(16), r.text(64)
    return exchange, topic, read_part(r)


def document_reply(w, part=None):
    w.u8(1 if part is None else 2, "taken" if part is None else "answer")
    if part is not None:
        write_part(w, *part)


def start_session(w, session, base, kind, digest, planned, data):
    w.raw(session, "session").optional(base, "base", lambda point: w.raw(point, "base point")).u8(kind, "kind")
    w.sum(digest, "plan digest").u64(planned, "bytes planned").u64(data, "bytes of data")


def read_start(r):
    return {"session": r.raw(16), "base": r.optional(lambda: r.raw(16)), "kind": r.u8(), "digest": r.sum(),
            "planned": r.u64(), "data": r.u64()}


def write_sums(w, sums):
    w.list(sums, "sums", lambda pair: w.u64(pair[0], "segment").sum(pair[1], "sum"))


def read_sums(r, limit):
    return r.list(limit, lambda: (r.u64(), r.sum()))


# ------------------------------------------------------------------------------------------------------- data frames

DATA_TYPES = {"attach": 1, "attached": 2, "chunk": 3, "zeroRun": 4, "streamEnd": 5, "streamEndAcknowledged": 6,
              "close": 7, "keepAlive": 8}
DATA_NAMES = {value: name for name, value in DATA_TYPES.items()}
HEAD = 48


def data_frame(name, payload=b"", first=0, second=0, sixteen=bytes(16), codec=0, labels=None, flags=0):
    """Head and payload. `labels`: what first, second and the 16 bytes mean."""
    labels = labels or ("0", "0", "0")
    w = Writer()
    w.raw(struct.pack("<H", 0x4452), "magic").raw(bytes([DATA_TYPES[name]]), f"type {name}").u8(flags, "flags")
    w.u32(len(payload), "payload length").raw(struct.pack("<Q", first), labels[0] + f" {first}")
    w.raw(struct.pack("<Q", second), labels[1] + f" {second}").raw(sixteen, labels[2]).u8(codec, "codec")
    w.raw(bytes(3), "reserved")
    w.raw(struct.pack("<I", xxh3(w.bytes)[0] & 0xFFFFFFFF), "check of the 44 bytes before")
    if payload:
        w.raw(payload, "payload")
    return w


def chunk_frame(offset, raw, payload=None, codec=0):
    digest = struct.pack("<QQ", *xxh3(raw))
    return data_frame("chunk", raw if payload is None else payload, offset, len(raw), digest, codec,
                      ("offset", "raw length", "XXH3-128 of the raw bytes"))


def zero_run_frame(offset, length):
    return data_frame("zeroRun", first=offset, second=length, labels=("offset", "length", "0"))


def attach_frame(session, ticket):
    return data_frame("attach", ticket, sixteen=session, labels=("0", "0", "session"))


def stream_end_frame(chunks, zero_runs):
    return data_frame("streamEnd", first=chunks, second=zero_runs, labels=("chunks", "zero runs", "0"))


def close_payload(reason, kind, subject, cause, remedy=None):
    w = Writer()
    w.u16(reason, "reason")
    write_error(w, kind, subject, cause, remedy)
    return w


def close_frame(reason, kind, subject, cause):
    inner = close_payload(reason, kind, subject, cause)
    w = data_frame("close", inner.bytes)
    w.fields = w.fields[:-1] + inner.fields
    return w


def read_data_head(head):
    magic, kind, flags, length, first, second = struct.unpack_from("<HBBIQQ", head)
    check, = struct.unpack_from("<I", head, 44)
    if magic != 0x4452 or flags & ~1 or head[41:44] != bytes(3) or check != xxh3(head[:44])[0] & 0xFFFFFFFF:
        raise WireFailure("malformed data head")
    if kind not in DATA_NAMES and not flags & 1:
        raise WireFailure(f"data frame type {kind}")
    return {"name": DATA_NAMES.get(kind), "length": length, "first": first, "second": second, "sixteen": head[24:40],
            "codec": head[40]}


# ----------------------------------------------------------------------------------------------------------- pairing

def token_id(secret):
    return hmac.new(secret, b"repl-pair/1 token id", hashlib.sha256).digest()[:16]


def pair_hello(w, token, cluster, node, software, port):
    w.u16(MAJOR, "major").u16(0, "minor").raw(token, "token id").text(cluster, "cluster id").text(node, "node")
    w.text(software, "software").u16(port, "control port")


def read_pair_hello(r):
    major, minor = r.u16(), r.u16()
    if major != MAJOR:
        raise OtherMajor(f"speaks protocol {major}, this peer speaks {MAJOR}")
    return {"minor": minor, "token": r.raw(16), "cluster": r.text(), "node": r.text(), "software": r.text(128),
            "port": r.u16()}


def pair_proof(w, proof, certificate):
    w.raw(proof, "proof").blob(certificate, "CA certificate")


def read_pair_proof(r):
    return r.raw(32), r.blob(16384)


def transcript(role, exporter, client_key, server_key, client_cluster, server_cluster):
    """What HMAC runs over; role 1 is the client, 2 the server."""
    w = Writer()
    w.u8(role, "role").blob(exporter, "exporter").blob(client_key, "client key").blob(server_key, "server key")
    w.text(client_cluster, "client cluster").text(server_cluster, "server cluster")
    return w


def proof_of(secret, role, *parts):
    return hmac.new(secret, transcript(role, *parts).bytes, hashlib.sha256).digest()
