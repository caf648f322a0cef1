"""A simulated survey flight: terrain, cameras, and which camera sees which point where."""
import dataclasses

import numpy as np

ALTITUDE = 110.0  # m above the lowest ground
SPACING = (28.0, 34.0)  # m between images along and across the flight lines
IMAGE = (2000.0, 1500.0)  # pixels
FOCAL = 1480.0  # pixels
RADIAL = -0.04


@dataclasses.dataclass
class Flight:
    centres: np.ndarray  # (images, 3), m
    points: np.ndarray  # (tracks, 3), m
    observations: list  # (image, track, x, y), pixels from the principal point


def terrain(x, y):
    """Height of the ground in m: hills, and houses on a grid."""
    hills = 9 * np.sin(x / 23) + 7 * np.cos(y / 17 + 0.4) + 5 * np.sin((x + y) / 11)
    houses = np.where((np.mod(x, 31) < 12) & (np.mod(y, 27) < 10), 14.0, 0.0)
    return 22 + hills + houses


def rotation(yaw, pitch, roll):
    """World to camera for a camera that looks down."""
    cy, sy, cp, sp, cr, sr = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch), np.cos(roll), np.sin(roll)
    about_z = np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    about_y = np.array([[cr, 0, sr], [0, 1, 0], [-sr, 0, cr]])
    down = np.diag([1.0, -1.0, -1.0])
    return about_x @ about_y @ about_z @ down


def project(points, turn, centre):
    """Pixels of points, and which of them lie inside the image."""
    p = (points - centre) @ turn.T
    xy = p[:, :2] / p[:, 2:]
    pixels = FOCAL * xy * (1 + RADIAL * (xy**2).sum(axis=1, keepdims=True))
    inside = (p[:, 2] > 0) & (np.abs(pixels[:, 0]) < IMAGE[0] / 2) & (np.abs(pixels[:, 1]) < IMAGE[1] / 2)
    return pixels, inside


def simulate(rows=4, columns=6, tracks=1600, noise=0.5, outliers=0.02, seed=1):
    """Fly rows x columns images; noise in pixels, outliers as a share of the observations."""
    random = np.random.default_rng(seed)
    size = np.array([(columns - 1) * SPACING[0], (rows - 1) * SPACING[1]])
    ground = random.uniform(-30, size + 30, (tracks, 2))
    points = np.column_stack([ground, terrain(ground[:, 0], ground[:, 1])])
    centres, observations = [], []
    for row in range(rows):
        for step in range(columns):
            column = step if row % 2 == 0 else columns - 1 - step
            centre = np.array([column * SPACING[0], row * SPACING[1], ALTITUDE]) + random.normal(0, 1.5, 3)
            yaw = (0 if row % 2 == 0 else np.pi) + random.normal(0, 0.05)
            turn = rotation(yaw, random.normal(0, 0.06), random.normal(0, 0.06))
            pixels, inside = project(points, turn, centre)
            seen = inside & (random.uniform(size=tracks) < 0.8)
            pixels = pixels + random.normal(0, noise, pixels.shape)
            wrong = random.uniform(size=tracks) < outliers
            pixels[wrong] = random.uniform(-0.5, 0.5, (wrong.sum(), 2)) * IMAGE
            observations += [(len(centres), t, *pixels[t]) for t in np.flatnonzero(seen)]
            centres.append(centre)
    return Flight(np.array(centres), points, observations)


def write_tracks(flight, path, focal_guess=FOCAL * 1.02):
    """Write what `sfm` reads (its format is in src/scene.h)."""
    with open(path, "w", encoding="ascii") as out:
        out.write(f"camera {focal_guess}\n")
        for image in range(len(flight.centres)):
            out.write(f"image {image}\n")
        for image, track, x, y in flight.observations:
            out.write(f"obs {image} {track} {x:.4f} {y:.4f}\n")
