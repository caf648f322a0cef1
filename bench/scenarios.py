"""What is measured: a table. Each entry says what it needs, what is timed, and what the goal is."""
import dataclasses
import os
import pathlib
import random
import shutil
import subprocess
import typing

from measure import median

EXAMPLE = pathlib.Path(__file__).resolve().parent.parent / "examples/aerial/containers/sfm"
MS, MIB = 1e-3, 1 << 20


@dataclasses.dataclass
class Goal:
    limit: float
    of: str = ""  # name of the builder whose time the limit is a share of; "" = absolute
    field: str = "wall"  # of a Sample: wall and cpu in s, peak in bytes

    def measured(self, results):
        """The number to compare with the limit; None when one side was not measured."""
        ours, theirs = results.get("cairn"), results.get(self.of)
        if not isinstance(ours, list) or not ours:
            return None
        if not self.of:
            return median(ours, self.field)
        if not isinstance(theirs, list) or not theirs:
            return None
        return median(ours, self.field) / median(theirs, self.field)


@dataclasses.dataclass
class Scenario:
    name: str
    title: str
    goals: list
    builders: tuple  # names
    rounds: int
    context: typing.Callable  # (work) -> folder; made once
    # What happens, not measured, before a round: "cold" forgets everything, "warm" has built
    # the same before, "edited" has built it and then one line changed.
    state: str
    options: dict = dataclasses.field(default_factory=dict)  # for Builder.build
    archive: bool = False  # write an OCI archive
    quick_rounds: int = 1


def example(work):
    """A copy of the example: the scenarios edit it."""
    folder = work / "sfm"
    if not folder.exists():
        shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def edit_example(folder, number):
    """Change one line of a file of the last COPY."""
    script = folder / "scripts/sfm-pipeline"
    text = (EXAMPLE / "scripts/sfm-pipeline").read_text()
    script.write_text(text + f"# edit {number}\n")


def many_files(work):
    """50,000 files, 500 MB, in 500 folders."""
    folder = work / "many-files"
    if not (folder / "Dockerfile").exists():
        source = random.Random(1)
        noise = source.randbytes(1 << 20)
        for i in range(500):
            (folder / "data" / f"{i:03}").mkdir(parents=True, exist_ok=True)
            for j in range(100):
                at = source.randrange(len(noise) - 10000)
                head = f"{i} {j}\n".encode()
                (folder / "data" / f"{i:03}" / f"{j:02}.bin").write_bytes(head + noise[at : at + 10000 - len(head)])
        (folder / "Dockerfile").write_text("FROM scratch\nCOPY data/ /data/\n")
    return folder


def parallel_stages(work):
    folder = work / "parallel"
    folder.mkdir(exist_ok=True)
    lines = [f"FROM debian:12 AS s{i}\nRUN sleep 0.2 && echo {i} >/n{i}\n" for i in range(40)]
    lines.append("FROM scratch\n")
    lines += [f"COPY --from=s{i} /n{i} /n{i}\n" for i in range(40)]
    (folder / "Dockerfile").write_text("".join(lines))
    return folder


def one_gigabyte(work):
    folder = work / "gigabyte"
    if not (folder / "Dockerfile").exists():
        folder.mkdir(exist_ok=True)
        with open(folder / "big", "wb") as out:
            for _ in range(512):  # half of it compresses
                out.write(os.urandom(MIB) + bytes(MIB))
        (folder / "Dockerfile").write_text("FROM scratch\nCOPY big /big\n")
    return folder


ALL = ("cairn", "docker", "buildah")

SCENARIOS = [
    Scenario("cold", "cold build kept local", [Goal(1.1, "bare")], (*ALL, "bare"), 3, example, "cold"),
    Scenario(
        "warm", "nothing changed, warm", [Goal(1 / 30, "docker"), Goal(15 * MS)], ALL, 15, example, "warm",
        quick_rounds=7),
    Scenario(
        "edit", "one line of the last COPY changed, RUN steps after it, warm", [Goal(1 / 6, "docker")], ALL, 7,
        example, "edited", quick_rounds=5),
    Scenario(
        "archive", "cold build to an OCI archive (zstd)", [Goal(1.2, "bare")], (*ALL, "bare"), 3, example, "cold",
        archive=True),
    Scenario(
        "files-first", "COPY of 50,000 small files (500 MB), first time", [Goal(1 / 2, "docker")], ALL, 3,
        many_files, "cold"),
    Scenario(
        "files-again", "the same, nothing changed", [Goal(0.3)], ALL, 5, many_files, "warm", quick_rounds=2),
    Scenario(
        "parallel", "40 independent stages of RUN sleep 0.2, 40 at once", [Goal(1.0)], ALL, 3, parallel_stages,
        "cold", options={"jobs": 40}),
    Scenario(
        "memory", "peak memory, a layer of 1 GB to an OCI archive (zstd)", [Goal(64 * MIB, field="peak")],
        ("cairn", "buildah"), 1, one_gigabyte, "cold", archive=True),
]


def measure_program(cairn, log, rounds, run):
    """Size of the stripped binary and time of `cairn version`; the floor is an empty program."""
    stripped = pathlib.Path(str(log) + ".stripped")
    subprocess.run(["strip", "-o", stripped, cairn.program], check=True)
    size = stripped.stat().st_size
    stripped.unlink()
    times = {"cairn": [], "true": []}
    for _ in range(rounds):
        times["cairn"].append(run([[cairn.program, "version"]], log))
        times["true"].append(run([["/bin/true"]], log))
    return size, times
