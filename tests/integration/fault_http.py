"""An HTTP proxy that knows requests: it counts them and lets one of them, or all from one on, go
wrong; and it can have the manners of Amazon's ECR, of which it is a proxy then: requests come to it
by their full URL.

Used by faults.py. Each proxy has a loopback port of its own; requests and answers are held whole.
"""
import base64
import hashlib
import http.client
import http.server
import json
import re
import select
import socket
import struct
import threading
import time

KINDS = ("reset", "lost", "cut", "short", "flip", "flip-up", "delay", "401", "403", "404", "429",
         "500", "502", "503")
HANG = "hang"  # it takes the request and says nothing; for who need not wait for an answer
ECR_TOKEN = "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken"
DELAY_S = 0.3
HANG_S = 30
MANIFESTS = {"application/vnd.oci.image.manifest.v1+json",
             "application/vnd.docker.distribution.manifest.v2+json"}
INDEXES = {"application/vnd.oci.image.index.v1+json",
           "application/vnd.docker.distribution.manifest.list.v2+json"}
CONFIGS = {"application/vnd.oci.image.config.v1+json",
           "application/vnd.docker.container.image.v1+json",
           "application/vnd.buildkit.cacheconfig.v0"}  # AWS tells BuildKit's users to use image-manifest=true
LAYER = re.compile(r"application/vnd\.(oci\.image\.layer\.v1\.tar(\+gzip|\+zstd)?"
                   r"|docker\.image\.rootfs\.diff\.tar(\.gzip)?)$")
HOP = {"connection", "transfer-encoding", "content-length", "keep-alive"}


def flipped(data):
    at = len(data) // 2
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1:] if data else data


def refusal(status, code, message):
    body = json.dumps({"errors": [{"code": code, "message": message}]}).encode()
    return status, [("Content-Type", "application/json")], body


class Ecr:
    """What ECR does and a plain registry does not."""

    def __init__(self, immutable=False, expire_at=0, expired=401):
        self.immutable = immutable
        self.expire_at = expire_at  # number of the request before which the token ends; 0: never
        self.expired = expired      # what it says then
        self.generation = 1
        self.refused = []           # manifests that it did not take
        self.mounts = 0
        self.tokens = 0             # how many were asked for
        self.on_expiry = None       # called when there is another token

    def password(self):
        return f"token-{self.generation}"

    def token(self, handler):
        """GetAuthorizationToken. Signatures are looked at by aws.bats."""
        if not handler.headers.get("Authorization", "").startswith("AWS4-HMAC-SHA256 Credential="):
            return 403, [], json.dumps({"__type": "MissingAuthenticationTokenException"}).encode()
        self.tokens += 1
        token = base64.b64encode(f"AWS:{self.password()}".encode()).decode()
        data = {"authorizationToken": token, "expiresAt": time.time() + 43200, "proxyEndpoint": "https://x"}
        return 200, [("Content-Type", "application/x-amz-json-1.1")], json.dumps({"authorizationData": [data]}).encode()

    def challenge(self):
        return [("WWW-Authenticate", 'Basic realm="http://ecr/",service="ecr.amazonaws.com"')]

    def logged_in(self, handler):
        want = base64.b64encode(f"AWS:{self.password()}".encode()).decode()
        return handler.headers.get("Authorization") == f"Basic {want}"

    def answer(self, proxy, handler, number, body):
        """Its own answer, or None: the registry's, asked at handler.path."""
        path, method = handler.path, handler.command
        if path.startswith("/s3/"):
            if handler.headers.get("Authorization"):
                return refusal(400, "InvalidArgument", "only one auth mechanism is allowed")
            handler.path = path[3:]
            return None
        if number == self.expire_at:
            self.generation += 1
            if self.on_expiry:
                self.on_expiry()
        if not self.logged_in(handler):
            if self.expired == 403 and handler.headers.get("Authorization"):
                return refusal(403, "DENIED", "Your authorization token has expired. Reauthenticate and try again.")
            status, fields, text = refusal(401, "UNAUTHORIZED", "Not Authorized")
            return status, fields + self.challenge(), text
        if method == "DELETE":
            return refusal(405, "UNSUPPORTED", "The operation is unsupported.")
        if method == "POST" and "mount=" in path:
            self.mounts += 1
            handler.path = path.split("?")[0]
        if method == "GET" and "/blobs/sha256:" in path:
            return 307, [("Location", f"http://localhost:{proxy.port}/s3{path}")], b""
        if method == "PUT" and "/manifests/" in path:
            return self.manifest(proxy, handler, body)
        return None

    def manifest(self, proxy, handler, body):
        why = self.unwelcome(body, handler.headers.get("Content-Type"))
        if why:
            self.refused.append(f"{handler.path}: {why}")
            return refusal(400, "MANIFEST_INVALID", f"Invalid parameter at 'ImageManifest': {why}")
        tag = handler.path.rsplit("/", 1)[1]
        if self.immutable and not tag.startswith("sha256:") and self.other(proxy, handler, body):
            return refusal(400, "TAG_INVALID", f"The image tag '{tag}' already exists in the repository and "
                           "cannot be overwritten because the tag is immutable. (ImageTagAlreadyExistsException)")
        return None

    @staticmethod
    def other(proxy, handler, body):
        """Is the tag taken, by another manifest?"""
        fields = [("Accept", m) for m in MANIFESTS | INDEXES] + [("Host", handler.headers.get("Host"))]
        status, fields, _ = proxy.forward("HEAD", handler.path, fields, b"")
        have = {k.lower(): v for k, v in fields}.get("docker-content-digest")
        return status == 200 and have != "sha256:" + hashlib.sha256(body).hexdigest()

    @staticmethod
    def unwelcome(body, content_type):
        try:
            m = json.loads(body)
        except ValueError:
            return "not JSON"
        kind = m.get("mediaType", content_type)
        if kind != content_type:
            return f"media type {kind} is sent as {content_type}"
        if kind in INDEXES:
            bad = [d["mediaType"] for d in m["manifests"] if d["mediaType"] not in MANIFESTS]
            return f"an index names {bad[0]}" if bad else None
        if kind not in MANIFESTS:
            return f"media type {kind}"
        if m["config"]["mediaType"] not in CONFIGS or "artifactType" in m:
            return f"config of media type {m['config']['mediaType']}"
        bad = [d["mediaType"] for d in m["layers"] if not LAYER.match(d["mediaType"])]
        return f"layer of media type {bad[0]}" if bad else "no layers" if not m["layers"] else None


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 60

    def log_message(self, *_):
        pass

    def body(self):
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        data = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            data += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return data

    def end(self, reset):
        if reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        self.close_connection = True

    def reply(self, status, fields, body, cut=False):
        self.send_response_only(status)
        has_length = False
        for name, value in fields:
            if name.lower() == "content-length":
                if self.command != "HEAD":
                    continue
                has_length = True
            elif name.lower() in HOP:
                continue
            self.send_header(name, value)
        if self.command != "HEAD" and status not in (204, 304):
            self.send_header("Content-Length", str(len(body)))
        elif not has_length and status not in (204, 304):
            self.send_header("Content-Length", "0")
        out = b"".join(self._headers_buffer) + b"\r\n"
        self._headers_buffer = []
        out += b"" if self.command == "HEAD" else body
        if cut:
            out = out[:-(len(body) + 1) // 2] if body and self.command != "HEAD" else out[:len(out) // 2]
        try:
            self.wfile.write(out)
            self.wfile.flush()
        except OSError:
            self.close_connection = True

    def handle_any(self):
        proxy = self.server.proxy
        try:
            body = self.body()
        except (OSError, ValueError):
            self.close_connection = True
            return
        if self.path.startswith("http://"):
            self.path = "/" + self.path.split("/", 3)[3]
        if proxy.ecr and self.headers.get("X-Amz-Target") == ECR_TOKEN:
            return self.reply(*proxy.ecr.token(self))
        number, kind = proxy.count(self)
        if kind == "reset":
            return self.end(True)
        if kind == HANG:
            select.select([self.connection], [], [], HANG_S)  # until the other end gives up
            return self.end(False)
        if kind == "delay":
            time.sleep(DELAY_S)
        if kind and kind.isdigit():
            status, fields, text = refusal(int(kind), "UNKNOWN", f"injected {kind}")
            if kind in ("429", "503"):
                fields.append(("Retry-After", "0"))
            return self.reply(status, fields, text)
        answer = proxy.ecr and proxy.ecr.answer(proxy, self, number, body)
        if not answer:
            sent = flipped(body) if kind == "flip-up" else body
            try:
                answer = proxy.forward(self.command, self.path, self.headers.items(), sent)
            except OSError:
                return self.end(False)
        if kind == "lost":
            return self.end(False)
        status, fields, text = answer
        if kind == "flip":
            text = flipped(text)
        elif kind == "short":
            text = text[:len(text) // 2]
        self.reply(status, fields, text, cut=kind == "cut")
        if kind == "cut":
            self.end(False)

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = handle_any


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, *_):
        pass


class Proxy:
    def __init__(self, target):
        """target: port of the server on loopback."""
        self.target = target
        self.lock = threading.Lock()
        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.proxy = self
        self.port = self.server.server_address[1]
        self.reset()
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def reset(self, fault=None, only=None, ecr=None):
        """Count from 1 again. fault: (number, kind, forever), or None. only: requests whose path
        does not match are neither counted nor touched."""
        with self.lock:
            self.fault, self.ecr = fault, ecr
            self.only = re.compile(only) if only else None
            self.log, self.hit = [], []

    def count(self, handler):
        line = f"{handler.command} {handler.path}"
        with self.lock:
            if self.only and not self.only.search(handler.path):
                return 0, None
            self.log.append(line)
            number = len(self.log)
            if not self.fault:
                return number, None
            at, kind, forever = self.fault
            if number != at and not (forever and number > at):
                return number, None
            self.hit.append(line)
            return number, kind

    def forward(self, method, path, fields, body):
        c = http.client.HTTPConnection("127.0.0.1", self.target, timeout=30)
        try:
            c.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in fields:
                if name.lower() not in HOP | {"expect"} and not (self.ecr and name.lower() == "authorization"):
                    c.putheader(name, value)
            if not any(name.lower() == "host" for name, _ in fields):
                c.putheader("Host", f"127.0.0.1:{self.port}")
            if body or method in ("PUT", "POST", "PATCH"):
                c.putheader("Content-Length", str(len(body)))
            c.putheader("Connection", "close")
            c.endheaders(body or None)
            r = c.getresponse()
            return r.status, r.getheaders(), r.read()
        except http.client.HTTPException as e:
            raise OSError(str(e)) from e
        finally:
            c.close()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
