#!/usr/bin/env python3
"""bare.py ROOT CONTEXT: run the commands of CONTEXT/Dockerfile in the chroot ROOT.

Everything happens in one tree, in the order of the file, with no isolation, layers or cache: what is
left of a build when the builder costs nothing. Knows what the example's Dockerfile needs:
ENV, ARG, WORKDIR, RUN, COPY from the context; COPY --from a path to the same path has
happened already. Runs in a mount namespace of its own (unshare --mount).
"""
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys


def instructions(path):
    text = re.sub(r"^[ \t]*#.*\n", "", path.read_text(), flags=re.M)
    for line in text.replace("\\\n", " ").splitlines():
        if line.strip():
            word, _, rest = line.strip().partition(" ")
            yield word.upper(), rest.strip()


def pairs(rest, env):
    for word in shlex.split(rest):
        name, _, value = word.partition("=")
        yield name, os.path.expandvars(value) if not env else expand(value, env)


def expand(text, env):
    return re.sub(r"\$\{?(\w+)\}?", lambda m: env.get(m.group(1), ""), text)


def inside(root, path, workdir):
    return root / str(pathlib.PurePosixPath(workdir) / path).lstrip("/")


def copy(root, context, rest, workdir):
    *sources, target = [w for w in rest.split() if not w.startswith("--")]
    to = inside(root, target, workdir)
    for source in sources:
        source = context / source
        if source.is_dir():
            shutil.copytree(source, to, dirs_exist_ok=True)
        elif target.endswith("/"):
            to.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, to)
        else:
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, to)


def mount(root):
    subprocess.run(["mount", "-t", "proc", "proc", root / "proc"], check=True)
    subprocess.run(["mount", "--rbind", "/dev", root / "dev"], check=True)


def main():
    root, context = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    env = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"}
    workdir = "/"
    mount(root)
    for word, rest in instructions(context / "Dockerfile"):
        if word in ("ENV", "ARG"):
            env.update(pairs(rest, env))
        elif word == "FROM":
            workdir = "/"
        elif word == "WORKDIR":
            workdir = expand(rest, env)
            inside(root, ".", workdir).mkdir(parents=True, exist_ok=True)
        elif word == "COPY" and not rest.startswith("--from"):
            copy(root, context, rest, workdir)
        elif word == "RUN":
            script = f"cd {shlex.quote(workdir)} && {rest}"
            subprocess.run(["chroot", root, "/bin/sh", "-c", script], env=env, check=True)


if __name__ == "__main__":
    main()
