#!/usr/bin/env python3
"""The peer against itself over real TLS: pair, ship, compare. And a wrong token, which must be refused."""
import json
import os
import random
import subprocess
import sys
import tempfile
import time

PEER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "wire_peer.py")


def run(*arguments, good=True):
    result = subprocess.run([sys.executable, PEER, *arguments], capture_output=True, text=True, timeout=60)
    if (result.returncode == 0) != good:
        sys.exit(f"{' '.join(arguments[:1])}: {result.stdout}{result.stderr}")
    return result.stdout


def volume(path):
    generator = random.Random(7)
    with open(path, "wb") as file:
        file.write(generator.randbytes(300_000))
        file.write(bytes(3 << 20))
        file.write(generator.randbytes(1_000_001))


def main():
    with tempfile.TemporaryDirectory() as folder:
        path = lambda name: os.path.join(folder, name)
        run("init", "--state", path("west"), "--cluster", "west", "--node", "node-2")
        run("init", "--state", path("east"), "--cluster", "east", "--node", "node-1")
        server = subprocess.Popen([sys.executable, PEER, "serve", "--documents", "--state", path("west"), "--address", "127.0.0.1",
                                   "--port", "0", "--data-port", "0", "--output", path("points"), "--token-file",
                                   path("token")])
        try:
            deadline = time.monotonic() + 30
            while not os.path.exists(path("token")):
                if server.poll() is not None or time.monotonic() > deadline:
                    sys.exit("the server did not start")
                time.sleep(0.05)
            with open(path("token")) as file:
                told = json.load(file)
            to = ["--address", "127.0.0.1", "--port", str(told["port"])]
            wrong = told["token"][:-1] + ("A" if told["token"][-1] != "A" else "B")
            run("pair", "--state", path("east"), *to, "--token", wrong, good=False)
            print(run("pair", "--state", path("east"), *to, "--token", told["token"]), end="")
            for major in ["1", "3"]:
                run("document", "--state", path("east"), *to, "--major", major, "--topic", "echo", "--file", path("token"),
                    good=False)
            volume(path("volume"))
            print(run("ship", "--state", path("east"), *to, "--file", path("volume"), "--name", "db"), end="")
            points = [name for name in os.listdir(path("points")) if name.endswith(".img")]
            with open(path("volume"), "rb") as left, open(os.path.join(path("points"), points[0]), "rb") as right:
                if len(points) != 1 or left.read() != right.read():
                    sys.exit("what arrived differs")
            document = path("document")
            with open(document, "w") as file:
                file.write("0123456789abcdef" * 80_000 + "end")
            with open(document) as file:
                if file.read() != run("document", "--state", path("east"), *to, "--topic", "echo", "--file", document):
                    sys.exit("the document's answer differs")
        finally:
            server.terminate()
            server.wait()
    print("ok")


if __name__ == "__main__":
    main()
