"""Tests that run while the image is built."""
import unittest

import numpy as np

from aerial import compare, flight


class Align(unittest.TestCase):
    def test_finds_the_similarity(self):
        random = np.random.default_rng(3)
        points = random.normal(size=(20, 3))
        turn = flight.rotation(0.3, -0.8, 2.0)
        moved = 2.5 * points @ turn.T + [1, 2, 3]
        scale, found, offset = compare.align(points, moved)
        self.assertAlmostEqual(scale, 2.5)
        np.testing.assert_allclose(found, turn, atol=1e-9)
        np.testing.assert_allclose(offset, [1, 2, 3], atol=1e-9)
        self.assertLess(compare.position_error(points, moved), 1e-9)


class Simulate(unittest.TestCase):
    def test_is_the_same_every_time(self):
        a, b = flight.simulate(rows=2, columns=2), flight.simulate(rows=2, columns=2)
        self.assertEqual(a.observations, b.observations)

    def test_images_overlap(self):
        made = flight.simulate(rows=1, columns=2)
        seen = [{t for i, t, _, _ in made.observations if i == image} for image in (0, 1)]
        self.assertGreater(len(seen[0] & seen[1]), 100)


if __name__ == "__main__":
    unittest.main()
