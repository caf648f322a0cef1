#include "bundle.h"

#include <array>

#include <ceres/ceres.h>
#include <ceres/rotation.h>

#include "camera_model.h"

namespace {

struct Reprojection {
  explicit Reprojection(const Eigen::Vector2d &seen) : seen(seen) {}

  template <typename T>
  bool operator()(const T *pose, const T *point, const T *camera, T *residual) const {
    T p[3];
    ceres::AngleAxisRotatePoint(pose, point, p);
    for (int i = 0; i < 3; i++)
      p[i] += pose[3 + i];
    project_camera(p, camera[0], camera[1], residual);
    residual[0] -= T(seen.x());
    residual[1] -= T(seen.y());
    return true;
  }

  Eigen::Vector2d seen;
};

using PoseBlock = std::array<double, 6>; // angle-axis, translation

PoseBlock to_block(const Pose &pose) {
  PoseBlock block;
  ceres::RotationMatrixToAngleAxis(pose.rotation.data(), block.data());
  Eigen::Map<Eigen::Vector3d>(block.data() + 3) = pose.translation;
  return block;
}

Pose to_pose(const PoseBlock &block) {
  Pose pose;
  ceres::AngleAxisToRotationMatrix(block.data(), pose.rotation.data());
  pose.translation = Eigen::Map<const Eigen::Vector3d>(block.data() + 3);
  return pose;
}

} // namespace

int bundle_adjust(Scene *scene, const BundleOptions &options) {
  std::map<int, PoseBlock> blocks;
  for (const auto &[image, pose] : scene->poses)
    blocks[image] = to_block(pose);
  double camera[2] = {scene->focal, scene->radial};

  ceres::Problem problem;
  const bool alone = options.only_image >= 0;
  for (const Observation &o : scene->observations) {
    if (o.outlier || (alone && o.image != options.only_image))
      continue;
    const auto point = scene->points.find(o.track);
    if (point == scene->points.end() || !blocks.count(o.image))
      continue;
    problem.AddResidualBlock(
        new ceres::AutoDiffCostFunction<Reprojection, 2, 6, 3, 2>(new Reprojection(o.pixel)),
        new ceres::HuberLoss(2.0), blocks[o.image].data(), point->second.data(), camera);
    if (alone)
      problem.SetParameterBlockConstant(point->second.data());
  }
  if (problem.NumResidualBlocks() == 0)
    return 0;
  if (!options.refine_camera)
    problem.SetParameterBlockConstant(camera);
  if (!alone) // the first camera holds the world in its place
    problem.SetParameterBlockConstant(blocks.begin()->second.data());

  ceres::Solver::Options solver;
  solver.linear_solver_type = alone ? ceres::DENSE_QR : ceres::SPARSE_SCHUR;
  solver.max_num_iterations = options.iterations;
  solver.num_threads = 1; // the same result on every machine
  solver.logging_type = ceres::SILENT;
  ceres::Solver::Summary summary;
  ceres::Solve(solver, &problem, &summary);

  for (auto &[image, pose] : scene->poses)
    if (!alone || image == options.only_image)
      pose = to_pose(blocks[image]);
  scene->focal = camera[0];
  scene->radial = camera[1];
  return static_cast<int>(summary.iterations.size());
}
