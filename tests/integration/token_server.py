#!/usr/bin/env python3
"""A token server for docker-registry (auth: token), as Docker Hub and GHCR have one.

usage: token_server.py KEY CERT LOG [--user NAME:PASSWORD] [--life SECONDS] [--deny REPOSITORY]

Prints its own port. LOG gets a line for each token: the scopes asked for, in order. Without the
password tokens allow nothing but pulling. --life: how long the registry accepts a token; the
client is told five minutes, so that it meets the 401. --deny: nobody may read that repository.
"""
import argparse
import base64
import http.server
import json
import subprocess
import time
import urllib.parse

LEEWAY = 60  # docker-registry accepts a token so long after its end

parser = argparse.ArgumentParser()
parser.add_argument("key")
parser.add_argument("cert")
parser.add_argument("log")
parser.add_argument("--user")
parser.add_argument("--life", type=int, default=300)
parser.add_argument("--deny", default="")
args = parser.parse_args()


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def chain():
    with open(args.cert) as f:
        return ["".join(line.strip() for line in f if "-----" not in line)]


def token(access):
    now = int(time.time())
    head = {"typ": "JWT", "alg": "RS256", "x5c": chain()}
    body = {"iss": "issuer", "sub": "", "aud": "registry", "iat": now, "nbf": now - 100,
            "exp": now + args.life - LEEWAY, "jti": str(time.time()), "access": access}
    text = b64(json.dumps(head).encode()) + "." + b64(json.dumps(body).encode())
    sign = subprocess.run(["openssl", "dgst", "-sha256", "-sign", args.key], input=text.encode(),
                          capture_output=True, check=True).stdout
    return text + "." + b64(sign)


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        query = urllib.parse.parse_qs(urllib.parse.urlparse(self.path).query)
        login = self.headers.get("Authorization", "")
        known = args.user and login == "Basic " + base64.b64encode(args.user.encode()).decode()
        with open(args.log, "a") as f:
            f.write(" ".join(query.get("scope", ["-"])) + "\n")
        if login and not known:
            self.answer(401, {"errors": [{"code": "UNAUTHORIZED", "message": "no"}]})
            return
        access = []
        for scope in query.get("scope", []):
            kind, name, actions = scope.split(":")
            if name != args.deny:
                access.append({"type": kind, "name": name,
                               "actions": actions.split(",") if known else ["pull"]})
        self.answer(200, {"token": token(access), "expires_in": 300})

    def answer(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
