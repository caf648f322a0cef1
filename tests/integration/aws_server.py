#!/usr/bin/env python3
"""Stands in for what AWS runs beside a program, on loopback.

usage: aws_server.py LOG [--uses N] [--skew SECONDS] [--silent] [--phase SECONDS] [--each] [--builds N]

It imitates, on one port that it prints:

  IMDSv2          PUT /latest/api/token; the role "runner"; the region eu-north-1; spot notices
  container       GET /creds with the Authorization "box-token" (ECS and EKS agents, CodeBuild)
  STS             AssumeRole, AssumeRoleWithWebIdentity, GetCallerIdentity
  ECR             GetAuthorizationToken
  CodeBuild       StartBuild, BatchGetBuilds, StopBuild; CloudWatch Logs: see codebuild_standin.py

and checks each signature, written down here once more from AWS's description. It knows the user
AKIAUSER with the secret "user/secret+key"; what it hands out works for --uses requests (in spite of
an Expiration an hour ahead: the service's word counts). --skew: its clock is so much ahead.
--silent: it takes connections and says nothing, as IMDS beyond its hop limit.

LOG gets a line for each request. Files in LOG.d change it while it runs: "stop" and "rebalance" are
notices, "forget" makes IMDS's tokens worthless (and is removed), "expire" makes all that was handed out worthless,
"down" makes BatchGetBuilds answer 503.
"""
import argparse
import base64
import datetime
import hashlib
import hmac
import http.server
import json
import os
import socketserver
import sys
import time
import urllib.parse

parser = argparse.ArgumentParser()
parser.add_argument("log")
parser.add_argument("--uses", type=int)
parser.add_argument("--skew", type=int, default=0)
parser.add_argument("--silent", action="store_true")
parser.add_argument("--phase", type=float, default=0.1)
parser.add_argument("--each", action="store_true")
parser.add_argument("--builds", type=int, default=20)
args = parser.parse_args()
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
import codebuild_standin  # noqa: E402

codebuild = codebuild_standin.CodeBuild(args.phase, args.builds, args.each)
steer = args.log + ".d"
os.makedirs(steer, exist_ok=True)
keys = {"AKIAUSER": ["user/secret+key", None, None]}  # id: secret, token, requests left (None: any number)
imds_tokens = set()


def now():
    return datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=args.skew)


def issue(kind):
    name = f"ASIA{kind}{len(keys)}"
    keys[name] = [f"secret{len(keys)}", f"token/{len(keys)}==", args.uses]
    later = (now() + datetime.timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return name, keys[name][0], keys[name][1], later


def mac(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def expected(method, path, query, headers, names, body, scope, secret):
    """The signature that a request must have (all services but S3)."""
    pairs = sorted(urllib.parse.parse_qsl(query, keep_blank_values=True))
    canonical = "\n".join([
        method, urllib.parse.quote(path, safe="/-._~"),
        "&".join(f"{urllib.parse.quote(k, safe='-._~')}={urllib.parse.quote(v, safe='-._~')}"
                 for k, v in pairs),
        "".join(f"{n}:{' '.join(headers[n].split())}\n" for n in names), ";".join(names),
        hashlib.sha256(body).hexdigest()])
    date, region, service, end = scope
    key = ("AWS4" + secret).encode()
    for part in (date, region, service, end):
        key = mac(key, part)
    text = "\n".join(["AWS4-HMAC-SHA256", headers["x-amz-date"], "/".join(scope),
                      hashlib.sha256(canonical.encode()).hexdigest()])
    return mac(key, text).hex()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def date_time_string(self, timestamp=None):
        return now().strftime("%a, %d %b %Y %H:%M:%S GMT")

    def note(self, what):
        operation = self.headers.get("X-Amz-Target", "").rpartition(".")[2]
        with open(args.log, "a", encoding="utf-8") as f:
            f.write(f"{self.command} {self.path} {what}{operation and ' '}{operation}\n")

    def answer(self, status, text="", kind="application/json"):
        body = text.encode()
        self.note(str(status))
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def refuse(self, status, code, message):
        if self.headers.get("X-Amz-Target"):
            self.answer(status, json.dumps({"__type": f"com.amazonaws#{code}", "message": message}))
        else:
            self.answer(status, f"<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code>"
                                f"<Message>{message}</Message></Error></ErrorResponse>", "text/xml")

    def who(self, body):
        """The id that signed this request; None after a refusal."""
        given = self.headers.get("Authorization", "")
        if not given.startswith("AWS4-HMAC-SHA256 "):
            return self.refuse(403, "MissingAuthenticationToken", "not signed")
        fields = dict(p.strip().split("=", 1) for p in given[17:].split(","))
        name, *scope = fields["Credential"].split("/")
        names = fields["SignedHeaders"].split(";")
        headers = {k.lower(): v for k, v in self.headers.items()}
        if name not in keys:
            return self.refuse(403, "InvalidClientTokenId", "who is that?")
        secret, token, left = keys[name]
        if token != headers.get("x-amz-security-token"):
            return self.refuse(403, "InvalidClientTokenId", "wrong session token")
        unsigned = [h for h in headers if (h.startswith("x-amz-") or h in ("host", "content-type"))
                    and h not in names]
        split = urllib.parse.urlsplit(self.path)
        if unsigned or fields["Signature"] != expected(self.command, split.path, split.query, headers,
                                                       names, body, scope, secret):
            return self.refuse(403, "SignatureDoesNotMatch", f"not signed: {unsigned}")
        when = datetime.datetime.strptime(headers["x-amz-date"] + "+0000", "%Y%m%dT%H%M%SZ%z")
        if abs((now() - when).total_seconds()) > 300:
            return self.refuse(403, "RequestTimeTooSkewed", "your clock is wrong")
        if left == 0 or os.path.exists(f"{steer}/expire"):
            return self.refuse(403, "ExpiredToken", "The security token is expired")
        if left:
            keys[name][2] -= 1
        return name

    def sts(self, body):
        form = dict(urllib.parse.parse_qsl(body.decode()))
        action = form.get("Action")
        if action == "AssumeRoleWithWebIdentity":
            if form["WebIdentityToken"] != "web.identity.token":
                return self.refuse(400, "InvalidIdentityToken", "no such identity")
            kind = "WEB"
        else:
            name = self.who(body)
            if not name:
                return None
            if action == "GetCallerIdentity":
                return self.answer(200, f"<R><Arn>{name}</Arn></R>", "text/xml")
            if form["RoleArn"].endswith("/forbidden"):
                return self.refuse(403, "AccessDenied", "not authorized to perform: sts:AssumeRole")
            kind = "ROLE"
        name, secret, token, end = issue(kind)
        return self.answer(200, f"""<{action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <{action}Result><Credentials><AccessKeyId>{name}</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey>
  <SessionToken>{token}</SessionToken><Expiration>{end}</Expiration></Credentials></{action}Result>
</{action}Response>""", "text/xml")

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        target = self.headers.get("X-Amz-Target")
        if not target:
            return self.sts(body)
        name = self.who(body)
        if name and target == "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken":
            token = base64.b64encode(f"AWS:password-of-{name}".encode()).decode()
            self.answer(200, json.dumps({"authorizationData": [
                {"authorizationToken": token, "expiresAt": time.time() + 43200,
                 "proxyEndpoint": "https://x"}]}))
        elif name:
            self.codebuild(target, body)
        return None

    def codebuild(self, target, body):
        if target.endswith("BatchGetBuilds") and os.path.exists(f"{steer}/down"):
            return self.refuse(503, "ServiceUnavailable", "come again later")
        try:
            answer = codebuild.call(target, body)
        except codebuild_standin.Refused as e:
            return self.refuse(400, e.code, str(e))
        if answer is None:
            return self.refuse(400, "UnknownOperationException", target)
        return self.answer(200, json.dumps(answer))

    def do_PUT(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path != "/latest/api/token" or \
                not self.headers.get("X-aws-ec2-metadata-token-ttl-seconds"):
            return self.answer(400)
        token = f"imds-{len(imds_tokens)}=="
        imds_tokens.add(token)
        return self.answer(200, token, "text/plain")

    def credentials(self, kind):
        name, secret, token, end = issue(kind)
        self.answer(200, json.dumps({"Code": "Success", "AccessKeyId": name, "SecretAccessKey": secret,
                                     "Token": token, "Expiration": end}))

    def do_GET(self):
        if self.path == "/creds":
            if self.headers.get("Authorization") != "box-token":
                return self.answer(401, '{"code":"InvalidToken","message":"no"}')
            return self.credentials("BOX")
        if os.path.exists(f"{steer}/forget"):
            os.unlink(f"{steer}/forget")
            imds_tokens.clear()
        if self.headers.get("X-aws-ec2-metadata-token") not in imds_tokens:
            return self.answer(401)
        base = "/latest/meta-data/"
        texts = {"iam/security-credentials/": "runner", "placement/region": "eu-north-1"}
        if os.path.exists(f"{steer}/stop"):
            texts["spot/instance-action"] = '{"action":"terminate","time":"2030-01-01T00:00:00Z"}'
        if os.path.exists(f"{steer}/rebalance"):
            texts["events/recommendations/rebalance"] = '{"noticeTime":"2030-01-01T00:00:00Z"}'
        if self.path == base + "iam/security-credentials/runner":
            return self.credentials("EC2")
        text = texts.get(self.path.removeprefix(base))
        return self.answer(200, text, "text/plain") if text else self.answer(404)


class Silent(socketserver.BaseRequestHandler):
    def handle(self):
        time.sleep(60)


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


with Server(("127.0.0.1", 0), Silent if args.silent else Handler) as server:
    print(server.server_address[1], flush=True)
    sys.stdout.close()
    server.serve_forever()
