"""The format: "CLD1", quantum in mm, number of points, then LZMA over the coordinates.

Points are rounded to the quantum, sorted along a Morton curve, so that neighbours follow
each other, and stored as zigzag varints of the differences, one axis after the other.
The order of the points is not kept; their positions are, to half a quantum.
"""
import lzma
import struct

MAGIC = b"CLD1"
HEADER = struct.Struct("<4sII")
BITS = 21  # an axis; 21 bits of 5 mm are 10 km
POINTS_MAX = 1 << 28


class BadFile(ValueError):
    """The bytes are no cloud, or a damaged one."""


def spread(value):
    """Two zero bits between the bits of a 21-bit number."""
    value = (value | value << 32) & 0x1F00000000FFFF
    value = (value | value << 16) & 0x1F0000FF0000FF
    value = (value | value << 8) & 0x100F00F00F00F00F
    value = (value | value << 4) & 0x10C30C30C30C30C3
    return (value | value << 2) & 0x1249249249249249


def morton(point):
    return spread(point[0]) | spread(point[1]) << 1 | spread(point[2]) << 2


def put_varint(out, value):
    value = value << 1 if value >= 0 else (-value << 1) - 1
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)


def get_varint(data, at):
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise BadFile("coordinates end early")
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return (value >> 1 if value & 1 == 0 else -(value + 1 >> 1)), at


def compress(points, quantum_mm):
    """points: (x, y, z) in m. Returns bytes."""
    grid = [tuple(round(c * 1000 / quantum_mm) for c in p) for p in points]
    low = [min((p[axis] for p in grid), default=0) for axis in range(3)]
    moved = [tuple(c - l for c, l in zip(p, low)) for p in grid]
    if any(c >> BITS for p in moved for c in p):
        raise ValueError(f"the cloud is larger than 2^{BITS} quanta; use a coarser quantum")
    moved.sort(key=morton)
    raw = bytearray()
    for axis in range(3):
        before = -low[axis]
        for p in moved:
            put_varint(raw, p[axis] - before)
            before = p[axis]
    return HEADER.pack(MAGIC, quantum_mm, len(moved)) + lzma.compress(bytes(raw), preset=6)


def decompress(data):
    """Returns (points, quantum in mm). Fails with BadFile."""
    if len(data) < HEADER.size or not data.startswith(MAGIC):
        raise BadFile("not a cloud")
    _, quantum_mm, n = HEADER.unpack_from(data)
    if n > POINTS_MAX or quantum_mm == 0:
        raise BadFile("header out of range")
    try:
        raw = lzma.decompress(data[HEADER.size :])
    except lzma.LZMAError as e:
        raise BadFile(f"damaged: {e}") from e
    axes, at = [], 0
    for _ in range(3):
        values, value = [], 0
        for _ in range(n):
            step, at = get_varint(raw, at)
            value += step
            values.append(value * quantum_mm / 1000)
        axes.append(values)
    return list(zip(*axes)), quantum_mm
