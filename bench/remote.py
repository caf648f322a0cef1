"""Scenarios with a registry: runners that start empty, pushes, pulls, a cache of many records."""
import dataclasses
import typing

from scenarios import Goal, MIB, edit_example, example, one_gigabyte

ALL = ("cairn", "docker", "buildah")
TWO = ("cairn", "docker")
LINK = (50, 1000)  # round trip in ms, Mbit/s


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a build pushes to and keeps its cache."""

    address: str  # host:port of the registry or of the link before it
    name: str  # repository of the image; the cache is in NAME-cache

    @property
    def image(self):
        return f"{self.address}/{self.name}:latest"

    @property
    def cache(self):
        return f"{self.address}/{self.name}-cache"

    @property
    def base(self):
        return f"{self.address}/debian:12"


@dataclasses.dataclass
class Scenario:
    name: str
    title: str
    goals: list
    builders: tuple
    rounds: int
    context: typing.Callable  # (work) -> folder
    # Before each round all machines are empty. "same": the registry has this very build;
    # "changed": and then `change` was done; "new": it has the base image only; "pull": it has the
    # image, which is pulled.
    state: str
    change: typing.Callable = None  # (folder, number)
    requests: int = None  # most that cairn may send
    link: tuple = None
    fill: int = 0  # records of others in the cache
    quick_rounds: int = 1


def copy_last(work):
    """The example with two more COPY steps and a label: nothing runs after a change of the first."""
    folder = work / "sfm-copy"
    if not folder.exists():
        source = example(work)
        import shutil
        shutil.copytree(source, folder)
        (folder / "notes.txt").write_text("notes\n")
        with open(folder / "Dockerfile", "a") as f:
            f.write("COPY notes.txt /opt/sfm/share/notes.txt\nCOPY requirements.txt /opt/sfm/share/\n"
                    "LABEL org.example.last=1\n")
    return folder


def edit_notes(folder, number):
    (folder / "notes.txt").write_text(f"notes {number}\n")


def twenty_steps(work):
    folder = work / "twenty"
    folder.mkdir(exist_ok=True)
    for i in range(20):
        (folder / f"f{i}").write_text(f"{i}\n")
    (folder / "Dockerfile").write_text(
        "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\n" + "".join(f"COPY f{i} /f{i}\n" for i in range(20)))
    return folder


def edit_last(folder, number):
    (folder / "f19").write_text(f"{number}\n")


def gigabyte(work):
    return one_gigabyte(work)


def over_the_link(s):
    return dataclasses.replace(s, name=f"{s.name}-link", builders=TWO, rounds=2, title=f"{s.title}; 50 ms round trip, 1 Gbit/s", link=LINK,
                               goals=[g for g in s.goals if g.of], requests=None)


SAME = Scenario(
    "empty-same", "empty runner, nothing changed, pushed", [Goal(1 / 60, "docker"), Goal(0.15)], TWO, 5, example,
    "same", requests=12)
COPY = Scenario(
    "empty-copy", "empty runner, one line of the last COPY changed, COPY and metadata after it, pushed",
    [Goal(1 / 40, "docker")], TWO, 3, copy_last, "changed", edit_notes)
RUN = Scenario(
    "empty-run", "empty runner, one line changed, RUN steps after it, pushed",
    [Goal(1 / 4, "docker"), Goal(1 / 4, "buildah")], ALL, 3, example, "changed", edit_example)
PULL = Scenario("pull", "pull and unpack the image", [Goal(1 / 4, "docker")], TWO, 3, example, "pull")

SCENARIOS = [
    SAME,
    COPY,
    RUN,
    Scenario(
        "cold-push", "cold build, pushed with its whole cache",
        [Goal(1 / 2, "docker"), Goal(3 / 4, "buildah"), Goal(1.25, "bare")], (*ALL, "bare"), 2, example, "new"),
    PULL,
    Scenario(
        "many-records", "a cache with 10,000 records, 20 steps, the last one changed", [Goal(0.2)], ("cairn",), 5,
        twenty_steps, "changed", edit_last, requests=50, fill=10000),
    Scenario(
        "memory-push", "peak memory, a layer of 1 GB pushed", [Goal(64 * MIB, field="peak")], ("cairn",), 1, gigabyte,
        "new"),
    Scenario(
        "memory-pull", "peak memory, a layer of 1 GB pulled", [Goal(64 * MIB, field="peak")], ("cairn",), 1, gigabyte,
        "pull"),
    over_the_link(SAME),
    over_the_link(COPY),
    over_the_link(RUN),
    over_the_link(PULL),
]
