#!/usr/bin/env python3
"""Pushes, pulls and caches where each request goes wrong, each in turn, in each way.

usage: faults.py [-n SAMPLE] [-s SEED] [-j JOBS] [-k KIND,...] [-l] FOLDER [SCENARIO...]

A scenario (below) runs once undisturbed: its requests are counted, its image is the one that is
right. Then it runs for every request and every kind of fault, at this request alone ("once") and
at all from it on ("on"), each time with an empty store and a repository of its own; with -n, for
so many of them, drawn with SEED. After each the image is the right one or cairn has failed with
one clear line; where only a cache was disturbed, it must be the right one, and the build may not
have become much slower. A builder without faults then finds nothing wrong in what was left behind.
Without names: all scenarios but those of ECR.

Needs $CAIRN, docker-registry, zstd, python3, and for the s3 scenarios Python's moto (exit code 77
without it). FOLDER is for everything that is written. Failures are told with what repeats them.
"""
import argparse
import concurrent.futures
import contextlib
import hashlib
import json
import os
import queue
import random
import re
import shutil
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

sys.dont_write_bytecode = True  # the folder may be being copied
import fault_http  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
CAIRN = os.environ["CAIRN"]
EPOCH = "1700000000"
HANG_S = 20    # no run may take longer, where nothing else runs
SLOWER_S = 10  # a build whose cache does not answer may take so much longer, likewise
PATIENCE = float(os.environ.get("CAIRN_PATIENCE", "1"))  # both are so many times longer
ECR = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"
DOCKERFILE = """FROM {reg}/base:1 AS tools
RUN echo tool >/tool
FROM {reg}/base:1
WORKDIR /x
RUN echo one >one
RUN --mount=type=cache,target=/m test -s /m/a || echo kept >/m/a; cp /m/a /kept
COPY --from=tools /tool /x/tool
COPY a.txt /x/
{more}
"""


class Wrong(Exception):
    pass


def busy():
    """How many times longer everything takes than on a machine that is ours; the load says so late, or of another machine."""
    return PATIENCE * max(1, os.getloadavg()[0] / os.cpu_count())


def listening(pid):
    """The port that a process listens on, from its sockets and the kernel's table of them; 0: none yet."""
    links = []
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(OSError):
            links.append(os.readlink(f"/proc/{pid}/fd/{fd}"))
    with open("/proc/net/tcp") as f:
        for line in f:
            word = line.split()
            if word[3] == "0A" and f"socket:[{word[9]}]" in links:
                return int(word[1].split(":")[1], 16)
    return 0


class World:
    """Servers, and what is in them from the start."""

    def __init__(self, root, with_s3):
        self.root, self.helpers, self.s3 = root, [], 0
        os.makedirs(root, exist_ok=True)
        self.data = f"{root}/data"
        with open(f"{root}/registry.yml", "w") as f:
            f.write("version: 0.1\nlog: {level: error}\n"
                    f"storage: {{filesystem: {{rootdirectory: {self.data}}}}}\n"
                    'http: {addr: "127.0.0.1:0"}\n')
        self.registry = self.start("registry", ["docker-registry", "serve", f"{root}/registry.yml"])
        if with_s3:
            self.s3 = self.start("s3", [sys.executable, f"{HERE}/../conformance/s3_server.py", "0", "bucket"])
        self.reg = f"127.0.0.1:{self.registry}"

    def start(self, name, command):
        """Start a server that chooses its port. Returns that, when it listens."""
        with open(f"{self.root}/{name}.log", "w") as log:
            server = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "SEED_COUNT": "0"})
        self.helpers.append(server)
        for _ in range(1200):
            port = listening(server.pid) if server.poll() is None else sys.exit(f"{name} ended, see {log.name}")
            if port:
                return port
            time.sleep(0.05)
        sys.exit(f"{name} does not listen")

    def stop(self):
        for h in self.helpers:
            h.kill()
            h.wait()

    def copy_repository(self, src, dst):
        top = f"{self.data}/docker/registry/v2/repositories"
        if os.path.isdir(f"{top}/{src}"):
            shutil.copytree(f"{top}/{src}", f"{top}/{dst}")

    def get(self, path, accept="*/*"):
        req = urllib.request.Request(f"http://{self.reg}/v2/{path}", headers={"Accept": accept})
        with urllib.request.urlopen(req) as r:
            return r.read()

    def image(self, repo, tag):
        """Digest of the config of a complete image, or None."""
        try:
            text = self.get(f"{repo}/manifests/{tag}", ", ".join(fault_http.MANIFESTS | fault_http.INDEXES))
        except urllib.error.HTTPError as e:
            if e.code == 404:
                return None
            raise
        m = json.loads(text)
        if "config" not in m:
            return self.image(repo, m["manifests"][0]["digest"])
        for d in [m["config"]] + m["layers"]:
            data = self.get(f"{repo}/blobs/{d['digest']}")
            if "sha256:" + hashlib.sha256(data).hexdigest() != d["digest"] or len(data) != d["size"]:
                raise Wrong(f"blob {d['digest']} in the registry is another one")
        return m["config"]["digest"]


class Run:
    """One run of a scenario: an empty store, repositories and a proxy of its own."""

    def __init__(self, world, name, proxies):
        self.world, self.name = world, name
        self.dir = f"{world.root}/{name}"
        self.registry, self.s3 = proxies
        self.ecr = None
        for folder in ("home", "ctx", "docker", "bin"):
            os.makedirs(f"{self.dir}/{folder}", exist_ok=True)
        self.error = ""

    def cairn(self, *words, home="home", expect=None):
        env = {"PATH": f"{self.dir}/bin:{os.environ['PATH']}", "HOME": f"{self.dir}/home", "CAIRN_HOME": f"{self.dir}/{home}",
               "SOURCE_DATE_EPOCH": EPOCH, "DOCKER_CONFIG": f"{self.dir}/docker", "LC_ALL": "C.UTF-8",
               "AWS_ACCESS_KEY_ID": "S3RVER", "AWS_SECRET_ACCESS_KEY": "S3RVER", "TMPDIR": self.dir}
        if self.ecr:
            env.update({"http_proxy": f"http://127.0.0.1:{self.registry.port}", "no_proxy": "127.0.0.1,localhost",
                        "AWS_ENDPOINT_URL_ECR": f"http://127.0.0.1:{self.registry.port}",
                        "CAIRN_CONFIG": f"{self.dir}/ctx/cairn.yaml"})
        env.update({k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")})
        try:
            p = subprocess.run([CAIRN, *words], env=env, cwd=f"{self.dir}/ctx", stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               stdin=subprocess.DEVNULL, timeout=HANG_S * busy(), text=True, errors="replace")
        except subprocess.TimeoutExpired as e:
            raise Wrong(f"cairn {words[0]} hangs: {(e.stdout or b'')[-600:]}") from e
        self.output = p.stdout
        if "Sanitizer" in p.stdout or "runtime error:" in p.stdout or p.returncode < 0 or p.returncode == 70:
            raise Wrong(f"cairn {words[0]}: exit code {p.returncode}: {p.stdout[-2000:]}")
        if p.returncode:
            self.error = self.one_line(p.stdout)
            if expect == 0:
                raise Wrong(f"cairn {words[0]}: exit code {p.returncode}: {p.stdout[-2000:]}")
        return p.returncode

    def one_line(self, output):
        lines = [x for x in output.splitlines() if re.search(r"\berror: ", x)]
        if len(lines) != 1:
            raise Wrong(f"not one line of error: {output[-2000:]}")
        return lines[0]

    def build(self, reg, options, changed="", home="home", expect=None, **_):
        more = ""
        with open(f"{self.dir}/ctx/a.txt", "w") as f:
            f.write(f"a{changed}\n")
        if changed:
            more = "RUN cat a.txt tool one /kept >all"
        with open(f"{self.dir}/ctx/Dockerfile", "w") as f:
            f.write(DOCKERFILE.format(reg=reg, more=more))
        iid = f"{self.dir}/{home}.iid"
        if self.cairn("build", "--progress=plain", "--iidfile", iid, *options, f"{self.dir}/ctx", home=home, expect=expect):
            return None
        with open(iid) as f:
            return f.read().strip()

    def remove(self):
        if os.getuid():
            subprocess.run(["unshare", "--map-root-user", "--map-auto", "rm", "-rf", self.dir], check=False)
        else:
            shutil.rmtree(self.dir, ignore_errors=True)


# --- scenarios --------------------------------------------------------------------------
#
# proxy   which server is behind the disturbed proxy
# only    paths that are disturbed, None: all
# seeded  the cache is filled before
# changed the last file of the context is another one
# cache   kind of the cache; push: where the image goes as well
# must    it must succeed: only a cache is disturbed, and it may be ignored
# ecr     the registry is ECR: "own", cairn makes the tokens, "helper", a credential helper does;
#         its tokens end at each request

SCENARIOS = {
    "pull": dict(what="pull"),
    "push": dict(what="push"),
    "cold": dict(cache="registry", push=True),
    "warm": dict(cache="registry", push=True, seeded=True),
    "changed": dict(cache="registry", push=True, seeded=True, changed="b"),
    "cold-cache": dict(cache="registry", only="^/v2/[^/]*/c/", must=True),
    "warm-cache": dict(cache="registry", only="^/v2/[^/]*/c/", must=True, seeded=True),
    "changed-cache": dict(cache="registry", only="^/v2/[^/]*/c/", must=True, seeded=True, changed="b"),
    "cold-s3": dict(proxy="s3", cache="s3", must=True),
    "warm-s3": dict(proxy="s3", cache="s3", must=True, seeded=True),
    "changed-s3": dict(proxy="s3", cache="s3", must=True, seeded=True, changed="b"),
    "strict-s3": dict(proxy="s3", cache="s3"),
    "ecr-pull": dict(what="pull", ecr="own"),
    "ecr-push": dict(what="push", ecr="helper"),
    "ecr-copy": dict(what="copy", ecr="own"),
    "ecr-sync": dict(what="sync", ecr="own"),
    "ecr-cold": dict(cache="registry", push=True, ecr="own"),
    "ecr-changed": dict(cache="registry", push=True, seeded=True, changed="b", ecr="helper"),
    "ecr-buildkit": dict(cache="registry", push=True, ecr="own", form=",format=buildkit,image-manifest=true"),
    "ecr-immutable": dict(cache="registry", push=True, ecr="own", immutable=True),
}


def cache_of(kind, ref, s3_port, must, form=""):
    if kind == "s3":
        spec = (f"type=s3,bucket=bucket,prefix={ref}/,region=us-east-1,use_path_style=true,"
                f"endpoint_url=http://127.0.0.1:{s3_port}")
    else:
        spec = f"type=registry,ref={ref}"
    return ["--cache-from", spec, "--cache-to", spec + ",mode=max" + form + (",ignore-error=true" if must else "")]


def wait_for_sync(folder):
    """Until no process syncs a store below the folder: a store cannot be copied meanwhile."""
    while not subprocess.run(["pgrep", "-f", "--", f" --sync-store {folder}/"], stdout=subprocess.DEVNULL, check=False).returncode:
        time.sleep(0.05)


def seed(world, proxies, scenarios):
    """Fill the registry with a base image, and for each kind of cache a cache at seed/c."""
    run = Run(world, "seed", proxies)
    subprocess.run([sys.executable, f"{HERE}/make_image.py", f"{run.dir}/image", "1"], check=True, stdout=subprocess.DEVNULL)
    layout = f"{run.dir}/image"
    subprocess.run(["skopeo", "--insecure-policy", "--tmpdir", run.dir, "copy", "-q", "--preserve-digests",
                    "--dest-tls-verify=false", f"oci:{layout}", f"docker://{world.reg}/base:1"], check=True)
    kinds = {SCENARIOS[s].get("cache") for s in scenarios if SCENARIOS[s].get("seeded")}
    for kind in sorted(k for k in kinds if k):
        ref = f"{world.reg}/seed/c" if kind == "registry" else "seed"
        run.build(world.reg, cache_of(kind, ref, world.s3, False), home=f"home-{kind}", expect=0)
    run.build(world.reg, ["-t", "built"], home="pushed", expect=0)
    wait_for_sync(run.dir)
    return run


def copy_prefix(world, src, dst):
    """Copy a cache in the bucket."""
    import xml.etree.ElementTree as xml
    url = f"http://127.0.0.1:{world.s3}/bucket"
    with urllib.request.urlopen(f"{url}?list-type=2&prefix={src}/") as r:
        keys = [e.text for e in xml.fromstring(r.read()).iter() if e.tag.endswith("}Key")]
    for key in keys:
        req = urllib.request.Request(f"{url}/{dst}{key[len(src):]}", method="PUT",
                                     headers={"x-amz-copy-source": f"/bucket/{key}"})
        urllib.request.urlopen(req).close()


class Checker:
    def __init__(self, world):
        self.world = world
        self.proxies = queue.Queue()
        self.right, self.usual = {}, {}
        self.lock, self.count = threading.Lock(), 0
        self.outcomes = {}

    def new_proxies(self):
        return fault_http.Proxy(self.world.registry), fault_http.Proxy(self.world.s3) if self.world.s3 else None

    def one(self, name, fault, ecr=None):
        """Run a scenario. Returns the requests that the proxy saw."""
        s = SCENARIOS[name]
        proxies = self.proxies.get()
        with self.lock:
            self.count += 1
            run = Run(self.world, f"r{self.count}", proxies)
        try:
            return self.checked(s, name, run, fault, ecr)
        finally:
            self.proxies.put(proxies)
            run.remove()

    def checked(self, s, name, run, fault, ecr):
        world, r = self.world, run.name
        disturbed = run.s3 if s.get("proxy") == "s3" else run.registry
        reg = ECR if s.get("ecr") else f"127.0.0.1:{run.registry.port}"
        run.registry.reset()
        if s.get("cache") == "s3":
            run.s3.reset()
        if s.get("seeded"):
            if s["cache"] == "registry":
                world.copy_repository("seed/c", f"{r}/c")
            else:
                copy_prefix(world, "seed", r)
        if ecr is None and s.get("ecr"):
            ecr = fault_http.Ecr()
        if ecr:
            run.ecr = ecr
            ecr.immutable = s.get("immutable", False)
            self.settings(s, run)
            if s["ecr"] == "helper":
                self.helper(run, reg, ecr)
        if s.get("what") == "push":
            subprocess.run(["cp", "-a", f"{world.root}/seed/pushed/.", f"{run.dir}/home"], check=True)
            run.cairn("tag", "built", f"{reg}/{r}/app:1", expect=0)
        disturbed.reset(fault, s.get("only"), ecr)
        started = time.monotonic()
        got = self.act(s, run, reg)
        took = time.monotonic() - started
        requests, hit = disturbed.log, disturbed.hit
        disturbed.reset()
        run.ecr = None
        if ecr and ecr.refused:
            raise Wrong(f"ECR would refuse {ecr.refused}")
        if ecr and not got:
            raise Wrong(f"it fails at ECR: {run.error}")
        self.judge(s, name, run, got, hit if fault else None, took)
        self.afterwards(s, name, run)
        with self.lock:
            key = "right" if got else re.sub(r"[0-9a-f]{8,}|\d+", "N", run.error)
            self.outcomes[key] = self.outcomes.get(key, 0) + 1
        return requests

    @staticmethod
    def settings(s, run):
        with open(f"{run.dir}/ctx/cairn.yaml", "w") as f:
            f.write(f'registries:\n  "{ECR}":\n    http: true\n')
            if s.get("what") == "sync":
                f.write(f"base:\n  registry: {ECR}/{run.name}/base\n")

    @staticmethod
    def helper(run, reg, ecr):
        """A credential helper that knows the token of now."""
        server = token_file(ecr.password)
        with open(f"{run.dir}/bin/docker-credential-ecr", "w") as f:
            f.write(f"#!/bin/sh\ncat >/dev/null\nexec cat {run.dir}/token\n")
        os.chmod(f"{run.dir}/bin/docker-credential-ecr", 0o755)
        server(f"{run.dir}/token")
        with open(f"{run.dir}/docker/config.json", "w") as f:
            json.dump({"credHelpers": {reg: "ecr"}}, f)
        ecr.on_expiry = lambda: server(f"{run.dir}/token")

    def act(self, s, run, reg):
        """Image id of what was done, None when cairn failed."""
        r = run.name
        if s.get("what") == "pull":
            if run.cairn("pull", f"{reg}/base:1"):
                return None
            run.cairn("inspect", "--json", f"{reg}/base:1", expect=0)
            j = json.loads(run.output)
            j = j[0] if isinstance(j, list) else j
            run.cairn("run", "--rm", f"{reg}/base:1", "sh", "-c", "cat mark etc/twice data/new plain/inside turns", expect=0)
            if run.output != "12newfile" and run.output.strip() != "12newfile":
                raise Wrong(f"contents of the image: {run.output}")
            return j.get("Id") or j.get("id")
        if s.get("what") == "push":
            if run.cairn("push", f"{reg}/{r}/app:1"):
                return None
            return self.world.image(f"{r}/app", "1")
        if s.get("what") == "copy":
            if run.cairn("copy", f"{self.world.reg}/base:1", f"{reg}/{r}/copied:1"):
                return None
            return self.world.image(f"{r}/copied", "1")
        if s.get("what") == "sync":
            with open(f"{run.dir}/ctx/Dockerfile", "w") as f:
                f.write(f"FROM {self.world.reg}/base:1\n")
            if run.cairn("base", "sync"):
                return None
            return self.world.image(f"{r}/base/{self.world.reg.replace(':', '-')}/base", "1")
        ref = f"{reg}/{r}/c" if s["cache"] == "registry" else r
        options = cache_of(s["cache"], ref, run.s3 and run.s3.port, s.get("must"), s.get("form", ""))
        if s.get("push"):
            options += ["--push", "-t", f"{reg}/{r}/app:1"]
        base = reg if not s.get("proxy") else self.world.reg
        got = run.build(base, options, changed=s.get("changed", ""))
        if got and s.get("push") and self.world.image(f"{r}/app", "1") != got:
            raise Wrong("another image is in the registry")
        if got and s.get("immutable"):
            self.twice(run, base, options)
        return got

    @staticmethod
    def twice(run, base, options):
        """Where tags cannot be moved: the same again is fine, something else under its name is not."""
        run.build(base, options, home="again", expect=0)
        if run.build(base, options, changed="b", home="other") or "immutable" not in run.error:
            raise Wrong(f"a tag that cannot be moved: {run.output[-600:]}")
        run.build(base, [o.replace("app:1", "app:2") for o in options], changed="b", home="third", expect=0)

    def judge(self, s, name, run, got, hit, took):
        with self.lock:
            right = self.right.setdefault(name, got)
            usual = self.usual.setdefault(name, took)
        if s.get("must") and took > usual + SLOWER_S * busy():
            raise Wrong(f"it took {took:.1f} s in place of {usual:.1f} s")
        if got and got != right:
            raise Wrong(f"image {got} in place of {right}")
        if not got and hit is None:
            raise Wrong(f"it fails undisturbed: {run.error}")
        if not got and s.get("must"):
            raise Wrong(f"only a cache was disturbed: {run.error}")
        if not got and hit == []:
            raise Wrong(f"it fails without a fault: {run.error}")
        if not got and s.get("push") or s.get("what") == "push" and not got:
            there = self.world.image(f"{run.name}/app", "1")
            if there not in (None, right):
                raise Wrong(f"after the failure {there} is in the registry")

    def afterwards(self, s, name, run):
        """Another builder with the same cache, and the same one again, without faults."""
        if s.get("immutable") or s.get("ecr") and "cache" not in s:
            return
        if "cache" not in s:
            if s["what"] == "push":
                run.registry.reset(ecr=None)
                run.cairn("push", f"127.0.0.1:{run.registry.port}/{run.name}/app:1", expect=0)
                if self.world.image(f"{run.name}/app", "1") != self.right[name]:
                    raise Wrong("pushed again it is another image")
            return
        reg = self.world.reg
        ref = f"{reg}/{run.name}/c" if s["cache"] == "registry" else run.name
        options = cache_of(s["cache"], ref, self.world.s3, False)
        got = run.build(reg, options, changed=s.get("changed", ""), home="after", expect=0)
        if got != self.right[name]:
            raise Wrong(f"afterwards another builder gets {got} in place of {self.right[name]}")

    def cases(self, name, n, kinds):
        s = SCENARIOS[name]
        if s.get("ecr"):
            for i in range(1, n + 1):
                for expired in (401, 403):
                    yield None, (i, expired)
            return
        for i in range(1, n + 1):
            for kind in kinds + ((fault_http.HANG,) if s.get("must") and kinds is fault_http.KINDS else ()):
                for forever in (False, True):
                    yield (i, kind, forever), None


def token_file(text):
    def write(path):
        with open(path + ".new", "w") as f:
            json.dump({"Username": "AWS", "Secret": text()}, f)
        os.replace(path + ".new", path)
    return write


def words(fault, expiry):
    if expiry:
        return f"token ends at request {expiry[0]}, {expiry[1]}"
    return f"{fault[1]} at request {fault[0]}{' and all after it' if fault[2] else ''}"


def run_scenario(checker, name, args):
    requests = checker.one(name, None)
    cases = list(checker.cases(name, len(requests), args.kinds))
    chosen = cases
    if args.sample and args.sample < len(cases):
        chosen = random.Random(f"{args.seed} {name}").sample(cases, args.sample)
    failures = []

    def do(case):
        fault, expiry = case
        try:
            checker.one(name, fault, fault_http.Ecr(expire_at=expiry[0], expired=expiry[1]) if expiry else None)
        except Wrong as e:
            at = (fault or expiry)[0]
            failures.append(f"{name}: {words(fault, expiry)} ({requests[at - 1]}): {e}")
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        list(pool.map(do, chosen))
    print(f"{name}: {len(requests)} requests, {len(chosen)} of {len(cases)} faults, {len(failures)} wrong", flush=True)
    for f in failures:
        print(f)
    return len(failures)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("-n", "--sample", type=int)
    p.add_argument("-s", "--seed", type=int, default=1)
    p.add_argument("-j", "--jobs", type=int, default=6)
    p.add_argument("-k", "--kinds", type=lambda s: tuple(s.split(",")), default=fault_http.KINDS)
    p.add_argument("-l", "--list", action="store_true", help="print the requests of each scenario")
    p.add_argument("folder")
    p.add_argument("scenario", nargs="*")
    args = p.parse_intermixed_args()
    names = args.scenario or [n for n, s in SCENARIOS.items() if not s.get("ecr")]
    with_s3 = any(SCENARIOS[n].get("cache") == "s3" for n in names)
    if with_s3 and subprocess.run([sys.executable, "-c", "import moto.server"], stderr=subprocess.DEVNULL, check=False).returncode:
        if args.scenario:
            print("python3 has no moto: no S3 server")
            sys.exit(77)
        names, with_s3 = [n for n in names if SCENARIOS[n].get("cache") != "s3"], False
    world = World(os.path.abspath(args.folder), with_s3)
    wrong = 0
    try:
        checker = Checker(world)
        for _ in range(args.jobs):
            checker.proxies.put(checker.new_proxies())
        seed(world, checker.new_proxies(), names)
        for name in names:
            if args.list:
                print(name, *(r.split("?_state")[0] for r in checker.one(name, None)), sep="\n  ")
            else:
                wrong += run_scenario(checker, name, args)
        for text, n in sorted(checker.outcomes.items(), key=lambda x: -x[1]):
            print(f"{n:6} {text[:300]}")
    finally:
        world.stop()
    sys.exit(1 if wrong else 0)


main()
