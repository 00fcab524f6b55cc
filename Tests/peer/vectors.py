"""Prints the test vectors of docs/wire-protocol.md: every frame in hexadecimal with the meaning of each field.

`python3 Tests/peer/vectors.py` prints them; `--update docs/wire-protocol.md` puts them between the two marks of the page,
`--check` fails if they differ from those there.
"""
import struct
import sys

import wire_codec as wire

BEGIN_MARK, END_MARK = "<!-- vectors begin -->", "<!-- vectors end -->"


def ident(first):
    return bytes((first + i) & 255 for i in range(16))


KEY = bytes((i * 7 + 3) % 256 for i in range(192))
BLOCK_A = bytes((j * 31 + 7) % 256 for j in range(4096))
BLOCK_B = bytes((j * 13 + 101) % 256 for j in range(4096))
ZERO = bytes(4096)
VOLUME, SESSION, POINT, BASE = ident(0x10), ident(0x20), ident(0x30), ident(0x40)
LINEAGE, BRANCH, GROUP, OTHER, EXCHANGE = ident(0x50), ident(0x60), ident(0x70), ident(0x80), ident(0x90)
TICKET = bytes(range(0xA0, 0xC0))
DIGEST = 0x0F0E0D0C0B0A09080706050403020100
TAKEN = 1_700_000_000_000_000_000
SECRET = bytes(range(0x40, 0x60))
EXPORTER = bytes(range(0xE0, 0x100))
CLIENT_KEY, SERVER_KEY = bytes([0x30, 0x03, 0x01, 0x02, 0x03]), bytes([0x30, 0x02, 0x0A, 0x0B])
CERTIFICATE = bytes([0x30, 0x04, 0x05, 0x06, 0x07, 0x08])
REQUEST = 7

FINGERPRINTS = [
    ("zeros", ZERO * 3, 0, "three blocks of zeros"),
    ("a", BLOCK_A, 0, "block A at index 0"),
    ("a-at-1", ZERO + BLOCK_A, 0, "a block of zeros, then A"),
    ("ab", BLOCK_A + BLOCK_B, 0, "A, then B"),
    ("ba", BLOCK_B + BLOCK_A, 0, "the same blocks swapped"),
    ("partial", BLOCK_A + BLOCK_B[:904], 0, "a volume of 5,000 bytes: A, then the first 904 bytes of B, padded"),
    ("far", BLOCK_A, (1 << 32) + 5, "A at index 2^32 + 5"),
]

SEAL = {
    "point": POINT, "volume": VOLUME, "lineage": LINEAGE, "epoch": 1, "branch": BRANCH, "base": BASE, "generation": 7,
    "size": 5000, "fingerprint": wire.fingerprint(BLOCK_A + BLOCK_B[:904], KEY)[0], "nonZeroBlocks": 2,
    "takenAt": TAKEN, "consistency": 1, "proof": 1, "group": GROUP,
    "members": [(VOLUME, 5000, None), (OTHER, 8192, "image is missing")],
}
FULL_SEAL = dict(SEAL, base=None, proof=2, members=[(VOLUME, 5000, None)])

BEGIN = {
    "session": SESSION, "volume": VOLUME, "namespace": "shop", "name": "db", "lineage": LINEAGE, "key": None,
    "epoch": 1, "branch": BRANCH, "snapshot": POINT, "generation": 7, "size": 5000, "takenAt": TAKEN,
    "consistency": 1, "kind": 1, "candidates": [(BASE, DIGEST, False)], "group": GROUP,
    "members": [(VOLUME, 5000, None)], "acceptShrink": False, "streams": 2,
}

# 4,096 times 'A' as an LZ4 block: one literal, a match of 4,090 bytes one byte back, five literals.
LZ4_A = bytes([0x1F, 0x41, 0x01, 0x00]) + bytes([0xFF] * 15) + bytes([0xF6, 0x50]) + b"AAAAA"


def request(name, body):
    return wire.control_frame(name, body, REQUEST)


def reply(name, body=lambda w: None):
    return wire.control_frame(name, body, REQUEST, wire.REPLY)


def point_summary(w):
    w.raw(POINT, "point").u64(7, "generation").u64(5000, "size").sum(DIGEST, "fingerprint").i64(TAKEN, "taken at")
    w.u8(2, "state")
    w.list([3, 9], "damaged segments", lambda segment: w.u64(segment, "segment"))


def verify_reply(w):
    wire.write_seal(w, FULL_SEAL)
    w.optional(DIGEST, "computed", lambda value: w.sum(value, "computed")).u64(5000, "bytes read")
    w.list([0], "damaged segments", lambda segment: w.u64(segment, "segment")).u8(2, "state")


def mismatch(w):
    w.u8(2, "mismatch")
    wire.write_sums(w, [(0, DIGEST)])
    w.bool(False, "final")


def query_sealed(w):
    w.u8(3, "sealed")
    wire.write_seal(w, FULL_SEAL)
    w.u8(1, "state")


def query_prepared(w):
    w.u8(2, "prepared")
    wire.write_seal(w, FULL_SEAL)


def control_vectors():
    begin = wire.begin_session
    yield "hello", request("hello", lambda w: wire.hello(w, "east", "node-1", "repl-agent 1.0", 1 << 20, 3))
    yield "hello-reply", reply("hello", lambda w: wire.hello(w, "west", "node-2", "repl-agent 1.0", 1 << 18, 1))
    yield "heartbeat", request("heartbeat", lambda w: w.i64(TAKEN, "sent at"))
    yield "heartbeat-reply", reply("heartbeat", lambda w: w.i64(TAKEN, "sent at").i64(TAKEN + 1_000_000, "received at")
                                   .i64(TAKEN + 1_500_000, "replied at").bool(True, "repair wanted"))
    yield "inventory", request("inventory", lambda w: w.raw(VOLUME, "volume"))
    yield "inventory-reply", reply("inventory", lambda w: w.list([0], "points", lambda _: point_summary(w)))
    yield "begin", request("beginSession", lambda w: begin(w, BEGIN))
    yield "begin-with-key", request("beginSession", lambda w: begin(w, dict(BEGIN, key=KEY, kind=2, candidates=[])))
    yield "begin-reply-base", reply("beginSession", lambda w: wire.begin_reply(w, "base", BASE, "", 9010, 1 << 18,
                                                                               [TICKET]))
    yield "begin-reply-compare", reply("beginSession", lambda w: wire.begin_reply(w, "compareWith", BASE, "192.0.2.7",
                                                                                  9010, 1 << 18, []))
    yield "begin-reply-full", reply("beginSession", lambda w: wire.begin_reply(w, "full", "no common base", "", 9010,
                                                                               1 << 20, [TICKET]))
    yield "begin-reply-sealed", reply("beginSession", lambda w: wire.begin_reply(w, "alreadySealed", FULL_SEAL, "",
                                                                                 9010, 1 << 20, []))
    yield "begin-reply-prepared", reply("beginSession", lambda w: wire.begin_reply(w, "prepared", FULL_SEAL, "", 9010,
                                                                                   1 << 20, []))
    yield "begin-reply-proving", reply("beginSession", lambda w: wire.begin_reply(w, "proving", FULL_SEAL, "", 9010,
                                                                                  1 << 20, []))
    yield "start", request("startSession", lambda w: wire.start_session(w, SESSION, BASE, 1, DIGEST, 8192, 4096))
    yield "start-reply", reply("startSession", lambda w: w.u64(4096, "bytes durable"))
    yield "resume-extents", request("resumeExtents", lambda w: w.raw(SESSION, "session").u64(0, "from offset"))
    yield "resume-extents-reply", reply("resumeExtents", lambda w: w.list(
        [(0, 4096)], "extents", lambda extent: w.u64(extent[0], "offset").u64(extent[1], "length")))
    yield "segment-sums", request("segmentSums", lambda w: w.raw(VOLUME, "volume").raw(BASE, "point")
                                  .u64(0, "first segment").u32(4096, "count"))
    yield "segment-sums-reply", reply("segmentSums", lambda w: wire.write_sums(w, [(0, DIGEST)]))
    yield "seal-session", request("sealSession", lambda w: (w.raw(SESSION, "session"), wire.write_seal(w, SEAL)))
    yield "seal-session-reply-prepared", reply("sealSession", lambda w: w.u8(1, "prepared"))
    yield "seal-session-reply-mismatch", reply("sealSession", mismatch)
    yield "seal-session-under-way", wire.control_frame(
        "sealSession", lambda w: w.u64(1 << 30, "bytes done").u64(1 << 32, "bytes in all"), REQUEST,
        wire.REPLY | wire.UNDER_WAY)
    yield "commit-group", request("commitGroup", lambda w: w.raw(GROUP, "group"))
    yield "commit-group-reply", reply("commitGroup", lambda w: w.i64(TAKEN, "sealed at").list(
        [POINT], "points", lambda point: w.raw(point, "point")))
    yield "confirm-group", request("confirmGroup", lambda w: w.raw(GROUP, "group"))
    yield "confirm-group-reply", reply("confirmGroup")
    yield "abort-session", request("abortSession", lambda w: w.raw(SESSION, "session").bool(True, "discard"))
    yield "abort-session-reply", reply("abortSession")
    yield "query-point", request("queryPoint", lambda w: w.raw(VOLUME, "volume").raw(POINT, "point"))
    yield "query-point-reply-unknown", reply("queryPoint", lambda w: w.u8(1, "unknown"))
    yield "query-point-reply-prepared", reply("queryPoint", query_prepared)
    yield "query-point-reply-sealed", reply("queryPoint", query_sealed)
    yield "verify-point", request("verifyPoint", lambda w: w.raw(VOLUME, "volume").raw(POINT, "point")
                                  .bool(False, "quick"))
    yield "verify-point-reply", reply("verifyPoint", verify_reply)
    yield "unpair", request("unpair", lambda w: None)
    yield "unpair-reply", reply("unpair")
    document = b'{"version":1}'
    yield "send-document", request("sendDocument", lambda w: wire.send_document(w, EXCHANGE, "resources", len(document), 0,
                                                                               document))
    yield "send-document-reply-taken", reply("sendDocument", wire.document_reply)
    yield "send-document-reply-answer", reply("sendDocument", lambda w: wire.document_reply(w, (2, 0, b"{}")))
    yield "fetch-answer", request("fetchAnswer", lambda w: w.raw(EXCHANGE, "exchange").u16(1, "index"))
    yield "fetch-answer-reply", reply("fetchAnswer", lambda w: wire.write_part(w, wire.DOCUMENT_PART + 3, 1, b"\"}}"))
    yield "volume-notice-deleted", request("volumeNotice", lambda w: w.raw(VOLUME, "volume").u8(1, "deleted"))
    yield "volume-notice-doubted", request("volumeNotice", lambda w: w.raw(VOLUME, "volume").u8(2, "doubted")
                                           .u64(41, "after generation").text("segment 3 differs", "reason"))
    yield "volume-notice-reply", reply("volumeNotice")
    yield "refusal", wire.control_frame(
        "beginSession", lambda w: wire.write_error(w, 13, "volume shop/db", "the key is not known here", "begin again"),
        REQUEST, wire.REPLY | wire.ERROR)
    yield "close", wire.control_frame("close", lambda w: setattr(
        w, "fields", wire.close_payload(14, 4, "agent", "stops").fields), 0)


def pairing_vectors():
    parts = (EXPORTER, CLIENT_KEY, SERVER_KEY, "east", "west")
    yield "pairing-token-id", wire.Writer().raw(wire.token_id(SECRET), "first 16 bytes of HMAC")
    yield "pairing-transcript-client", wire.transcript(1, *parts)
    yield "pairing-transcript-server", wire.transcript(2, *parts)
    token = wire.token_id(SECRET)
    yield "pair-hello", request("pairHello", lambda w: wire.pair_hello(w, token, "east", "node-1", "repl-agent 1.0", 9001))
    yield "pair-hello-reply", reply("pairHello", lambda w: wire.pair_hello(w, token, "west", "node-2", "repl-agent 1.0",
                                                                          9001))
    yield "pair-proof", request("pairProof", lambda w: wire.pair_proof(w, wire.proof_of(SECRET, 1, *parts), CERTIFICATE))
    yield "pair-proof-reply", reply("pairProof", lambda w: wire.pair_proof(w, wire.proof_of(SECRET, 2, *parts),
                                                                           CERTIFICATE))


def data_vectors():
    yield "data-attach", wire.attach_frame(SESSION, TICKET)
    yield "data-attached", wire.data_frame("attached")
    yield "data-chunk-raw", wire.chunk_frame(4096, BLOCK_B[:904])
    yield "data-chunk-lz4", wire.chunk_frame(1 << 20, b"A" * 4096, LZ4_A, 1)
    yield "data-zero-run", wire.zero_run_frame(1 << 20, 3 << 20)
    yield "data-stream-end", wire.stream_end_frame(2, 1)
    yield "data-stream-end-acknowledged", wire.data_frame("streamEndAcknowledged")
    yield "data-close", wire.close_frame(11, 7, "stream", "the bytes do not have their digest, at offset 4096")


def seal_vectors():
    w = wire.Writer()
    wire.write_seal(w, SEAL)
    yield "seal", w


def show(name, writer):
    lines = [f"```vector {name}"]
    for data, label in writer.fields:
        rows = [data[i:i + 16].hex(" ") for i in range(0, len(data), 16)]
        lines.append(f"{rows[0]:<48}# {label}")
        lines += rows[1:]
    return "\n".join(lines + ["```", ""])


def page():
    out = ["### Fingerprints", "",
           "Key: byte i is (7·i + 3) mod 256. Block A: byte j is (31·j + 7) mod 256. Block B: byte j is (13·j + 101) mod"
           " 256.", "The vectors are F as 16 bytes: low word, high word, each little endian.", ""]
    for name, data, index, meaning in FINGERPRINTS:
        total, count = wire.fingerprint(data, KEY, index)
        w = wire.Writer().raw(struct.pack("<QQ", total & (1 << 64) - 1, total >> 64),
                              f"{meaning}: {total:032x}, {count} not zero")
        out.append(show(f"fingerprint-{name}", w))
    for title, vectors in [("Seal", seal_vectors()), ("Control frames", control_vectors()),
                           ("Pairing", pairing_vectors()), ("Data frames", data_vectors())]:
        out += [f"### {title}", ""]
        if title == "Pairing":
            out += ["The secret is the bytes 40 to 5f; exporter, keys and cluster ids are those of the transcript. The"
                    " proof in `pair-proof` is", "HMAC-SHA-256 of the client's transcript, the one in"
                    " `pair-proof-reply` of the server's.", ""]
        out += [show(name, writer) for name, writer in vectors]
    return "\n".join(out)


def main():
    if len(sys.argv) != 3:
        print(page())
        return
    with open(sys.argv[2]) as file:
        text = file.read()
    head, rest = text.split(BEGIN_MARK)
    wanted = head + BEGIN_MARK + "\n\n" + page() + "\n" + END_MARK + rest.split(END_MARK)[1]
    if sys.argv[1] == "--check" and text != wanted:
        sys.exit(f"{sys.argv[2]} has other vectors than this peer makes")
    if sys.argv[1] == "--update":
        with open(sys.argv[2], "w") as file:
            file.write(wanted)


if __name__ == "__main__":
    main()
