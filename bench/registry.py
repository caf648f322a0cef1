"""The registry that all builders push to and pull from, and the link before it."""
import http.client
import json
import pathlib
import shutil
import socket
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Registry:
    """Debian's docker-registry on loopback, its storage on disk."""

    def __init__(self, work):
        self.data = work / "registry"
        self.log = work / "registry.log"
        self.server = None
        self.link = None
        self.port = free_port()

    def missing(self):
        return None if shutil.which("docker-registry") else "docker-registry is not installed"

    def running(self):
        return self.server is not None

    def start(self):
        shutil.rmtree(self.data, ignore_errors=True)
        self.data.mkdir(parents=True)
        config = self.data.parent / "registry.json"
        config.write_text(json.dumps({
            "version": 0.1,
            "log": {"accesslog": {"disabled": False}, "level": "error"},
            "storage": {"filesystem": {"rootdirectory": str(self.data)}},
            "http": {"addr": f"127.0.0.1:{self.port}"}}))
        self.server = subprocess.Popen(
            ["docker-registry", "serve", str(config)], stdin=subprocess.DEVNULL,
            stdout=open(self.log, "wb"), stderr=subprocess.STDOUT)
        wait_port(self.port)

    def stop(self):
        for p in (self.link, self.server):
            if p:
                p.kill()
                p.wait()
        self.link = self.server = None

    def address(self, link=None):
        """host:port of the registry, or of the link before it: (round trip in ms, Mbit/s)."""
        if link is None:
            return f"127.0.0.1:{self.port}"
        if not self.link:
            self.link_port = free_port()
            self.link = subprocess.Popen(
                [sys.executable, str(HERE / "delay.py"), str(self.link_port), str(self.port), *map(str, link)])
            wait_port(self.link_port)
        return f"127.0.0.1:{self.link_port}"

    def requests(self):
        """How many it has answered so far."""
        with open(self.log, "rb") as f:
            return sum(b'HTTP/1.1"' in line for line in f)

    def fill(self, repository, count):
        """Put `count` small tagged manifests into a repository."""
        c = http.client.HTTPConnection("127.0.0.1", self.port)

        def ask(method, path, body=b"", **headers):
            c.request(method, path, body, headers)
            r = c.getresponse()
            r.read()
            return r

        import hashlib
        config = b'{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}'
        digest = "sha256:" + hashlib.sha256(config).hexdigest()
        upload = ask("POST", f"/v2/{repository}/blobs/uploads/").headers["Location"]
        path = upload.split(f":{self.port}", 1)[-1]
        ask("PUT", f"{path}&digest={digest}", config)
        for i in range(count):
            manifest = json.dumps({
                "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest,
                           "size": len(config)},
                "layers": [], "annotations": {"n": str(i)}})
            r = ask("PUT", f"/v2/{repository}/manifests/fill-{i:064}", manifest.encode(),
                    **{"Content-Type": "application/vnd.oci.image.manifest.v1+json"})
            if r.status != 201:
                raise RuntimeError(f"the registry answered {r.status}")


def wait_port(port):
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"nothing listens on port {port}")
