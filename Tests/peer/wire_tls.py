"""TLS and certificates of the Python peer: standard library, the openssl command, and two calls of libssl by ctypes.

Python's ssl has no exporter and no way to take a client certificate nobody vouches for; pairing needs both. The addresses
of SSL and SSL_CTX are read from CPython's own objects (their layout is the same from 3.8 to 3.13).
"""
import _ssl
import base64
import ctypes
import hashlib
import os
import ssl
import subprocess

import wire_codec as wire

_libssl = ctypes.CDLL(_ssl.__file__)
_POINTER = ctypes.sizeof(ctypes.c_void_p)
_HEAD = 2 * _POINTER
_VERIFY = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_void_p)
_accept_any = _VERIFY(lambda verdict, store: 1)
_libssl.SSL_CTX_set_verify.argtypes = [ctypes.c_void_p, ctypes.c_int, _VERIFY]
_libssl.SSL_CTX_set_verify.restype = None
_libssl.SSL_export_keying_material.argtypes = [
    ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p,
    ctypes.c_size_t, ctypes.c_int]


def exporter(connection):
    """The 32 bytes both ends of the connection share, and nobody else."""
    address = ctypes.c_void_p.from_address(id(connection._sslobj) + _HEAD + _POINTER).value
    output = ctypes.create_string_buffer(32)
    label = wire.EXPORTER_LABEL
    if _libssl.SSL_export_keying_material(address, output, 32, label, len(label), None, 0, 0) != 1:
        raise wire.WireFailure("the exporter gives nothing")
    return output.raw


def _ask_for_any_certificate(context):
    address = ctypes.c_void_p.from_address(id(context) + _HEAD).value
    _libssl.SSL_CTX_set_verify(address, 3, _accept_any)


# ------------------------------------------------------------------------------------------------------ certificates

def _openssl(*arguments, data=None):
    result = subprocess.run(["openssl", *arguments], input=data, capture_output=True)
    if result.returncode:
        raise wire.WireFailure("openssl: " + result.stderr.decode().strip())
    return result.stdout


def make_identity(directory, cluster, node):
    """A CA and a leaf of it in `directory`: ca.crt, ca.key, leaf.key and chain.crt (leaf, then CA), all PEM."""
    os.makedirs(directory, mode=0o700, exist_ok=True)
    path = lambda name: os.path.join(directory, name)
    _openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", path("ca.key"))
    _openssl("req", "-x509", "-new", "-key", path("ca.key"), "-subj", "/CN=peer authority", "-days", "3650",
             "-addext", "keyUsage=critical,keyCertSign", "-out", path("ca.crt"))
    _openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", path("leaf.key"))
    request = _openssl("req", "-new", "-key", path("leaf.key"), "-subj", "/CN=repl-agent")
    with open(path("extensions"), "w") as file:
        file.write("basicConstraints=critical,CA:FALSE\nextendedKeyUsage=serverAuth,clientAuth\n"
                   f"keyUsage=critical,digitalSignature\nsubjectAltName=URI:repl-agent://{cluster}/{node}\n")
    leaf = _openssl("x509", "-req", "-CA", path("ca.crt"), "-CAkey", path("ca.key"), "-days", "30", "-extfile",
                    path("extensions"), data=request)
    with open(path("ca.crt"), "rb") as ca, open(path("chain.crt"), "wb") as chain:
        chain.write(leaf + ca.read())


def make_pairing_identity(directory):
    """A fresh key and its self-signed certificate, kept until the pairing is recorded."""
    key, certificate = os.path.join(directory, "pairing.key"), os.path.join(directory, "pairing.crt")
    if not os.path.exists(certificate):
        _openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key)
        _openssl("req", "-x509", "-new", "-key", key, "-subj", "/CN=repl-agent pairing", "-days", "7", "-addext",
                 "basicConstraints=critical,CA:FALSE", "-addext", "extendedKeyUsage=clientAuth", "-out", certificate)
    return key, certificate


def read_certificate(path):
    """The first certificate of a PEM file as DER."""
    with open(path) as file:
        text = file.read()
    return ssl.PEM_cert_to_DER_cert(text[:text.index("-----END CERTIFICATE-----") + len("-----END CERTIFICATE-----")])


def write_certificate(path, der):
    with open(path, "w") as file:
        file.write(ssl.DER_cert_to_PEM_cert(der))


def _element(data, position):
    """(end of the header, end of the content) of the DER element at `position`."""
    length, start = data[position + 1], position + 2
    if length & 0x80:
        count = length & 0x7F
        length, start = int.from_bytes(data[start:start + count], "big"), start + count
    return start, start + length


def spki(der):
    """SubjectPublicKeyInfo of a certificate, DER: the seventh field of its first, or sixth if there is no version."""
    position = _element(der, _element(der, 0)[0])[0]
    if der[position] == 0xA0:
        position = _element(der, position)[1]
    for _ in range(5):
        position = _element(der, position)[1]
    return der[position:_element(der, position)[1]]


def chain_of(connection):
    """The certificates the other end sent, DER, leaf first."""
    if hasattr(connection, "get_unverified_chain"):
        return list(connection.get_unverified_chain())
    return [certificate.public_bytes(_ssl.ENCODING_DER) for certificate in connection._sslobj.get_unverified_chain()]


def check_issued(leaf, authority, directory):
    """Fails unless the authority issued the leaf and both are within their times."""
    paths = [os.path.join(directory, name) for name in ("check-ca.crt", "check-leaf.crt")]
    write_certificate(paths[0], authority)
    write_certificate(paths[1], leaf)
    _openssl("verify", "-purpose", "sslserver", "-CAfile", paths[0], paths[1])


def identity_uri(connection):
    """(cluster, node) in the peer's verified certificate."""
    names = [value for kind, value in connection.getpeercert().get("subjectAltName", ()) if kind == "URI"]
    if len(names) != 1 or not names[0].startswith("repl-agent://"):
        raise wire.WireFailure(f"certificate with names {names}")
    cluster, node = names[0][len("repl-agent://"):].split("/")
    return cluster, node


# ---------------------------------------------------------------------------------------------------------- contexts

def context(server, directory, application, authority=None):
    """A context of this cluster's leaf. `authority`: PEM file of the pinned CA; without one any certificate is taken."""
    result = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    result.minimum_version = ssl.TLSVersion.TLSv1_3
    result.check_hostname = False
    result.set_alpn_protocols([application])
    result.load_cert_chain(os.path.join(directory, "chain.crt"), os.path.join(directory, "leaf.key"))
    if authority:
        result.verify_mode = ssl.CERT_REQUIRED
        result.load_verify_locations(authority)
    else:
        result.verify_mode = ssl.CERT_NONE
        _ask_for_any_certificate(result)
    return result


def pairing_client_context(directory):
    key, certificate = make_pairing_identity(directory)
    result = context(False, directory, wire.ALPN_PAIRING)
    result.load_cert_chain(certificate, key)
    return result


# ------------------------------------------------------------------------------------------------------------ tokens

def make_token(cluster, authority_der, secret):
    data = bytes([1]) + hashlib.sha256(spki(authority_der)).digest() + secret
    data += bytes([len(cluster.encode())]) + cluster.encode()
    data += hashlib.sha256(data).digest()[:4]
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def read_token(text):
    """(cluster, SHA-256 of the CA's SPKI, secret)."""
    text = text.strip()
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if len(data) < 71 or data[0] != 1 or hashlib.sha256(data[:-4]).digest()[:4] != data[-4:]:
        raise wire.WireFailure("not a token of version 1")
    if len(data) != 66 + data[65] + 4:
        raise wire.WireFailure("a token of another length")
    return data[66:-4].decode(), data[1:33], data[33:65]
