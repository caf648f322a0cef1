"""clouds compress IN.txt OUT | decompress IN OUT.txt | --self-test | --version

IN.txt has "X Y Z" in metres a line. CLOUDS_QUANTUM_MM is the precision kept (default 5).
"""
import math
import os
import pathlib
import random
import sys

from . import codec

VERSION = "1.0"


def make_cloud(n, seed=1):
    source = random.Random(seed)
    cloud = []
    for _ in range(n):
        x, y = source.uniform(0, 80), source.uniform(0, 60)
        cloud.append((x, y, 20 + 4 * math.sin(x / 9) + 3 * math.cos(y / 7) + source.gauss(0, 0.01)))
    return cloud


def self_test(quantum_mm):
    cloud = make_cloud(20000)
    packed = codec.compress(cloud, quantum_mm)
    found, _ = codec.decompress(packed)
    # The order is lost: compare in the order of the rounded coordinates.
    grid = sorted(tuple(round(c * 1000 / quantum_mm) for c in p) for p in cloud)
    same = grid == sorted(tuple(round(c * 1000 / quantum_mm) for c in p) for p in found)
    ratio = len(cloud) * 24 / len(packed)
    damaged = 0
    for cut in (0, 3, 11, len(packed) // 2):
        try:
            codec.decompress(packed[:cut])
        except codec.BadFile:
            damaged += 1
    checks = [
        ("points_kept", len(found), len(found) == len(cloud)),
        ("positions_within_half_a_quantum", same, same),
        ("ratio_to_doubles", round(ratio, 2), ratio > 4),
        ("damaged_files_refused", damaged, damaged == 4),
    ]
    failed = 0
    for name, value, good in checks:
        failed += not good
        print(f"{'ok' if good else 'FAILED':6} {name} = {value}")
    print(f"self-test compressor: {len(checks) - failed} passed, {failed} failed")
    return 1 if failed else 0


def main(args):
    quantum_mm = int(os.environ.get("CLOUDS_QUANTUM_MM", "5"))
    if args == ["--version"]:
        print(f"clouds {VERSION}")
    elif args == ["--self-test"]:
        return self_test(quantum_mm)
    elif len(args) == 3 and args[0] == "compress":
        lines = pathlib.Path(args[1]).read_text().splitlines()
        points = [tuple(float(f) for f in line.split()) for line in lines if line.strip()]
        pathlib.Path(args[2]).write_bytes(codec.compress(points, quantum_mm))
    elif len(args) == 3 and args[0] == "decompress":
        points, _ = codec.decompress(pathlib.Path(args[1]).read_bytes())
        pathlib.Path(args[2]).write_text("".join(f"{x:.3f} {y:.3f} {z:.3f}\n" for x, y, z in points))
    else:
        print(__doc__, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
