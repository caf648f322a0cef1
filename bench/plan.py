#!/usr/bin/env python3
"""How long `cairn plan` takes in a repository of 1,000 images and 200,000 files.

    bench/plan.py CAIRN [--images N] [--files M] [--runs R]

Cold: nothing is remembered of files, and (as root) the kernel's caches are empty. Warm: again. Prints seconds of
the clock and of processors.
"""
import argparse
import os
import resource
import shutil
import subprocess
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
BASES = ["debian:12", "python:3.12-slim", "nvidia/cuda:12.4.1-devel-ubuntu22.04", "alpine:3.20"]


def timed(cairn, repo):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.monotonic()
    subprocess.run([cairn, "plan", "--json"], cwd=repo, stdout=subprocess.DEVNULL, check=True)
    wall = time.monotonic() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main():
    p = argparse.ArgumentParser()
    p.add_argument("cairn")
    p.add_argument("--images", type=int, default=1000)
    p.add_argument("--files", type=int, default=200000)
    p.add_argument("--runs", type=int, default=5)
    a = p.parse_args()
    cairn = os.path.abspath(a.cairn)
    work = tempfile.mkdtemp()
    try:
        os.environ["CAIRN_HOME"] = os.path.join(work, "home")
        repo = os.path.join(work, "repo")
        maker = os.path.join(HERE, "..", "tests", "tools", "make-repository")
        subprocess.run([maker, repo, "--images", str(a.images), "--files", str(a.files), "--git"], check=True)
        root = os.path.join(work, "root")
        os.makedirs(os.path.join(root, "etc"))
        subprocess.run(["tar", "-C", root, "-cf", root + ".tar", "."], check=True)
        for base in BASES:
            subprocess.run([cairn, "import", root + ".tar", base], check=True, stdout=subprocess.DEVNULL)
        os.sync()
        if os.geteuid() == 0:
            with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as f:
                f.write("3")
        print("cold: %.2f s, %.2f s of processors" % timed(cairn, repo))
        for _ in range(a.runs):
            print("warm: %.2f s, %.2f s of processors" % timed(cairn, repo))
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
