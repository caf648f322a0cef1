#include "reconstruction.h"

#include <algorithm>
#include <random>
#include <set>
#include <stdexcept>

#include "bundle.h"
#include "geometry.h"

namespace {

constexpr double kTolerance = 4.0;          // pixels
constexpr double kMinAngle = 2.0 * M_PI / 180; // below it a point's depth is a guess
constexpr double kPairAngle = 8.0 * M_PI / 180;
constexpr int kPairCandidates = 24;
constexpr int kBundleEvery = 4; // images

struct Pair {
  int a, b;
  std::vector<std::pair<int, int>> common; // observations
};

std::vector<Pair> pairs_by_overlap(const Scene &scene) {
  std::vector<Pair> pairs;
  for (int a = 0; a < scene.images; a++) {
    std::map<int, int> by_track;
    for (int i : scene.of_image[a])
      by_track[scene.observations[i].track] = i;
    for (int b = a + 1; b < scene.images; b++) {
      Pair pair{a, b, {}};
      for (int j : scene.of_image[b]) {
        const auto it = by_track.find(scene.observations[j].track);
        if (it != by_track.end())
          pair.common.emplace_back(it->second, j);
      }
      if (pair.common.size() >= 50)
        pairs.push_back(std::move(pair));
    }
  }
  std::stable_sort(pairs.begin(), pairs.end(),
                   [](const Pair &p, const Pair &q) { return p.common.size() > q.common.size(); });
  return pairs;
}

class Builder {
public:
  explicit Builder(Scene *scene) : scene(*scene) {}

  ReconstructionStats run() {
    start();
    int since_bundle = 0;
    for (int image = next_image(); image >= 0; image = next_image()) {
      if (!add_image(image)) {
        refused.insert(image);
        continue;
      }
      add_points();
      if (++since_bundle == kBundleEvery) {
        since_bundle = 0;
        adjust(false);
      }
    }
    for (int round = 0; round < 3; round++) {
      adjust(true);
      add_points();
    }
    adjust(true);
    return stats;
  }

private:
  void start() {
    TwoView best;
    Pair chosen{-1, -1, {}};
    const std::vector<Pair> pairs = pairs_by_overlap(scene);
    for (size_t i = 0; i < pairs.size() && i < kPairCandidates; i++) {
      Points2 a, b;
      for (const auto &[oa, ob] : pairs[i].common) {
        a.push_back(scene.normalized(scene.observations[oa]));
        b.push_back(scene.normalized(scene.observations[ob]));
      }
      const auto view = relative_pose(a, b, kTolerance / scene.focal / 2, random);
      if (view && view->angle > kPairAngle && view->inliers > best.inliers) {
        best = *view;
        chosen = pairs[i];
      }
    }
    if (chosen.a < 0)
      throw std::runtime_error("no two images see enough of the same");
    scene.poses[chosen.a] = Pose();
    scene.poses[chosen.b] = best.second;
    stats.pair[0] = chosen.a;
    stats.pair[1] = chosen.b;
    add_points();
    adjust(false);
  }

  // The image that sees most of the points there are.
  int next_image() const {
    int best = -1, most = 0;
    for (int image = 0; image < scene.images; image++) {
      if (scene.poses.count(image) || refused.count(image))
        continue;
      int seen = 0;
      for (int i : scene.of_image[image])
        seen += static_cast<int>(scene.points.count(scene.observations[i].track));
      if (seen > most) {
        most = seen;
        best = image;
      }
    }
    return best;
  }

  bool add_image(int image) {
    Points3 world;
    Points2 x;
    for (int i : scene.of_image[image]) {
      const auto it = scene.points.find(scene.observations[i].track);
      if (it == scene.points.end())
        continue;
      world.push_back(it->second);
      x.push_back(scene.normalized(scene.observations[i]));
    }
    const auto pose = resect(world, x, 2 * kTolerance / scene.focal, random);
    if (!pose)
      return false;
    scene.poses[image] = *pose;
    BundleOptions options;
    options.only_image = image;
    stats.bundle_iterations += bundle_adjust(&scene, options);
    return true;
  }

  void add_points() {
    for (const auto &[track, observations] : scene.of_track) {
      if (scene.points.count(track))
        continue;
      std::vector<const Pose *> poses;
      Points2 x;
      std::vector<int> used;
      for (int i : observations) {
        const auto it = scene.poses.find(scene.observations[i].image);
        if (it == scene.poses.end())
          continue;
        poses.push_back(&it->second);
        x.push_back(scene.normalized(scene.observations[i]));
        used.push_back(i);
      }
      add_point(track, poses, x, used);
    }
  }

  // One view can be wrong: without each view in turn, when all of them do not agree.
  void add_point(int track, std::vector<const Pose *> poses, Points2 x, std::vector<int> used) {
    if (poses.size() < 2 || accept(track, poses, x, used) || poses.size() < 4)
      return;
    for (size_t i = 0; i < used.size(); i++) {
      std::vector<const Pose *> other_poses = poses;
      Points2 other_x = x;
      std::vector<int> other_used = used;
      other_poses.erase(other_poses.begin() + static_cast<long>(i));
      other_x.erase(other_x.begin() + static_cast<long>(i));
      other_used.erase(other_used.begin() + static_cast<long>(i));
      if (accept(track, other_poses, other_x, other_used)) {
        scene.observations[used[i]].outlier = true;
        return;
      }
    }
  }

  bool accept(int track, const std::vector<const Pose *> &poses, const Points2 &x,
              const std::vector<int> &used) {
    const auto point = triangulate(poses, x);
    if (!point)
      return false;
    double angle = 0;
    for (const Pose *p : poses)
      angle = std::max(angle, ray_angle(*point, poses[0]->centre(), p->centre()));
    if (angle < kMinAngle)
      return false;
    scene.points[track] = *point;
    for (int i : used) {
      if (scene.error(scene.observations[i]) < kTolerance)
        continue;
      scene.points.erase(track);
      return false;
    }
    return true;
  }

  // Least squares, then drop what does not fit: observations, and points with fewer than two.
  void adjust(bool refine_camera) {
    BundleOptions options;
    options.refine_camera = refine_camera;
    stats.bundle_iterations += bundle_adjust(&scene, options);
    std::map<int, int> good;
    for (Observation &o : scene.observations) {
      if (!scene.poses.count(o.image) || !scene.points.count(o.track))
        continue;
      o.outlier = scene.error(o) > kTolerance;
      good[o.track] += !o.outlier;
    }
    for (const auto &[track, n] : good)
      if (n < 2)
        scene.points.erase(track);
  }

  Scene &scene;
  ReconstructionStats stats;
  std::set<int> refused;
  std::mt19937 random{1};
};

} // namespace

ReconstructionStats reconstruct(Scene *scene) {
  return Builder(scene).run();
}
