"""Stands in for CodeBuild and CloudWatch Logs, as far as a client sees them; part of aws_server.py.

It imitates StartBuild, BatchGetBuilds, StopBuild and GetLogEvents with the fields of AWS's API reference: builds
go through their phases in time (--phase SECONDS each; with --each one waits until it was looked at), write a log line
a phase once they are provisioned, may be stopped, and no more than --builds of them run at once: then StartBuild says
AccountLimitExceededException. A
variable FAIL names the phase that fails, MEMORY the one that is killed. Builds of the project "broken" fail, those of
"hungry" are killed on SMALL machines, those of "quit" stopped; the logs of "silent" may not be read. A page of a log has LOG_PAGE lines.
No build runs anything.
"""
import json
import math
import time
import uuid

PHASES = ["SUBMITTED", "QUEUED", "PROVISIONING", "DOWNLOAD_SOURCE", "INSTALL", "PRE_BUILD", "BUILD", "POST_BUILD",
          "UPLOAD_ARTIFACTS", "FINALIZING", "COMPLETED"]
LOGS_FROM = PHASES.index("DOWNLOAD_SOURCE")
LOG_PAGE = 2


class Refused(Exception):
    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


class Build:
    def __init__(self, request, seconds, each):
        self.id = f"{request['projectName']}:{uuid.uuid4()}"
        self.request = request
        self.seconds = seconds
        self.started = time.time()
        self.stopped = None
        self.each = each
        self.shown = 0  # the phase that was looked at last
        self.env = {v["name"]: v["value"] for v in request.get("environmentVariablesOverride", [])}
        if request["projectName"] == "quit":  # somebody will not want it
            self.stopped = self.started + (PHASES.index("BUILD") + 0.5) * seconds
        if request["projectName"] == "broken":
            self.env["FAIL"] = "BUILD"
        if request["projectName"] == "hungry" and request.get("computeTypeOverride") == "BUILD_GENERAL1_SMALL":
            self.env["MEMORY"] = "BUILD"

    def due(self):
        """Index of the phase that it would be in by now."""
        end = min(self.stopped or math.inf, time.time())
        return min(int((end - self.started) / self.seconds), len(PHASES) - 1)

    def last(self):
        """Index of the phase it is in, and of the one that failed."""
        bad = self.env.get("FAIL") or self.env.get("MEMORY")
        at = self.shown if self.each else self.due()
        failed = PHASES.index(bad) if bad in PHASES else None
        if failed is not None and at > failed:
            return len(PHASES) - 1, failed
        return at, None

    def look(self):
        """Somebody asks how it is."""
        self.shown = min(self.shown + 1, self.due())

    def status(self):
        at, failed = self.last()
        if failed is not None:
            return "FAILED"
        if at == len(PHASES) - 1:
            return "SUCCEEDED"
        return "STOPPED" if self.stopped and time.time() >= self.stopped else "IN_PROGRESS"

    def phases(self):
        at, failed = self.last()
        done = []
        for i, name in enumerate(PHASES[: (failed if failed is not None else at) + 1]):
            phase = {"phaseType": name, "startTime": self.started + i * self.seconds}
            if i < at:
                phase |= {"phaseStatus": "SUCCEEDED", "endTime": phase["startTime"] + self.seconds,
                          "durationInSeconds": int(self.seconds), "contexts": [{"statusCode": "", "message": ""}]}
            if i == failed:
                status = 137 if "MEMORY" in self.env else 1
                phase |= {"phaseStatus": "FAILED", "contexts": [{
                    "statusCode": "COMMAND_EXECUTION_ERROR",
                    "message": f"Error while executing command: cairn up. Reason: exit status {status}"}]}
            done.append(phase)
        return done

    def json(self):
        at, _ = self.last()
        status = self.status()
        project, name = self.id.split(":")
        answer = {
            "id": self.id, "arn": f"arn:aws:codebuild:eu-west-1:1:build/{self.id}", "projectName": project,
            "startTime": self.started, "currentPhase": PHASES[at], "buildStatus": status,
            "buildComplete": status != "IN_PROGRESS", "phases": self.phases(),
            "environment": {"computeType": self.request.get("computeTypeOverride", "BUILD_GENERAL1_SMALL")},
            "logs": {"deepLink": f"https://console.aws.amazon.com/{name}"}}
        if at >= LOGS_FROM:
            answer["logs"] |= {"groupName": f"/aws/codebuild/{project}", "streamName": name}
        if status != "IN_PROGRESS":
            answer["endTime"] = time.time()
        return answer


class CodeBuild:
    def __init__(self, seconds, limit, each):
        self.seconds = seconds
        self.each = each
        self.limit = limit
        self.builds = {}

    def call(self, target, body):
        """The answer of an operation; None when it is none of these. Raises Refused."""
        request = json.loads(body)
        operations = {"CodeBuild_20161006.StartBuild": self.start, "CodeBuild_20161006.BatchGetBuilds": self.get,
                      "CodeBuild_20161006.StopBuild": self.stop, "Logs_20140328.GetLogEvents": self.logs}
        return operations[target](request) if target in operations else None

    def start(self, request):
        if request["projectName"] == "missing":
            raise Refused("ResourceNotFoundException", "Project cannot be found: missing")
        running = sum(b.status() == "IN_PROGRESS" for b in self.builds.values())
        if running >= self.limit:
            raise Refused("AccountLimitExceededException",
                          f"Cannot have more than {self.limit} builds in queue for the account")
        build = Build(request, self.seconds, self.each)
        self.builds[build.id] = build
        return {"build": build.json()}

    def get(self, request):
        found = [self.builds[i] for i in request["ids"] if i in self.builds]
        for build in found:
            build.look()
        return {"builds": [build.json() for build in found], "buildsNotFound": [i for i in request["ids"] if i not in self.builds]}

    def stop(self, request):
        build = self.builds.get(request["id"])
        if not build:
            raise Refused("ResourceNotFoundException", "no such build")
        if build.status() == "IN_PROGRESS":
            build.stopped = time.time()
        return {"build": build.json()}

    def logs(self, request):
        name = request["logStreamName"]
        build = next((b for b in self.builds.values() if b.id.endswith(name)), None)
        at = build.last()[0] if build else 0
        if build and build.id.startswith("silent:"):
            raise Refused("AccessDeniedException", "not authorized to perform: logs:GetLogEvents")
        if at <= LOGS_FROM:  # the stream comes with its first line
            raise Refused("ResourceNotFoundException", "The specified log stream does not exist.")
        first = int(request.get("nextToken", "f/0").removeprefix("f/"))
        lines = [{"timestamp": 0, "message": f"[{name}] {phase}\n"} for phase in PHASES[LOGS_FROM:at]]
        page = lines[first:first + LOG_PAGE]
        return {"events": page, "nextForwardToken": f"f/{first + len(page)}", "nextBackwardToken": "b/0"}
