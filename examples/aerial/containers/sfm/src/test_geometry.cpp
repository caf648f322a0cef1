// Tests of geometry.cpp on exact data: what goes in must come out.
#include <cstdio>
#include <random>

#include "geometry.h"

namespace {

int failed = 0;

void check(bool ok, const char *what) {
  std::printf("%s %s\n", ok ? "ok    " : "FAILED", what);
  failed += !ok;
}

Pose camera(double x, double y, double turn) {
  Pose pose;
  pose.rotation = Eigen::AngleAxisd(turn, Eigen::Vector3d(0.2, 0.3, 1).normalized()).matrix();
  pose.translation = -pose.rotation * Eigen::Vector3d(x, y, 0);
  return pose;
}

Eigen::Vector2d see(const Pose &pose, const Eigen::Vector3d &p) {
  return (pose.rotation * p + pose.translation).hnormalized();
}

} // namespace

int main() {
  std::mt19937 random(7);
  std::uniform_real_distribution<double> side(-3, 3), depth(6, 10);
  const Pose first, second = camera(1, 0.5, 0.1), third = camera(-0.5, 1, -0.2);
  Points3 world;
  Points2 a, b, c;
  for (int i = 0; i < 60; i++) {
    world.emplace_back(side(random), side(random), depth(random));
    a.push_back(see(first, world[i]));
    b.push_back(see(second, world[i]));
    c.push_back(see(third, world[i]));
  }

  const Eigen::Matrix3d e = essential_from_pairs(a, b);
  double worst = 0;
  for (size_t i = 0; i < a.size(); i++)
    worst = std::max(worst, std::abs(b[i].homogeneous().dot(e * a[i].homogeneous())));
  check(worst < 1e-9, "epipolar constraint holds");

  b[3] += Eigen::Vector2d(0.2, -0.1);
  const auto view = relative_pose(a, b, 1e-4, random);
  check(view && view->inliers == 59 && !view->inlier[3], "relative pose finds the one outlier");
  check(view && (view->second.rotation - second.rotation).norm() < 1e-6, "relative rotation");
  check(view && (view->second.translation - second.translation.normalized()).norm() < 1e-6,
        "relative translation");

  const auto point = triangulate({&first, &third}, {a[5], c[5]});
  check(point && (*point - world[5]).norm() < 1e-9, "triangulation");

  c[7] += Eigen::Vector2d(0.3, 0);
  const auto pose = resect(world, c, 1e-4, random);
  check(pose && (pose->rotation - third.rotation).norm() < 1e-6 &&
            (pose->centre() - third.centre()).norm() < 1e-6,
        "resection in spite of an outlier");
  return failed ? 1 : 0;
}
