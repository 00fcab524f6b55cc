"""Prints Tests/Fixtures/frames/malformed.txt: frames that must close the connection, each with the reason.

Every block is one frame; its name is CONNECTION/WHAT REASON. Connections: `control` is 9001 after hello, `data` is 9010
of a volume of 1 GiB with chunks of at most 256 KiB and codecs raw and LZ4.
"""
import struct

import vectors
import wire_codec as wire

TAKEN = vectors.TAKEN


def control(kind, body, flags=0, length=None, magic=0x5246, reserved=0, number=7):
    return struct.pack("<HHHHII", magic, kind, flags, reserved, len(body) if length is None else length, number) + body


def heartbeat(instant):
    return struct.pack("<q", instant)


def head(kind, payload=0, first=0, second=0, sixteen=bytes(16), codec=0, flags=0, magic=0x4452, reserved=bytes(3),
         check=None):
    data = struct.pack("<HBBIQQ", magic, kind, flags, payload, first, second) + sixteen + bytes([codec]) + reserved
    return data + struct.pack("<I", wire.xxh3(data)[0] & 0xFFFFFFFF if check is None else check)


def control_frames():
    good = heartbeat(TAKEN)
    yield "wrong-magic malformedHeader", control(2, good, magic=0x5247)
    yield "reserved malformedHeader", control(2, good, reserved=1)
    yield "unknown-flag malformedHeader", control(2, good, flags=8)
    yield "error-without-reply malformedHeader", control(2, good, flags=2)
    yield "plain-http malformedHeader", b"GET / HTTP/1.1\r\n"
    yield "request-id-zero malformedHeader", control(2, good, number=0)
    yield "unknown-type unknownType", control(99, b"")
    yield "optional-too-long tooLong", control(99, b"", flags=4, length=65537)
    yield "request-too-long tooLong", control(2, b"", length=4097)
    yield "length-of-four-GiB tooLong", control(4, b"", length=0xFFFFFFFF)
    yield "short-body malformedBody", control(2, good[:-1])
    yield "instant-before-1970 malformedBody", control(2, heartbeat(-1))
    yield "instant-beyond-2116 malformedBody", control(2, heartbeat((1 << 62) + 1))
    session = vectors.SESSION
    yield "boolean-of-two malformedBody", control(11, session + b"\2")
    yield "abort-without-a-body malformedBody", control(11, b"")
    yield "sums-of-nothing malformedBody", control(7, session + session + struct.pack("<QI", 0, 0))
    yield "sums-of-too-many malformedBody", control(7, session + session + struct.pack("<QI", 0, 4097))
    yield "segment-beyond-any-volume malformedBody", control(7, session + session + struct.pack("<QI", 1 << 44, 1))
    yield "pairing-on-control outOfOrder", control(257, b"")

    def begin(**changes):
        w = wire.Writer()
        wire.begin_session(w, dict(vectors.BEGIN, **changes))
        return w.bytes
    yield "volume-of-2^63-bytes malformedBody", control(4, begin(size=1 << 63))
    yield "empty-name malformedBody", control(4, begin(name=""))
    yield "name-of-254-bytes malformedBody", control(4, begin(name="n" * 254))
    yield "sixty-five-candidates malformedBody", control(4, begin(candidates=[(vectors.BASE, 0, False)] * 65))
    yield "kind-of-nine malformedBody", control(4, begin(kind=9))
    yield "generation-of-2^62 malformedBody", control(4, begin(generation=1 << 62))
    yield "epoch-above-2^53 malformedBody", control(4, begin(epoch=(1 << 53) + 1))
    yield "name-that-is-a-path malformedBody", control(4, begin(name="../db"))
    yield "namespace-with-a-control-character malformedBody", control(4, begin(namespace="shop\x1b"))
    yield "no-streams malformedBody", control(4, begin(streams=0))
    yield "begin-of-kind-three malformedBody", control(4, begin(kind=3))
    one = vectors.BEGIN["members"][0]
    yield "begin-with-a-member-twice malformedBody", control(4, begin(members=[one, one]))
    yield "begin-with-members-out-of-order malformedBody", control(4, begin(members=vectors.SEAL["members"][::-1]))

    def seal(**changes):
        w = wire.Writer()
        wire.write_seal(w, dict(vectors.SEAL, **changes))
        return session + w.bytes
    yield "members-out-of-order malformedBody", control(8, seal(members=vectors.SEAL["members"][::-1]))
    yield "more-blocks-than-the-size malformedBody", control(8, seal(nonZeroBlocks=3))
    yield "seal-of-format-two malformedBody", control(8, session + b"\2" + seal()[17:])


    def document(topic="resources", total=4, index=0, data=b"true"):
        w = wire.Writer()
        wire.send_document(w, vectors.EXCHANGE, topic, total, index, data)
        return w.bytes
    yield "document-without-a-topic malformedBody", control(15, document(topic=""))
    yield "topic-with-a-line-feed malformedBody", control(15, document(topic="a\n"))
    yield "topic-of-65-bytes malformedBody", control(15, document(topic="t" * 65))
    yield "document-above-8-MiB malformedBody", control(15, document(total=(8 << 20) + 1))
    yield "part-beyond-the-document malformedBody", control(15, document(index=1))
    yield "part-shorter-than-its-place malformedBody", control(15, document(total=5))
    yield "part-announced-too-long malformedBody", control(15, document()[:-8] + b"\xff\xff\xff\xff" + b"true")
    yield "document-frame-too-long tooLong", control(15, b"", length=(1 << 20) + 1)
    yield "answer-part-of-zero malformedBody", control(16, vectors.EXCHANGE + bytes(2))


def data_frames():
    digest = bytes(range(16))
    yield "wrong-magic malformedHeader", head(6, magic=0x4453)
    yield "wrong-check malformedHeader", head(6, check=1)
    yield "reserved malformedHeader", head(6, reserved=b"\0\0\1")
    yield "unknown-flag malformedHeader", head(6, flags=2)
    yield "meaningless-field malformedHeader", head(6, first=1)
    yield "truncated malformedHeader", head(6)[:47]
    yield "unknown-type unknownType", head(99)
    yield "optional-too-long tooLong", head(99, payload=65537, flags=1)
    yield "ticket-of-31-bytes tooLong", head(1, payload=31, sixteen=vectors.SESSION)
    yield "tail-of-1025-bytes tooLong", head(6, payload=1025)
    yield "run-with-a-payload tooLong", head(4, payload=1, second=4096)
    yield "payload-of-four-GiB tooLong", head(3, payload=0xFFFFFFFF, second=4096, sixteen=digest)
    yield "chunk-without-payload tooLong", head(3, payload=0, second=4096, sixteen=digest)
    chunk = lambda offset, raw, payload=None, codec=0: head(
        3, raw if payload is None else payload, offset, raw, digest, codec)
    yield "offset-not-aligned chunkOutOfBounds", chunk(512, 4096)
    yield "length-not-whole-blocks chunkOutOfBounds", chunk(0, 5000)
    yield "beyond-the-volume chunkOutOfBounds", chunk(1 << 30, 4096)
    yield "end-beyond-the-volume chunkOutOfBounds", chunk((1 << 30) - 4096, 8192)
    yield "offset-that-overflows chunkOutOfBounds", chunk((1 << 64) - 4096, 4096)
    yield "across-a-segment chunkOutOfBounds", chunk((1 << 20) - 4096, 8192)
    yield "above-the-agreed-size chunkOutOfBounds", chunk(0, (256 << 10) + 4096)
    yield "raw-length-of-zero chunkOutOfBounds", chunk(0, 0, 1, 1)
    yield "raw-with-another-length badPayload", chunk(0, 4096, 4095)
    yield "compressed-longer-than-raw badPayload", chunk(0, 4096, 4097, 1)
    yield "codec-of-seven badPayload", chunk(0, 4096, 10, 7)
    yield "empty-run-of-zeros chunkOutOfBounds", head(4)
    yield "run-beyond-the-volume chunkOutOfBounds", head(4, first=4096, second=1 << 30)
    yield "run-that-overflows chunkOutOfBounds", head(4, first=1 << 63, second=1 << 63)


def main():
    print(__doc__.split("\n", 2)[2].strip() + "\nMade by Tests/peer/malformed.py.\n")
    for connection, frames in [("control", control_frames()), ("data", data_frames())]:
        for name, frame in frames:
            rows = [frame[i:i + 32].hex(" ") for i in range(0, len(frame), 32)]
            print(f"```vector {connection}/{name}", *rows, "```\n", sep="\n")


if __name__ == "__main__":
    main()
