"""How far a reconstruction is from the truth; its own scale, turn and origin are free."""
import numpy as np


def align(source, target):
    """The similarity (scale, rotation, offset) that moves source best onto target (Umeyama)."""
    mean_s, mean_t = source.mean(axis=0), target.mean(axis=0)
    s, t = source - mean_s, target - mean_t
    u, d, vt = np.linalg.svd(t.T @ s / len(s))
    flip = np.diag([1, 1, np.sign(np.linalg.det(u @ vt))])
    turn = u @ flip @ vt
    scale = np.trace(np.diag(d) @ flip) / (s**2).sum(axis=1).mean()
    return scale, turn, mean_t - scale * turn @ mean_s


def position_error(found, truth):
    """Root mean square distance after alignment, in the units of truth."""
    scale, turn, offset = align(found, truth)
    moved = scale * found @ turn.T + offset
    return float(np.sqrt(((moved - truth) ** 2).sum(axis=1).mean()))
