#!/usr/bin/env python3
"""Checks an agent's API with the official Python client and with plain HTTP: one line a check, exit 1 on failure.

Usage: conformance.py --kubeconfig FILE
       conformance.py URL [--ca FILE] [--cert FILE --key FILE]

Needs the package `kubernetes` from PyPI. Works in namespaces of its own, which it removes again.
"""

import argparse
import json
import queue
import secrets
import sys
import threading
import time
import urllib.parse

import kubernetes
import kubernetes.config
import urllib3
from kubernetes import client, dynamic, watch
from kubernetes.client.rest import ApiException

GROUP, VERSION = "stork.libopenstorage.org", "v1alpha1"
STORK = f"/apis/{GROUP}/{VERSION}"
MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
SECONDS = 30

CHECKS = []


def check(function):
    """Registers a check; its first line of documentation is what is printed."""
    CHECKS.append(function)
    return function


def need(condition, what):
    if not condition:
        raise AssertionError(what)


class Answer:
    def __init__(self, response):
        self.code = response.status
        self.headers = response.headers
        self.data = response.data
        try:
            self.json = json.loads(self.data)
        except ValueError:
            self.json = None

    @property
    def version(self):
        return self.json["metadata"]["resourceVersion"]


class Server:
    """The server under test, by plain HTTP and through the official client."""

    def __init__(self, arguments):
        self.configuration = client.Configuration()
        if arguments.kubeconfig:
            kubernetes.config.load_kube_config(arguments.kubeconfig, client_configuration=self.configuration)
        else:
            self.configuration.host = arguments.url
            self.configuration.ssl_ca_cert = arguments.ca
            self.configuration.cert_file = arguments.cert
            self.configuration.key_file = arguments.key
        self.configuration.assert_hostname = None
        self.url = self.configuration.host.rstrip("/")
        self.api = client.ApiClient(self.configuration)
        self.http = urllib3.PoolManager(
            maxsize=8, ca_certs=self.configuration.ssl_ca_cert, cert_file=self.configuration.cert_file,
            key_file=self.configuration.key_file)
        self.core = client.CoreV1Api(self.api)
        self.custom = client.CustomObjectsApi(self.api)
        self.namespace = f"conformance-{secrets.token_hex(4)}"

    def send(self, method, path, body=None, kind="application/json", accept=None, stream=False, **query):
        url = self.url + path
        if query:
            url += "?" + urllib.parse.urlencode({key: value for key, value in query.items() if value is not None})
        headers = {}
        if kind:
            headers["Content-Type"] = kind
        if accept:
            headers["Accept"] = accept
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
        response = self.http.request(
            method, url, body=body, headers=headers, preload_content=not stream, redirect=False,
            timeout=urllib3.Timeout(SECONDS), retries=False)
        return response if stream else Answer(response)

    def path(self, plural, name=None, core=False, namespace=None):
        root = "/api/v1" if core else STORK
        path = f"{root}/namespaces/{namespace or self.namespace}/{plural}"
        return path if name is None else f"{path}/{name}"

    def rule(self, name=None, spec=None, **metadata):
        if name:
            metadata["name"] = name
        return {
            "apiVersion": f"{GROUP}/{VERSION}", "kind": "Rule", "metadata": metadata,
            "rules": spec if spec is not None else [],
        }

    def create(self, name=None, **fields):
        answer = self.send("POST", self.path("rules"), self.rule(name, **fields))
        need(answer.code == 201, f"create: {answer.code} {answer.data[:300]}")
        return answer.json

    def events(self, path, **query):
        return Stream(self, path, query)


class Stream:
    """A watch, read on a thread of its own."""

    def __init__(self, server, path, query):
        self.response = server.send("GET", path, kind=None, stream=True, watch="true", **query)
        self.code = self.response.status
        self.lines = queue.Queue()
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        rest = b""
        try:
            for part in self.response.stream(65536, decode_content=True):
                rest += part
                *lines, rest = rest.split(b"\n")
                for line in lines:
                    self.lines.put(json.loads(line))
        except Exception:
            pass
        self.lines.put(None)

    def next(self, seconds=SECONDS):
        return self.lines.get(timeout=seconds)

    def take(self, count):
        return [self.next() for _ in range(count)]

    def rest(self):
        found = []
        while (line := self.next()) is not None:
            found.append(line)
        return found

    def close(self):
        # Closing would wait for the thread that reads; shutting down ends its read.
        if hasattr(self.response, "shutdown"):
            self.response.shutdown()
        self.thread.join(SECONDS)
        self.response.close()


def names(events):
    return [(event["type"], event["object"]["metadata"].get("name", "")) for event in events]


# Discovery and documents.


@check
def discovery_shapes(server):
    """discovery has the old shapes, and every advertised resource answers a list"""
    need(server.send("GET", "/api").json["kind"] == "APIVersions", "/api")
    groups = server.send("GET", "/apis").json["groups"]
    roots = ["/api/v1"] + [f"/apis/{group['preferredVersion']['groupVersion']}" for group in groups]
    for root in roots:
        listed = server.send("GET", root).json
        need(listed["kind"] == "APIResourceList", root)
        for resource in listed["resources"]:
            if "/" in resource["name"]:
                continue
            found = server.send("GET", f"{root}/{resource['name']}").json
            need(found["kind"] == resource["kind"] + "List" and found["items"] is not None, resource["name"])
            need(found["metadata"]["resourceVersion"], resource["name"])


@check
def discovery_aggregated(server):
    """aggregated discovery has the exact content type"""
    answer = server.send("GET", "/apis", accept=AGGREGATED + ",application/json")
    need(answer.headers["Content-Type"] == AGGREGATED, answer.headers["Content-Type"])
    need(any(item["metadata"].get("name") == GROUP for item in answer.json["items"]), "group is missing")


@check
def version_and_health(server):
    """/version names a semantic version; health paths answer"""
    version = client.VersionApi(server.api).get_code()
    need(version.git_version.startswith("v1."), version.git_version)
    for path in ["/healthz", "/livez", "/readyz"]:
        need(server.send("GET", path).code == 200, path)


@check
def openapi(server):
    """OpenAPI v3 names every kind with fieldValidation and a schema; v2 is the fixed document"""
    index = server.send("GET", "/openapi/v3").json["paths"]
    for path, entry in index.items():
        answer = server.send("GET", entry["serverRelativeURL"])
        need(answer.code == 200 and "immutable" in answer.headers["Cache-Control"], path)
        document = answer.json
        schemas = [schema.get("x-kubernetes-group-version-kind", [{}])[0].get("kind")
                   for schema in document["components"]["schemas"].values()]
        patches = [operations["patch"] for operations in document["paths"].values() if "patch" in operations]
        need(all(any(p["name"] == "fieldValidation" for p in patch["parameters"]) for patch in patches), path)
        for patch in patches:
            need(patch["x-kubernetes-group-version-kind"]["kind"] in schemas, path)
    need(f"apis/{GROUP}/{VERSION}" in index and "api/v1" in index, "groups are missing")
    moved = server.send("GET", "/openapi/v3/api/v1", hash="old")
    need(moved.code == 301, f"old hash: {moved.code}")
    old = server.send("GET", "/openapi/v2").json
    need(old["swagger"] == "2.0" and "core.v1.ConfigMap" in old["definitions"], "v2")
    binary = server.send("GET", "/openapi/v2", accept="application/com.github.proto-openapi.spec.v2@v1.0+protobuf")
    need(binary.data.startswith(b"\n\x032.0"), "v2 in protobuf")


@check
def unknown_paths(server):
    """unknown paths are 404"""
    for path in ["/nothing", "/apis/none/v1", "/api/v1/none", STORK + "/none"]:
        need(server.send("GET", path).code == 404, path)


# Create.


@check
def create_fills_in(server):
    """POST answers 201 with uid, times, version and generation; client values of these are ignored"""
    made = server.create(
        "fills-in", uid="mine", creationTimestamp=None, generation=9, deletionTimestamp="2020-01-01T00:00:00Z",
        managedFields=[{}], labels={}, finalizers=[])
    metadata = made["metadata"]
    need(metadata["uid"] != "mine" and len(metadata["uid"]) == 36, "uid")
    need(metadata["creationTimestamp"].endswith("Z") and "." not in metadata["creationTimestamp"], "time")
    need(metadata["generation"] == 1 and int(metadata["resourceVersion"]) > 0, "generation")
    for key in ["selfLink", "deletionTimestamp", "labels", "finalizers"]:
        need(key not in metadata, key)
    need(all(entry["operation"] == "Update" for entry in metadata["managedFields"]), "the creator owns the fields")


@check
def generate_name(server):
    """generateName gives unique valid names"""
    made = [server.create(generateName="gen-")["metadata"]["name"] for _ in range(20)]
    need(len(set(made)) == 20 and all(name.startswith("gen-") and len(name) == 9 for name in made), made)
    stored = [item["metadata"]["name"] for item in server.send("GET", server.path("rules")).json["items"]]
    need(sorted(made) == [name for name in stored if name.startswith("gen-")], "one object for each request")


@check
def create_refusals(server):
    """bad objects are refused with the codes and texts clients know"""
    server.create("exists")
    path = server.path("rules")
    cases = [
        (server.rule(), 422, "name or generateName is required"),
        (server.rule("Bad_Name"), 422, "a lowercase RFC 1123 subdomain"),
        (server.rule("../x"), 422, "a lowercase RFC 1123 subdomain"),
        (server.rule("exists"), 409, 'rules.stork.libopenstorage.org "exists" already exists'),
        (server.rule("x", resourceVersion="1"), 500, "resourceVersion should not be set"),
        (server.rule("x", namespace="other"), 400, "does not match the namespace sent on the request"),
        (dict(server.rule("x"), kind="Action"), 422, "must be Rule"),
        (dict(server.rule("x"), apiVersion="v1"), 400, "does not match the expected API version"),
        ({"metadata": {"name": "x"}}, 400, "the object provided is unrecognized"),
        ("", 400, ""), ("{", 400, ""), ("[]", 400, ""), ("null", 400, ""),
    ]
    for body, code, text in cases:
        answer = server.send("POST", path, body)
        need(answer.code == code, f"{body}: {answer.code}")
        need(answer.json["kind"] == "Status" and text in answer.json["message"], answer.json["message"])
    need(server.send("POST", path, server.rule("x"), kind="text/plain").code == 415, "text/plain")
    need(server.send("POST", path, server.rule("x"), accept="application/cbor").code == 406, "cbor")


@check
def create_in_missing_namespace(server):
    """creating in a missing namespace is 404 of the namespace; listing there is empty"""
    answer = server.send("POST", server.path("rules", namespace="nope"), server.rule("x"))
    need(answer.code == 404 and answer.json["message"] == 'namespaces "nope" not found', answer.data)
    need(server.send("GET", server.path("rules", namespace="nope")).json["items"] == [], "list")


@check
def cluster_scope_drops_namespace(server):
    """a cluster-scoped kind drops metadata.namespace"""
    name = server.namespace + "-policy"
    body = {"apiVersion": f"{GROUP}/{VERSION}", "kind": "SchedulePolicy",
            "metadata": {"name": name, "namespace": "mysql"}, "policy": {"interval": {"intervalMinutes": 1}}}
    made = server.send("POST", f"{STORK}/schedulepolicies", body)
    need(made.code == 201 and "namespace" not in made.json["metadata"], made.data)
    need(server.send("DELETE", f"{STORK}/schedulepolicies/{name}").code == 200, "delete")


@check
def bodies_without_type(server):
    """no Content-Type is JSON; built-in kinds need no kind, Stork kinds do"""
    made = server.send("POST", server.path("configmaps", core=True), '{"metadata":{"name":"bare"}}', kind=None)
    need(made.code == 201 and made.json["kind"] == "ConfigMap", made.data)


@check
def dry_run(server):
    """dryRun=All stores nothing"""
    made = server.send("POST", server.path("rules"), server.rule("dry"), dryRun="All")
    need(made.code == 201 and "resourceVersion" not in made.json["metadata"], made.data)
    need(server.send("GET", server.path("rules", "dry")).code == 404, "stored")
    need(server.send("POST", server.path("rules"), server.rule("dry"), dryRun="x").code == 422, "other value")


@check
def field_validation(server):
    """fieldValidation: Strict refuses, Warn warns, Ignore drops"""
    body = json.dumps(server.rule("fields", bogus=1)).replace('"rules": []', '"rules":[],"a":1,"a":2')
    path = server.path("rules")
    strict = server.send("POST", path, body, fieldValidation="Strict")
    need(strict.code == 400 and 'duplicate field "a"' in strict.json["message"], strict.data)
    need('unknown field "metadata.bogus"' in strict.json["message"], strict.data)
    warned = server.send("POST", path, body, fieldValidation="Warn", dryRun="All")
    need(warned.code == 201 and "299" in warned.headers.get("Warning", ""), warned.headers)
    need(server.send("POST", path, body, fieldValidation="x").code == 422, "other value")


@check
def nulls_survive(server):
    """explicit nulls inside a Stork object survive"""
    made = server.create("nulls", spec=[{"container": None, "actions": [], "podSelector": {}}])
    need(made["rules"] == [{"container": None, "actions": [], "podSelector": {}}], made["rules"])


@check
def large_and_deep(server):
    """bodies over 3 MiB are 413, deep ones 400, and the server goes on"""
    path = server.path("rules")
    large = server.send("POST", path, json.dumps(server.rule("large", spec=["x" * (4 << 20)])))
    need(large.code == 413 and large.json["message"] == "Request entity too large: limit is 3145728", large.code)
    need(server.send("POST", path, '{"a":' * 50000 + "1" + "}" * 50000).code == 400, "deep")
    need(server.send("GET", "/version").code == 200, "goes on")


def protobuf(api_version, kind, raw):
    def field(number, data):
        size = len(data)
        length = b""
        while size >= 0x80:
            length += bytes([size & 0x7F | 0x80])
            size >>= 7
        return bytes([number << 3 | 2]) + length + bytes([size]) + data
    meta = field(1, api_version.encode()) + field(2, kind.encode())
    return b"k8s\0" + field(1, meta) + field(2, raw(field)) + field(3, b"") + field(4, b"")


@check
def protobuf_bodies(server):
    """protobuf bodies of built-in kinds are read, JSON is answered; other kinds are 415 with a remedy"""
    kind = "application/vnd.kubernetes.protobuf"
    namespace = server.namespace + "-pb"
    made = server.send("POST", "/api/v1/namespaces", protobuf(
        "v1", "Namespace", lambda f: f(1, f(1, namespace.encode()))), kind=kind, accept=kind + ",application/json")
    need(made.code == 201 and made.json["metadata"]["name"] == namespace, made.data)
    need(made.headers["Content-Type"] == "application/json", made.headers["Content-Type"])
    for plural, name, version, root in [
        ("configmaps", "ConfigMap", "v1", "/api/v1"), ("secrets", "Secret", "v1", "/api/v1"),
        ("serviceaccounts", "ServiceAccount", "v1", "/api/v1"),
        ("leases", "Lease", "coordination.k8s.io/v1", "/apis/coordination.k8s.io/v1"),
    ]:
        answer = server.send("POST", f"{root}/namespaces/{namespace}/{plural}", protobuf(
            version, name, lambda f: f(1, f(1, b"pb"))), kind=kind)
        need(answer.code == 201, f"{plural}: {answer.data}")
    refused = server.send("POST", "/api/v1/nodes", protobuf("v1", "Node", lambda f: f(1, f(1, b"pb"))), kind=kind)
    need(refused.code == 415 and "kubectl apply" in refused.json["message"], refused.data)
    options = protobuf("v1", "DeleteOptions", lambda f: f(4, b"Background"))
    need(server.send("DELETE", f"/api/v1/namespaces/{namespace}", options, kind=kind).code == 200, "delete")


# Update and patch.


@check
def put_rules(server):
    """PUT: stale 409, no version 422, nothing changed keeps the version, missing 404, other name 400"""
    made = server.create("put")
    path = server.path("rules", "put")
    same = server.send("PUT", path, made)
    need(same.code == 200 and same.version == made["metadata"]["resourceVersion"], same.data)
    changed = server.send("PUT", path, dict(made, rules=[{"container": "a"}]))
    need(changed.code == 200 and changed.json["metadata"]["generation"] == 2, changed.data)
    stale = server.send("PUT", path, made)
    need(stale.code == 409 and stale.json["message"].endswith(
        "the object has been modified; please apply your changes to the latest version and try again"), stale.data)
    need(server.send("PUT", path, server.rule("put")).code == 422, "no version")
    need(server.send("PUT", server.path("rules", "none"), dict(made)).code in (400, 404), "missing")
    other = server.rule("other", resourceVersion=changed.version)
    need(server.send("PUT", path, other).code == 400, "other name")
    labelled = server.send("PATCH", path, {"metadata": {"labels": {"a": "b"}}}, kind=MERGE)
    need(labelled.json["metadata"]["generation"] == 2, "generation moved with a label")


@check
def patches(server):
    """merge, JSON and strategic patches; wrong types are 415"""
    server.create("patch", spec=[{"container": "a"}])
    path = server.path("rules", "patch")
    merged = server.send("PATCH", path, {"x": {"y": 1}, "rules": None}, kind=MERGE)
    need(merged.json["x"] == {"y": 1} and "rules" not in merged.json, merged.data)
    operations = [
        {"op": "test", "path": "/x/y", "value": 1}, {"op": "add", "path": "/x/z", "value": [1]},
        {"op": "add", "path": "/x/z/-", "value": 2}, {"op": "copy", "from": "/x/z", "path": "/x/w"},
        {"op": "move", "from": "/x/y", "path": "/x/v"}, {"op": "replace", "path": "/x/v", "value": 3},
        {"op": "remove", "path": "/x/z"},
    ]
    need(server.send("PATCH", path, operations, kind=JSON_PATCH).json["x"] == {"w": [1, 2], "v": 3}, "json patch")
    failed = server.send("PATCH", path, operations[:1], kind=JSON_PATCH)
    need(failed.code == 422 and failed.json["reason"] == "Invalid", failed.data)
    for kind in [STRATEGIC, "application/json"]:
        refused = server.send("PATCH", path, {}, kind=kind)
        need(refused.code == 415 and "application/json-patch+json, application/merge-patch+json" in
             refused.json["message"], refused.data)
    before = server.send("GET", path).version
    need(server.send("PATCH", path, {}, kind=MERGE).version == before, "an empty patch changed something")
    need(server.send("PATCH", path, {"metadata": {"resourceVersion": "1"}}, kind=MERGE).code == 409, "stale")
    for bad in [{"metadata": {"uid": "x"}}, {"kind": "Action"}]:
        need(server.send("PATCH", path, bad, kind=MERGE).code == 422, bad)
    need(server.send("PATCH", server.path("rules", "none"), {}, kind=MERGE).code == 404, "missing")


@check
def strategic_merge(server):
    """strategic patches of built-in kinds merge keyed lists"""
    path = server.path("services", core=True)
    server.send("POST", path, {"metadata": {"name": "svc"}, "spec": {"ports": [{"port": 80, "name": "a"}]}})
    patched = server.send("PATCH", path + "/svc", {
        "spec": {"ports": [{"port": 81, "name": "b"}], "$setElementOrder/ports": [{"port": 80}, {"port": 81}]},
        "metadata": {"finalizers": ["x.y/z"]}}, kind=STRATEGIC)
    need([port["port"] for port in patched.json["spec"]["ports"]] == [80, 81], patched.data)
    gone = server.send("PATCH", path + "/svc", {
        "spec": {"ports": [{"port": 80, "$patch": "delete"}]},
        "metadata": {"$deleteFromPrimitiveList/finalizers": ["x.y/z"]}}, kind=STRATEGIC)
    need([port["port"] for port in gone.json["spec"]["ports"]] == [81], gone.data)
    need("finalizers" not in gone.json["metadata"], gone.data)


@check
def apply_patch(server):
    """server-side apply creates and updates; a field manager is needed"""
    path = server.path("rules", "applied")
    body = server.rule("applied", spec=[{"container": "a"}])
    need(server.send("PATCH", path, body, kind=APPLY).code == 422, "no manager")
    made = server.send("PATCH", path, body, kind=APPLY, fieldManager="me")
    need(made.code == 201, made.data)
    owner, = made.json["metadata"]["managedFields"]
    need((owner["manager"], owner["operation"], owner["fieldsType"]) == ("me", "Apply", "FieldsV1"), made.data)
    again = server.send("PATCH", path, body, kind=APPLY, fieldManager="me")
    need(again.code == 200 and again.version == made.version, again.data)


@check
def apply_ownership(server):
    """fields left out go, those of others are conflicts that force takes over, equal ones are shared"""
    path = server.path("configmaps", "owned", core=True)
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "owned"}}

    def apply(manager, data, **options):
        return server.send("PATCH", path, dict(body, data=data), kind=APPLY, fieldManager=manager, **options)

    need(apply("one", {"a": "1", "b": "2"}).code == 201, "created")
    need(apply("two", {"a": "1"}).code == 200, "shared")
    refused = apply("two", {"a": "9"})
    cause, = refused.json["details"]["causes"]
    need(refused.code == 409 and cause["reason"] == "FieldManagerConflict" and cause["field"] == ".data.a", refused.data)
    need(cause["message"] == 'conflict with "one"', refused.data)
    need(apply("two", {"a": "9"}, force="true").json["data"] == {"a": "9", "b": "2"}, "forced")
    need(apply("one", {}).json["data"] == {"a": "9"}, "pruned")
    reset = server.send("PATCH", path, {"metadata": {"managedFields": []}}, kind=MERGE)
    need("managedFields" not in reset.json["metadata"], reset.data)
    server.send("DELETE", path)


@check
def concurrent_patches(server):
    """patches without a version never conflict, and none is lost"""
    server.create("contended")
    path = server.path("rules", "contended")
    codes = []

    def work(worker):
        for number in range(10):
            codes.append(server.send("PATCH", path, {"x": {f"k{worker}-{number}": 1}}, kind=MERGE).code)

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    need(set(codes) == {200} and len(server.send("GET", path).json["x"]) == 60, codes)


@check
def leases(server):
    """of two holders that write a lease one loses"""
    path = f"/apis/coordination.k8s.io/v1/namespaces/{server.namespace}/leases"
    made = server.send("POST", path, {"metadata": {"name": "leader"}, "spec": {"holderIdentity": "a"}}).json
    need(server.send("PUT", path + "/leader", dict(made, spec={"holderIdentity": "b"})).code == 200, "winner")
    need(server.send("PUT", path + "/leader", dict(made, spec={"holderIdentity": "c"})).code == 409, "loser")


# Delete.


@check
def deletion(server):
    """DELETE: Status with uid; finalizers keep the object, generation moves on, the last one lets it go"""
    made = server.create("plain")
    gone = server.send("DELETE", server.path("rules", "plain"))
    need(gone.json["status"] == "Success" and gone.json["details"]["uid"] == made["metadata"]["uid"], gone.data)
    kept = server.create("kept", finalizers=["x.y/z"])
    path = server.path("rules", "kept")
    stream = server.events(server.path("rules"), resourceVersion=kept["metadata"]["resourceVersion"],
                           fieldSelector="metadata.name=kept")
    first = server.send("DELETE", path, {"propagationPolicy": "Foreground"})
    need(first.json["metadata"]["deletionTimestamp"] and first.json["metadata"]["generation"] == 2, first.data)
    second = server.send("DELETE", path)
    need(second.code == 200 and second.version == first.version, second.data)
    more = server.send("PATCH", path, {"metadata": {"finalizers": ["x.y/z", "q.r/s"]}}, kind=MERGE)
    need(more.code == 422 and "no new finalizers can be added" in more.json["message"], more.data)
    again = server.send("POST", server.path("rules"), server.rule("kept"))
    need(again.code == 409 and again.json["message"].startswith("object is being deleted"), again.data)
    last = server.send("PATCH", path, {"metadata": {"finalizers": None}}, kind=MERGE)
    need(last.code == 200 and server.send("GET", path).code == 404, last.data)
    events = stream.take(2)
    stream.close()
    need(names(events) == [("MODIFIED", "kept"), ("DELETED", "kept")], names(events))
    need(int(events[1]["object"]["metadata"]["resourceVersion"]) > int(first.version), "version of the deletion")


@check
def preconditions(server):
    """preconditions and policies of DELETE"""
    server.create("guarded")
    path = server.path("rules", "guarded")
    for body, code in [({"preconditions": {"uid": "x"}}, 409), ({"preconditions": {"resourceVersion": "1"}}, 409),
                       ({"propagationPolicy": "Never"}, 422), ("{", 400)]:
        need(server.send("DELETE", path, body).code == code, body)
    need(server.send("DELETE", path, propagationPolicy="Background").code == 200, "by query")


@check
def owners(server):
    """dependants: background takes them along, orphan releases them, foreground waits for those that block"""
    def owned(name, owner, **metadata):
        reference = {"apiVersion": f"{GROUP}/{VERSION}", "kind": "Rule", "name": owner["metadata"]["name"],
                     "uid": owner["metadata"]["uid"], "blockOwnerDeletion": True}
        return server.create(name, ownerReferences=[reference], **metadata)

    def until(condition):
        end = time.monotonic() + SECONDS
        while not condition():
            need(time.monotonic() < end, "not in time")
            time.sleep(0.05)

    def missing(name):
        return server.send("GET", server.path("rules", name)).code == 404

    owned("child", server.create("owner"))
    server.send("DELETE", server.path("rules", "owner"))
    until(lambda: missing("owner") and missing("child"))
    owned("orphan", server.create("owner"))
    server.send("DELETE", server.path("rules", "owner"), {"propagationPolicy": "Orphan"})
    until(lambda: missing("owner"))
    until(lambda: "ownerReferences" not in server.send("GET", server.path("rules", "orphan")).json["metadata"])
    owned("blocker", server.create("owner"), finalizers=["x.y/z"])
    server.send("DELETE", server.path("rules", "owner"), {"propagationPolicy": "Foreground"})
    until(lambda: "deletionTimestamp" in server.send("GET", server.path("rules", "blocker")).json["metadata"])
    need("foregroundDeletion" in server.send("GET", server.path("rules", "owner")).json["metadata"]["finalizers"], "gone")
    server.send("PATCH", server.path("rules", "blocker"), {"metadata": {"finalizers": None}}, kind=MERGE)
    until(lambda: missing("owner") and missing("blocker"))


@check
def delete_collection(server):
    """deletecollection takes what is selected and answers with the list"""
    for name in ["dc-a", "dc-b"]:
        server.create(name, labels={"set": name})
    answer = server.send("DELETE", server.path("rules"), labelSelector="set in (dc-a)")
    need(answer.json["kind"] == "RuleList" and len(answer.json["items"]) == 1, answer.data)
    need(server.send("GET", server.path("rules", "dc-b")).code == 200, "the other one")
    need(server.send("DELETE", "/api/v1/namespaces").code == 405, "namespaces")


@check
def namespace_life(server):
    """a namespace goes with its contents; creating in it meanwhile is 403; default stays"""
    name = server.namespace + "-life"
    made = server.core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=name)))
    need(made.metadata.labels == {"kubernetes.io/metadata.name": name} and made.status.phase == "Active", made)
    path = server.path("rules", namespace=name)
    server.send("POST", path, server.rule("a", finalizers=["x.y/z"]))
    deleted = server.send("DELETE", f"/api/v1/namespaces/{name}")
    need(deleted.json["status"]["phase"] == "Terminating", deleted.data)
    refused = server.send("POST", path, server.rule("b"))
    need(refused.code == 403 and refused.json["details"]["causes"][0]["reason"] == "NamespaceTerminating", refused.data)
    conditions = server.send("GET", f"/api/v1/namespaces/{name}").json["status"]["conditions"]
    need(any(c["type"] == "NamespaceContentRemaining" and c["status"] == "True" for c in conditions), conditions)
    server.send("PATCH", path + "/a", {"metadata": {"finalizers": None}}, kind=MERGE)
    need(server.send("GET", f"/api/v1/namespaces/{name}").code == 404, "still there")
    need(server.send("DELETE", "/api/v1/namespaces/default").code == 403, "default")


# List and watch.


@check
def lists(server):
    """lists: store version, order, selectors, pages, versions in the future and past"""
    for name in ["l-b", "l-a", "l-c"]:
        server.create(name, labels={"list": "yes", "n": name[-1]})
    path = server.path("rules")

    def find(**query):
        answer = server.send("GET", path, **query)
        return [item["metadata"]["name"] for item in answer.json["items"]] if answer.code == 200 else answer.code

    need(find(labelSelector="list=yes") == ["l-a", "l-b", "l-c"], "order")
    for selector, found in [("list=yes,n!=a", ["l-b", "l-c"]), ("n in (a, c)", ["l-a", "l-c"]),
                            ("list,n notin (a,b)", ["l-c"]), ("list,!none", ["l-a", "l-b", "l-c"]), ("a b", 400)]:
        need(find(labelSelector=selector) == found, selector)
    need(find(fieldSelector="metadata.name=l-a") == ["l-a"] and find(fieldSelector="spec.x=1") == 400, "fields")
    pages, token = [], None
    while True:
        query = {"labelSelector": "list=yes", "limit": 2}
        if token:
            query["continue"] = token
        page = server.send("GET", path, **query).json
        pages += [item["metadata"]["name"] for item in page["items"]]
        token = page["metadata"].get("continue")
        if not token:
            break
    need(pages == ["l-a", "l-b", "l-c"], pages)
    need(find(resourceVersion="0", labelSelector="list=yes") == ["l-a", "l-b", "l-c"], "version 0")
    future = server.send("GET", path, resourceVersion="99999999")
    need(future.code == 504 and "Too large resource version" in future.json["message"], future.data)
    version = server.send("GET", path).version
    need(version == server.send("GET", "/api/v1/nodes").version, "one counter for the whole store")


@check
def tables(server):
    """tables in lists and gets; includeObject"""
    server.create("table")
    table = server.send("GET", server.path("rules", "table"), accept=TABLE).json
    need(table["kind"] == "Table" and table["rows"][0]["cells"][0] == "table", table)
    need([c["name"] for c in table["columnDefinitions"]] == ["Name", "Age"], table["columnDefinitions"])
    need(table["rows"][0]["object"]["kind"] == "PartialObjectMetadata", "default include")
    whole = server.send("GET", server.path("rules", "table"), accept=TABLE, includeObject="Object").json
    need(whole["rows"][0]["object"]["kind"] == "Rule", "whole object")
    none = server.send("GET", server.path("rules", "table"), accept=TABLE, includeObject="None").json
    need(none["rows"][0]["object"] is None, "no object")
    need(server.send("GET", server.path("actions"), accept=TABLE).json["rows"] == [], "empty rows")


@check
def watch_from_list(server):
    """a watch from a list's version sees every change once, in order, under concurrent writes"""
    version = server.send("GET", server.path("rules")).version
    stream = server.events(server.path("rules"), resourceVersion=version, labelSelector="storm=yes")

    def write(worker):
        for number in range(10):
            server.create(f"storm-{worker}-{number}", labels={"storm": "yes"})

    threads = [threading.Thread(target=write, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    events = stream.take(40)
    for thread in threads:
        thread.join()
    stream.close()
    versions = [int(event["object"]["metadata"]["resourceVersion"]) for event in events]
    need(versions == sorted(versions) and len(set(names(events))) == 40, names(events))


@check
def watch_selectors(server):
    """label changes through a selector give ADDED and DELETED with the old state"""
    version = server.send("GET", server.path("rules")).version
    stream = server.events(server.path("rules"), resourceVersion=version, labelSelector="tracked=yes")
    server.create("tracked", labels={"tracked": "no"})
    path = server.path("rules", "tracked")
    server.send("PATCH", path, {"metadata": {"labels": {"tracked": "yes"}}}, kind=MERGE)
    changed = server.send("PATCH", path, {"metadata": {"labels": {"tracked": "no"}}}, kind=MERGE)
    events = stream.take(2)
    stream.close()
    need([event["type"] for event in events] == ["ADDED", "DELETED"], events)
    need(events[1]["object"]["metadata"]["labels"] == {"tracked": "yes"}, "old state")
    need(events[1]["object"]["metadata"]["resourceVersion"] == changed.version, "new version")


@check
def watch_start_and_end(server):
    """watches: initial ADDED, clean end by timeoutSeconds, no bookmarks unasked, too old is an ERROR line"""
    server.create("seen")
    stream = server.events(server.path("rules"), fieldSelector="metadata.name=seen", timeoutSeconds=1)
    need(names(stream.rest()) == [("ADDED", "seen")], "from the start")
    stream = server.events(
        server.path("rules"), fieldSelector="metadata.name=seen", timeoutSeconds=1, allowWatchBookmarks="true")
    kinds = [event["type"] for event in stream.rest()]
    need(kinds == ["ADDED", "BOOKMARK"], kinds)
    need(server.send("GET", server.path("rules"), watch="true", resourceVersion="x").code == 500, "garbage")


@check
def watch_list(server):
    """sendInitialEvents: objects, the marked bookmark, then changes; refused without its companions"""
    server.create("initial", labels={"initial": "yes"})
    query = {"labelSelector": "initial=yes", "sendInitialEvents": "true", "allowWatchBookmarks": "true"}
    stream = server.events(server.path("rules"), resourceVersionMatch="NotOlderThan", **query)
    first = stream.take(2)
    need(names(first) == [("ADDED", "initial"), ("BOOKMARK", "")], names(first))
    need(first[1]["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}, first[1])
    server.create("later", labels={"initial": "yes"})
    need(names(stream.take(1)) == [("ADDED", "later")], "live")
    stream.close()
    need(server.send("GET", server.path("rules"), watch="true", **query).code == 422, "without match")
    need(server.send("GET", server.path("rules"), **query).code == 422, "list")


@check
def many_watches(server):
    """a hundred watches see a change, within seconds"""
    version = server.send("GET", server.path("rules")).version
    servers = [Server(ARGUMENTS) for _ in range(100)]
    streams = [one.events(server.path("rules"), resourceVersion=version) for one in servers]
    begin = time.monotonic()
    server.create("for-all")
    for stream in streams:
        need(names(stream.take(1)) == [("ADDED", "for-all")], "missed")
    need(time.monotonic() - begin < 15, "slow")
    for stream in streams:
        stream.close()


# Built-in kinds and the official client.


@check
def built_in_defaults(server):
    """built-in kinds: defaults, immutability, status as a subresource"""
    secret = server.send("POST", server.path("secrets", core=True),
                         {"metadata": {"name": "s1"}, "stringData": {"a": "text"}}).json
    need(secret["type"] == "Opaque" and secret["data"] == {"a": "dGV4dA=="} and "stringData" not in secret, secret)
    fixed = server.send("PATCH", server.path("secrets", "s1", core=True), {"type": "foo"}, kind=MERGE)
    need(fixed.json["message"] == 'Secret "s1" is invalid: type: Invalid value: "foo": field is immutable', fixed.data)
    apps = client.AppsV1Api(server.api)
    made = apps.create_namespaced_deployment(server.namespace, {
        "metadata": {"name": "d"}, "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": {
            "metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "x:1"}]}}}})
    need(made.spec.replicas == 1 and made.spec.template.spec.containers[0].image_pull_policy == "IfNotPresent", made)
    patched = apps.patch_namespaced_deployment_status("d", server.namespace, {
        "status": {"replicas": 3}, "spec": {"replicas": 9}})
    need(patched.status.replicas == 3 and patched.spec.replicas == 1, patched)
    need(server.core.list_pod_for_all_namespaces().items == [], "pods")
    need(server.send("GET", server.path("secrets", "s1/status", core=True)).code == 404, "status of a secret")


@check
def python_core(server):
    """CoreV1Api: create, read, list, patch, replace, delete, events by field"""
    core = server.core
    core.create_namespaced_config_map(server.namespace, client.V1ConfigMap(
        metadata=client.V1ObjectMeta(name="py"), data={"a": "1"}))
    core.patch_namespaced_config_map("py", server.namespace, {"data": {"b": "2"}})
    found = core.read_namespaced_config_map("py", server.namespace)
    need(found.data == {"a": "1", "b": "2"}, found.data)
    found.data = {"c": "3"}
    need(core.replace_namespaced_config_map("py", server.namespace, found).data == {"c": "3"}, "replace")
    need([o.metadata.name for o in core.list_namespaced_config_map(
        server.namespace, field_selector="metadata.name=py").items] == ["py"], "list")
    core.create_namespaced_event(server.namespace, {
        "metadata": {"name": "py.1"}, "reason": "R", "type": "Normal", "message": "m", "count": 1,
        "firstTimestamp": None, "involvedObject": {"kind": "ConfigMap", "name": "py", "namespace": server.namespace}})
    events = core.list_namespaced_event(server.namespace, field_selector="involvedObject.name=py,reason=R")
    need(len(events.items) == 1, "events")
    core.delete_namespaced_config_map("py", server.namespace)
    try:
        core.read_namespaced_config_map("py", server.namespace)
        need(False, "still there")
    except ApiException as error:
        need(error.status == 404 and json.loads(error.body)["reason"] == "NotFound", error.body)


@check
def python_custom(server):
    """CustomObjectsApi: create, patch, replace, list, delete"""
    place = (GROUP, VERSION, server.namespace, "rules")
    server.custom.create_namespaced_custom_object(*place, server.rule("custom"))
    patched = server.custom.patch_namespaced_custom_object(*place, "custom", {"x": 1})
    need(patched["x"] == 1, patched)
    patched["x"] = 2
    need(server.custom.replace_namespaced_custom_object(*place, "custom", patched)["x"] == 2, "replace")
    listed = server.custom.list_namespaced_custom_object(*place, field_selector="metadata.name=custom")
    need(len(listed["items"]) == 1, "list")
    need(server.custom.delete_namespaced_custom_object(*place, "custom")["status"] == "Success", "delete")


@check
def python_watch(server):
    """watch.Watch of the official client"""
    threading.Timer(0.3, lambda: server.create("watched")).start()
    watcher = watch.Watch()
    for event in watcher.stream(server.custom.list_namespaced_custom_object, GROUP, VERSION, server.namespace,
                                "rules", field_selector="metadata.name=watched", timeout_seconds=SECONDS):
        need((event["type"], event["object"]["metadata"]["name"]) == ("ADDED", "watched"), event)
        watcher.stop()
        return
    need(False, "no event")


@check
def python_dynamic(server):
    """the dynamic client finds kinds and applies"""
    kinds = dynamic.DynamicClient(server.api)
    rules = kinds.resources.get(api_version=f"{GROUP}/{VERSION}", kind="Rule")
    made = rules.create(body=server.rule("dynamic"), namespace=server.namespace)
    need(made.metadata.name == "dynamic", made)
    applied = rules.server_side_apply(
        body=server.rule("dynamic-applied"), name="dynamic-applied", namespace=server.namespace, field_manager="py")
    need(applied.metadata.name == "dynamic-applied", applied)
    rules.delete(name="dynamic", namespace=server.namespace)


@check
def recovery_points(server):
    """recovery points can be read and not written"""
    path = f"/apis/storage.repl-agent/v1alpha1/namespaces/{server.namespace}/recoverypoints"
    need(server.send("GET", path).json["kind"] == "RecoveryPointList", "list")
    need(server.send("POST", path, {}).code == 405, "create")
    need(server.send("DELETE", path + "/x").code == 405, "delete")


def main():
    server = Server(ARGUMENTS)
    server.core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=server.namespace)))
    failures = 0
    try:
        for function in CHECKS:
            words = function.__doc__.splitlines()[0]
            begin = time.monotonic()
            try:
                function(server)
                print(f"ok    {words} ({time.monotonic() - begin:.1f} s)", flush=True)
            except Exception as error:
                failures += 1
                where = error.__traceback__
                while where.tb_next and where.tb_next.tb_frame.f_code.co_filename == __file__:
                    where = where.tb_next
                print(f"FAIL  {words}: line {where.tb_lineno}: {type(error).__name__}: {error}", flush=True)
    finally:
        for item in server.send("GET", server.path("rules")).json["items"]:
            if item["metadata"].get("finalizers"):
                server.send("PATCH", server.path("rules", item["metadata"]["name"]),
                            {"metadata": {"finalizers": None}}, kind=MERGE)
        server.core.delete_namespace(server.namespace)
    print(f"{len(CHECKS) - failures} of {len(CHECKS)} checks passed, kubernetes {kubernetes.__version__}")
    return 1 if failures else 0


parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--kubeconfig", help="says all of the following")
parser.add_argument("url", nargs="?", help="where the API is served, such as https://127.0.0.1:6443")
parser.add_argument("--ca", help="CA certificate of the server")
parser.add_argument("--cert", help="client certificate")
parser.add_argument("--key", help="key of the client certificate")
ARGUMENTS = parser.parse_args()
if not ARGUMENTS.kubeconfig and not ARGUMENTS.url:
    parser.error("--kubeconfig or a URL is needed")
if __name__ == "__main__":
    sys.exit(main())
