// Incremental structure from motion: a first pair, then one image after the other.
#pragma once

#include "scene.h"

struct ReconstructionStats {
  int pair[2] = {-1, -1}; // the images it started from
  int bundle_iterations = 0;
};

// Fills in the poses and points of `scene`, marks outliers. Throws
// std::runtime_error when no two images see enough of the same.
ReconstructionStats reconstruct(Scene *scene);
