"""The builders that are compared: how each forgets everything, and how it builds.

Every builder has
    name
    missing()                why it cannot be measured here; None when it can
    version()                one line
    ready()                  the base image is there; results may be
    cold()                   forget every result; the base image stays
    build(context, tag, ...) the commands of a build, as argument lists for measure.run
    wipe()                   an empty machine: not even the base image is there. What was there is moved away:
                             on ext4, files that were just deleted slow the creation of others down
    tidy()                   delete what was moved away
    build_at(context, place) a build that is pushed to a remote.Place, which has base and cache
    pull(place)              the commands of a pull
"""
import os
import pathlib
import shutil
import subprocess
import time

HERE = pathlib.Path(__file__).resolve().parent
BASE = "debian:12"
QUIET = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}


def call(*argv):
    return subprocess.run(argv, check=True, text=True, **QUIET).stdout


def args_of(option, build_args):
    return [word for k, v in build_args.items() for word in (option, f"{k}={v}")]


class Cairn:
    name = "cairn"

    def __init__(self, program, work, base_tar):
        self.program = str(program)
        self.home = work / "cairn-home"
        self.base_tar = base_tar
        os.environ["CAIRN_HOME"] = str(self.home)  # as a user has it: no process more for env(1)

    def missing(self):
        return None if os.access(self.program, os.X_OK) else f"{self.program} does not exist"

    def version(self):
        return call(self.program, "version").splitlines()[0]

    def argv(self, *words):
        return [self.program, *words]

    def ready(self):
        # Scenarios with a registry leave a store without it.
        if not self.home.exists() or "debian" not in call(*self.argv("images")):
            self.cold()

    def cold(self):
        if self.home.exists():
            shutil.rmtree(self.home)
        self.home.mkdir()
        call(*self.argv("import", str(self.base_tar), BASE))

    def build(self, context, tag, build_args={}, jobs=None, archive=None):
        words = ["build", "--progress", "plain", "-t", tag, *args_of("--build-arg", build_args)]
        if jobs:
            words += ["--jobs", str(jobs)]
        if archive:
            words += ["-o", f"type=oci,dest={archive},compression=zstd"]
        return [self.argv(*words, str(context))]


    def wipe(self):
        if self.home.exists():
            self.home.rename(self.home.with_name(f"cairn-home.trash.{time.monotonic_ns()}"))

    def tidy(self):
        for old in self.home.parent.glob("cairn-home.trash.*"):
            shutil.rmtree(old)

    def build_at(self, context, place):
        cache = f"type=registry,ref={place.cache}"
        return [self.argv("build", "--progress", "plain", "-t", place.image, "--push", "--build-arg",
                          f"BASE_IMAGE={place.base}", "--cache-from", cache, "--cache-to", f"{cache},mode=max",
                          str(context))]

    def pull(self, place):
        return [self.argv("pull", "-q", place.image)]


class Peer:
    """A program in the chroot that bench/peers keeps."""

    def __init__(self, peers, base_tar):
        self.peers = peers
        self.base_tar = base_tar
        self.prefix = None

    def missing(self):
        try:
            self.prefix = call(*self.peers, "prefix").split()
            call(*self.argv("--version"))
        except subprocess.CalledProcessError as e:
            return f"not running ({e.stdout.strip()}): bench/peers install && bench/peers start"
        return None

    def argv(self, *words):
        return [*self.prefix, self.program, *words]

    def ready(self):
        if subprocess.run(self.argv(*self.inspect, BASE), check=False, **QUIET).returncode:
            call(*self.peers, "base", str(self.base_tar))

    def wipe(self):
        call(*self.peers, "wipe", self.name)

    def tidy(self):
        call(*self.peers, "tidy")


class Docker(Peer):
    name = program = "docker"
    inspect = ("image", "inspect")

    def version(self):
        server = call(*self.argv("version", "--format", "{{.Server.Version}}")).strip()
        return f"docker {server}, buildx {call(*self.argv('buildx', 'version')).split()[1]}"

    def cold(self):
        call(*self.argv("builder", "prune", "--all", "--force"))
        images = call(*self.argv("images", "--quiet", "--no-trunc", "--filter", "reference=bench/*")).split()
        if images:
            call(*self.argv("rmi", "--force", *images))
        call(*self.argv("builder", "prune", "--all", "--force"))

    def build(self, context, tag, build_args={}, jobs=None, archive=None):
        words = ["buildx", "build", "--network", "host", "--progress", "plain", "-t", tag]
        words += args_of("--build-arg", build_args)
        if archive:
            words += ["--output", f"type=oci,dest={archive},compression=zstd"]
        return [self.argv(*words, str(context))]


    def build_at(self, context, place):
        cache = f"type=registry,ref={place.cache}"
        return [self.argv("buildx", "build", "--network", "host", "--progress", "plain", "--build-arg",
                          f"BASE_IMAGE={place.base}", "--output",
                          f"type=image,name={place.image},push=true,compression=zstd,oci-mediatypes=true",
                          "--cache-from", cache, "--cache-to", f"{cache},mode=max,compression=zstd", str(context))]

    def pull(self, place):
        return [self.argv("pull", "--quiet", place.image)]


class Buildah(Peer):
    name = program = "buildah"
    inspect = ("inspect", "--type", "image")

    def version(self):
        return " ".join(call(*self.argv("--version")).split()[:3])

    def cold(self):
        for line in call(*self.argv("images", "--all", "--format", "{{.ID}} {{.Name}}")).splitlines():
            image, name = line.split()
            if not name.endswith("library/debian"):
                subprocess.run(self.argv("rmi", "--force", image), check=False, **QUIET)
        call(*self.argv("prune", "--force"))

    def build(self, context, tag, build_args={}, jobs=None, archive=None):
        # The hard limit on open files may be below what Buildah asks for; without rights it fails.
        words = ["build", "--layers", "--isolation", "chroot", "--network", "host", "-t", tag]
        words += ["--ulimit", "nofile=20000:20000", "--ulimit", "nproc=20000:20000"]
        words += args_of("--build-arg", build_args)
        if jobs:
            words += ["--jobs", str(jobs)]
        commands = [self.argv(*words, str(context))]
        if archive:
            commands.append(
                self.argv("push", "--compression-format", "zstd", tag, f"oci-archive:{archive}")
            )
        return commands


    def build_at(self, context, place):
        build = ["build", "--layers", "--isolation", "chroot", "--network", "host", "--tls-verify=false", "-t",
                 place.image, "--ulimit", "nofile=20000:20000", "--ulimit", "nproc=20000:20000", "--build-arg",
                 f"BASE_IMAGE={place.base}", "--cache-from", place.cache, "--cache-to", place.cache, str(context)]
        push = ["push", "--tls-verify=false", "--compression-format", "zstd", place.image, f"docker://{place.image}"]
        return [self.argv(*build), self.argv(*push)]


class Bare:
    """The commands of the Dockerfile in a chroot, and nothing else: the floor."""

    name = "bare"

    def __init__(self, work, base_tar):
        self.root = work / "bare-root"
        self.base_tar = base_tar

    def missing(self):
        return None if os.geteuid() == 0 else "chroot needs root"

    def version(self):
        return "the same commands in a chroot, one after the other"

    def ready(self):
        pass

    def cold(self):
        subprocess.run(["rm", "-rf", "--one-file-system", str(self.root)], check=True)
        self.root.mkdir(parents=True)
        call("tar", "-C", str(self.root), "-xf", str(self.base_tar))
        shutil.copy("/etc/resolv.conf", self.root / "etc/resolv.conf")

    def build(self, context, tag, build_args={}, jobs=None, archive=None):
        command = ["unshare", "--mount", "--propagation", "private"]
        return [[*command, "python3", str(HERE / "bare.py"), str(self.root), str(context)]]

    def wipe(self):
        self.cold()

    def tidy(self):
        pass

    def build_at(self, context, place):
        return self.build(context, "")
