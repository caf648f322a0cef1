// Bundle adjustment: poses, points and the camera, so that the reprojection error is least.
#pragma once

#include "scene.h"

struct BundleOptions {
  bool refine_camera = false; // focal length and radial distortion too
  int only_image = -1;        // refine this pose alone; -1: everything
  int iterations = 25;
};

// Returns the number of iterations that the solver made.
int bundle_adjust(Scene *scene, const BundleOptions &options);
