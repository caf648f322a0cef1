"""Run commands, measure them in turn, take medians. Knows nothing of builders."""
import dataclasses
import os
import statistics
import subprocess
import time


class Failed(Exception):
    """A measured command failed: its words and the end of what it printed."""


@dataclasses.dataclass
class Sample:
    wall: float  # s
    cpu: float  # s, of the command and all its descendants
    peak: int  # bytes, resident, of the largest process among them


def run(commands, log):
    """Run commands one after the other as one sample; their output goes to the file log.

    commands: list of argument lists. Processes that a daemon runs are not in cpu and peak.
    Fails with Failed.
    """
    cpu = peak = 0
    started = time.perf_counter()
    for argv in commands:
        with open(log, "ab") as out:
            child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
            _, status, usage = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
        cpu += usage.ru_utime + usage.ru_stime
        peak = max(peak, usage.ru_maxrss * 1024)
        if child.returncode != 0:
            raise Failed(f"{' '.join(argv)}: exit code {child.returncode}\n{tail(log)}")
    return Sample(time.perf_counter() - started, cpu, peak)


def tail(path, lines=15):
    with open(path, errors="replace") as f:
        return "".join(f.readlines()[-lines:])


def in_turn(contenders, rounds, prepare, commands, log, report=lambda *_: None):
    """Measure A B C A B C ...: what the machine does meanwhile hits all alike.

    prepare(contender, round)   not measured
    commands(contender, round)  what is measured; what was there to be written before is on the disk
    log(contender)              file for its output
    Returns {contender: [Sample]}; one that fails has the text of the failure instead.
    """
    results = {c: [] for c in contenders}
    for number in range(rounds):
        for c in contenders:
            if isinstance(results[c], str):
                continue
            try:
                prepare(c, number)
                os.sync()
                sample = run(commands(c, number), log(c))
                results[c].append(sample)
                report(c, number, sample)
            except (Failed, OSError, subprocess.CalledProcessError) as e:
                results[c] = str(e)
                report(c, number, None)
    return results


def median(samples, field="wall"):
    return statistics.median(getattr(s, field) for s in samples)
