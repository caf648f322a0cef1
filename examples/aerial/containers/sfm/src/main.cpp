// sfm TRACKS OUTDIR: reads tracks, writes OUTDIR/cameras.json and OUTDIR/points.ply,
// prints what it found as one line of JSON.
#include <cstdio>
#include <cstring>
#include <exception>

#include <glog/logging.h>

#include "reconstruction.h"

int main(int argc, char **argv) {
  if (argc == 2 && std::strcmp(argv[1], "--version") == 0) {
    std::printf("sfm %s\n", SFM_VERSION);
    return 0;
  }
  if (argc != 3) {
    std::fprintf(stderr, "usage: sfm TRACKS OUTDIR | sfm --version\n");
    return 2;
  }
  google::InitGoogleLogging(argv[0]);
  FLAGS_minloglevel = google::GLOG_ERROR;
  FLAGS_logtostderr = true;
  try {
    Scene scene = read_scene(argv[1]);
    const ReconstructionStats stats = reconstruct(&scene);
    size_t outliers = 0;
    for (const Observation &o : scene.observations)
      outliers += o.outlier;
    const std::string out = argv[2];
    write_poses(scene, out + "/cameras.json");
    write_points(scene, out + "/points.ply");
    std::printf("{\"images\": %d, \"registered\": %zu, \"points\": %zu, \"observations\": %zu, "
                "\"outliers\": %zu, \"rms_px\": %.4f, \"focal\": %.2f, \"radial\": %.5f, "
                "\"bundle_iterations\": %d}\n",
                scene.images, scene.poses.size(), scene.points.size(), scene.observations.size(),
                outliers, scene.rms(), scene.focal, scene.radial, stats.bundle_iterations);
  } catch (const std::exception &e) {
    std::fprintf(stderr, "sfm: %s\n", e.what());
    return 1;
  }
  return 0;
}
