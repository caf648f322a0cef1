#!/usr/bin/env python3
"""Stands in for the part of GitHub's REST API that starts and follows workflow runs, on loopback.

usage: github_standin.py LOG [--phase SECONDS] [--find SECONDS]

It imitates, on a port that it chooses, with the shapes of docs.github.com/rest/actions (version 2022-11-28):

  POST /repos/OWNER/NAME/actions/workflows/FILE/dispatches   204, and a run that goes queued, in_progress, completed
  GET  .../workflows/FILE/runs, .../runs/ID, .../runs/ID/jobs, .../jobs/ID/logs (302 to another path, as there)
  POST .../runs/ID/cancel                                    202; 409 for one that has ended

and refuses what GitHub refuses: no User-Agent (403), a token that is not "good-token" (401), "read-token" where
something is written (403), a repository but o/r or a workflow but build-containers.yml (404), inputs that are more
than 10, of another type than string, or not declared (422), a ref but main (422). A run appears --find seconds after
its dispatch; each of its states lasts --phase seconds.

The runner called FAIL in the inputs ends as a failure, MEMORY with exit code 137, SPOT with exit code 75; that
called LOUD ends well after 17 MB of log. LOG gets a line for each request. A file LOG.d/expire makes the token worthless, LOG.d/limit uses the rate limit up.
"""
import argparse
import http.server
import json
import os
import re
import time

parser = argparse.ArgumentParser()
parser.add_argument("log")
parser.add_argument("--phase", type=float, default=0.1)
parser.add_argument("--find", type=float, default=0.1)
args = parser.parse_args()
steer = args.log + ".d"
os.makedirs(steer, exist_ok=True)
DECLARED = {"image", "attempt", "commit", "labels", "runner", "fallback"}
INPUTS_MAX = 10  # of github.com until the end of 2025, and of its servers elsewhere
runs = {}


def text(moment):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))


class Run:
    def __init__(self, number, inputs):
        self.number = number
        self.inputs = inputs
        self.created = time.time()
        self.cancelled = None

    def visible(self):
        return time.time() - self.created >= args.find

    def status(self):
        at = int((time.time() - self.created - args.find) / args.phase)
        if self.cancelled:
            return "completed", "cancelled"
        if at < 1:
            return "queued", None
        if at < 3:
            return "in_progress", None
        return "completed", "success" if self.inputs["runner"] not in ("FAIL", "MEMORY", "SPOT") else "failure"

    def json(self):
        status, conclusion = self.status()
        return {"id": self.number, "name": "build-containers", "event": "workflow_dispatch", "status": status,
                "conclusion": conclusion, "display_title": f"{self.inputs['image']} ({self.inputs['attempt']})",
                "created_at": text(self.created), "html_url": f"https://github.com/o/r/actions/runs/{self.number}"}

    def jobs(self):
        status, conclusion = self.status()
        skipped = {"id": self.number * 10, "name": "plan", "status": "completed", "conclusion": "skipped"}
        job = {"id": self.number * 10 + 1, "name": self.inputs["image"], "status": status, "conclusion": conclusion,
               "created_at": text(self.created), "started_at": text(self.created + 1),
               "completed_at": text(self.created + 61) if conclusion else None}
        return {"total_count": 2, "jobs": [skipped, job]}

    def log(self):
        code = {"FAIL": 6, "MEMORY": 137, "SPOT": 75}.get(self.inputs["runner"])
        lines = [f"building {self.inputs['image']} of {self.inputs['commit'][:7]}"]
        if self.inputs["runner"] == "LOUD":
            lines += ["x" * 1000] * 17000
        if code:
            lines.append(f"##[error]Process completed with exit code {code}.")
        return "".join(f"2026-11-22T08:22:00.1234567Z {line}\n" for line in lines)


class Refused(Exception):
    def __init__(self, status, message):
        super().__init__(message)
        self.status = status


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body=None, fields=()):
        data = b"" if body is None else body.encode() if isinstance(body, str) else json.dumps(body).encode()
        with open(args.log, "a", encoding="utf-8") as f:
            f.write(f"{self.command} {self.path} {status}\n")
        self.send_response(status)
        for name, value in fields:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def check(self):
        given = self.headers.get("Authorization")
        if not self.headers.get("User-Agent"):
            raise Refused(403, "Request forbidden by administrative rules.")
        if given not in ("Bearer good-token", "Bearer read-token") or os.path.exists(f"{steer}/expire"):
            raise Refused(401, "Bad credentials")
        if given == "Bearer read-token" and self.command != "GET":
            raise Refused(403, "Resource not accessible by personal access token")
        if not self.path.startswith("/repos/o/r/actions/"):
            raise Refused(404, "Not Found")

    def dispatch(self, body):
        inputs = body.get("inputs", {})
        if body.get("ref") != "main":
            raise Refused(422, f"No ref found for: {body.get('ref')}")
        if len(inputs) > INPUTS_MAX:
            raise Refused(422, f"you may only define up to {INPUTS_MAX} `inputs` for a `workflow_dispatch` event")
        if set(inputs) - DECLARED:
            raise Refused(422, f"Unexpected inputs provided: {json.dumps(sorted(set(inputs) - DECLARED))}")
        if not all(isinstance(v, str) for v in inputs.values()):
            raise Refused(422, "Invalid value for input")
        run = Run(len(runs) + 1, inputs)
        runs[run.number] = run
        self.answer(204)

    def run_of(self, number):
        if int(number) not in runs:
            raise Refused(404, "Not Found")
        return runs[int(number)]

    def route(self, body):
        path = self.path.split("?")[0].removeprefix("/repos/o/r/actions/")
        workflow = re.fullmatch(r"workflows/([^/]+)/(dispatches|runs)", path)
        run = re.fullmatch(r"runs/(\d+)(/jobs|/cancel)?", path)
        job = re.fullmatch(r"jobs/(\d+)/logs", path)
        if workflow and workflow[1] != "build-containers.yml":
            raise Refused(404, "Not Found")
        if workflow and (workflow[2] == "dispatches") == (self.command == "POST"):
            if self.command == "POST":
                return self.dispatch(body)
            shown = [r.json() for r in reversed(runs.values()) if r.visible()]
            return self.answer(200, {"total_count": len(shown), "workflow_runs": shown})
        if run and self.command == "POST":
            found = self.run_of(run[1])
            if found.status()[0] == "completed":
                raise Refused(409, "Cannot cancel a workflow run that is completed.")
            found.cancelled = time.time()
            return self.answer(202, {})
        if run:
            found = self.run_of(run[1])
            return self.answer(200, found.jobs() if run[2] else found.json())
        if job:
            found = self.run_of(int(job[1]) // 10)
            if found.status()[0] != "completed":
                raise Refused(404, "Not Found")
            return self.answer(302, fields=[("Location", f"/blobs/{found.number}")])
        raise Refused(404, "Not Found")

    def handle_request(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        if self.path.startswith("/blobs/"):
            return self.answer(200, runs[int(self.path[7:])].log())
        if os.path.exists(f"{steer}/limit"):
            return self.answer(403, {"message": "API rate limit exceeded"}, [("X-RateLimit-Remaining", "0")])
        try:
            self.check()
            return self.route(json.loads(body) if body else {})
        except Refused as e:
            return self.answer(e.status, {"message": str(e), "documentation_url": "https://docs.github.com/rest"})

    do_GET = do_POST = handle_request


with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
    server.serve_forever()
