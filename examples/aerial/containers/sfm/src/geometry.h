// Two-view geometry, triangulation and resection in normalised coordinates
// (pixels divided by the focal length, distortion removed).
#pragma once

#include <optional>
#include <random>
#include <vector>

#include <Eigen/Dense>

#include "scene.h"

using Points2 = std::vector<Eigen::Vector2d>;
using Points3 = std::vector<Eigen::Vector3d>;

// The essential matrix E with b' E a = 0, from eight or more pairs.
Eigen::Matrix3d essential_from_pairs(const Points2 &a, const Points2 &b);

struct TwoView {
  Pose second;              // the first camera is the origin; |translation| = 1
  std::vector<bool> inlier; // by pair
  int inliers = 0;
  double angle = 0; // median angle between the rays of the inliers, radians
};

// Robust relative pose. tolerance: Sampson distance in normalised units.
// Nothing when fewer than 8 pairs agree.
std::optional<TwoView> relative_pose(const Points2 &a, const Points2 &b, double tolerance,
                                     std::mt19937 &random);

// Linear triangulation from two or more views; nothing when it lies behind one of them.
std::optional<Eigen::Vector3d> triangulate(const std::vector<const Pose *> &poses, const Points2 &x);

// Robust camera pose from points and where they are seen; six or more needed.
// tolerance: reprojection distance in normalised units.
std::optional<Pose> resect(const Points3 &world, const Points2 &x, double tolerance,
                           std::mt19937 &random);

// Angle at `point` between the rays to two camera centres, radians.
double ray_angle(const Eigen::Vector3d &point, const Eigen::Vector3d &c1, const Eigen::Vector3d &c2);
