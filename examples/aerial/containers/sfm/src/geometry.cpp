#include "geometry.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace {

constexpr int kTwoViewRounds = 300;
constexpr int kResectRounds = 300;

// Hartley's normalisation: centroid at 0, mean distance sqrt(2).
Eigen::Matrix3d conditioner(const Points2 &x) {
  Eigen::Vector2d mean = Eigen::Vector2d::Zero();
  for (const auto &p : x)
    mean += p / double(x.size());
  double distance = 0;
  for (const auto &p : x)
    distance += (p - mean).norm() / double(x.size());
  const double s = std::sqrt(2.0) / std::max(distance, 1e-12);
  Eigen::Matrix3d t;
  t << s, 0, -s * mean.x(), 0, s, -s * mean.y(), 0, 0, 1;
  return t;
}

double sampson(const Eigen::Matrix3d &e, const Eigen::Vector2d &a, const Eigen::Vector2d &b) {
  const Eigen::Vector3d ea = e * a.homogeneous();
  const Eigen::Vector3d eb = e.transpose() * b.homogeneous();
  const double value = b.homogeneous().dot(ea);
  return std::abs(value) / std::sqrt(ea.head<2>().squaredNorm() + eb.head<2>().squaredNorm());
}

std::vector<int> sample(int n, int k, std::mt19937 &random) {
  std::vector<int> picked;
  while (static_cast<int>(picked.size()) < k) {
    const int i = static_cast<int>(random() % static_cast<unsigned>(n));
    if (std::find(picked.begin(), picked.end(), i) == picked.end())
      picked.push_back(i);
  }
  return picked;
}

template <typename V>
std::vector<V> pick(const std::vector<V> &from, const std::vector<int> &which) {
  std::vector<V> out;
  for (int i : which)
    out.push_back(from[i]);
  return out;
}

std::vector<Pose> decompose(const Eigen::Matrix3d &e) {
  Eigen::JacobiSVD<Eigen::Matrix3d> svd(e, Eigen::ComputeFullU | Eigen::ComputeFullV);
  Eigen::Matrix3d u = svd.matrixU(), v = svd.matrixV(), w;
  if (u.determinant() < 0)
    u = -u;
  if (v.determinant() < 0)
    v = -v;
  w << 0, -1, 0, 1, 0, 0, 0, 0, 1;
  std::vector<Pose> poses;
  for (const Eigen::Matrix3d &turn : {Eigen::Matrix3d(w), Eigen::Matrix3d(w.transpose())})
    for (double sign : {1.0, -1.0})
      poses.push_back({u * turn * v.transpose(), sign * u.col(2)});
  return poses;
}

Pose resect_linear(const Points3 &world, const Points2 &x) {
  Eigen::MatrixXd a(2 * world.size(), 12);
  for (size_t i = 0; i < world.size(); i++) {
    const Eigen::Vector4d p = world[i].homogeneous();
    a.row(2 * i) << p.transpose(), 0, 0, 0, 0, -x[i].x() * p.transpose();
    a.row(2 * i + 1) << 0, 0, 0, 0, p.transpose(), -x[i].y() * p.transpose();
  }
  Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(a.transpose() * a);
  const Eigen::VectorXd h = solver.eigenvectors().col(0);
  Eigen::Matrix<double, 3, 4> m;
  m << h.segment<4>(0).transpose(), h.segment<4>(4).transpose(), h.segment<4>(8).transpose();
  if (m.leftCols<3>().determinant() < 0)
    m = -m;
  Eigen::JacobiSVD<Eigen::Matrix3d> svd(m.leftCols<3>(), Eigen::ComputeFullU | Eigen::ComputeFullV);
  Pose pose;
  pose.rotation = svd.matrixU() * svd.matrixV().transpose();
  pose.translation = m.col(3) / svd.singularValues().mean();
  return pose;
}

int count_resected(const Pose &pose, const Points3 &world, const Points2 &x, double tolerance,
                   std::vector<int> *which) {
  which->clear();
  for (size_t i = 0; i < world.size(); i++) {
    const Eigen::Vector3d p = pose.rotation * world[i] + pose.translation;
    if (p.z() > 0 && (p.hnormalized() - x[i]).norm() < tolerance)
      which->push_back(static_cast<int>(i));
  }
  return static_cast<int>(which->size());
}

} // namespace

Eigen::Matrix3d essential_from_pairs(const Points2 &a, const Points2 &b) {
  const Eigen::Matrix3d ta = conditioner(a), tb = conditioner(b);
  Eigen::MatrixXd m(a.size(), 9);
  for (size_t i = 0; i < a.size(); i++) {
    const Eigen::Vector3d p = ta * a[i].homogeneous(), q = tb * b[i].homogeneous();
    m.row(i) << q.x() * p.transpose(), q.y() * p.transpose(), q.z() * p.transpose();
  }
  Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(m.transpose() * m);
  const Eigen::VectorXd f = solver.eigenvectors().col(0);
  Eigen::Matrix3d e;
  e << f.segment<3>(0).transpose(), f.segment<3>(3).transpose(), f.segment<3>(6).transpose();
  e = tb.transpose() * e * ta;
  Eigen::JacobiSVD<Eigen::Matrix3d> svd(e, Eigen::ComputeFullU | Eigen::ComputeFullV);
  return svd.matrixU() * Eigen::Vector3d(1, 1, 0).asDiagonal() * svd.matrixV().transpose();
}

double ray_angle(const Eigen::Vector3d &point, const Eigen::Vector3d &c1, const Eigen::Vector3d &c2) {
  const double cosine = (point - c1).normalized().dot((point - c2).normalized());
  return std::acos(std::clamp(cosine, -1.0, 1.0));
}

std::optional<Eigen::Vector3d> triangulate(const std::vector<const Pose *> &poses, const Points2 &x) {
  Eigen::MatrixXd a(2 * poses.size(), 4);
  for (size_t i = 0; i < poses.size(); i++) {
    Eigen::Matrix<double, 3, 4> p;
    p << poses[i]->rotation, poses[i]->translation;
    a.row(2 * i) = x[i].x() * p.row(2) - p.row(0);
    a.row(2 * i + 1) = x[i].y() * p.row(2) - p.row(1);
  }
  Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(a.transpose() * a);
  const Eigen::Vector4d h = solver.eigenvectors().col(0);
  if (std::abs(h.w()) < 1e-12)
    return std::nullopt;
  const Eigen::Vector3d point = h.hnormalized();
  for (const Pose *pose : poses)
    if ((pose->rotation * point + pose->translation).z() <= 0)
      return std::nullopt;
  return point;
}

std::optional<TwoView> relative_pose(const Points2 &a, const Points2 &b, double tolerance,
                                     std::mt19937 &random) {
  const int n = static_cast<int>(a.size());
  if (n < 8)
    return std::nullopt;
  std::vector<int> best, now;
  const auto consensus = [&](const Eigen::Matrix3d &e) {
    now.clear();
    for (int i = 0; i < n; i++)
      if (sampson(e, a[i], b[i]) < tolerance)
        now.push_back(i);
    if (now.size() > best.size())
      best = now;
  };
  for (int round = 0; round < kTwoViewRounds; round++) {
    const std::vector<int> s = sample(n, 8, random);
    consensus(essential_from_pairs(pick(a, s), pick(b, s)));
  }
  if (best.size() < 8)
    return std::nullopt;
  for (int round = 0; round < 3; round++) {
    const std::vector<int> s = best;
    consensus(essential_from_pairs(pick(a, s), pick(b, s)));
  }

  const Pose first;
  TwoView result;
  for (const Pose &second : decompose(essential_from_pairs(pick(a, best), pick(b, best)))) {
    TwoView candidate{second, std::vector<bool>(n), 0, 0};
    std::vector<double> angles;
    for (int i : best) {
      const auto point = triangulate({&first, &second}, {a[i], b[i]});
      if (!point)
        continue;
      candidate.inlier[i] = true;
      candidate.inliers++;
      angles.push_back(ray_angle(*point, first.centre(), second.centre()));
    }
    if (candidate.inliers <= result.inliers)
      continue;
    std::nth_element(angles.begin(), angles.begin() + angles.size() / 2, angles.end());
    candidate.angle = angles[angles.size() / 2];
    result = candidate;
  }
  return result.inliers >= 8 ? std::optional<TwoView>(result) : std::nullopt;
}

std::optional<Pose> resect(const Points3 &world, const Points2 &x, double tolerance,
                           std::mt19937 &random) {
  const int n = static_cast<int>(world.size());
  if (n < 6)
    return std::nullopt;
  // Centred and scaled, or the linear solution loses its digits far from the origin.
  Eigen::Vector3d mean = Eigen::Vector3d::Zero();
  for (const auto &p : world)
    mean += p / double(n);
  double scale = 0;
  for (const auto &p : world)
    scale += (p - mean).norm() / double(n);
  Points3 near;
  for (const auto &p : world)
    near.push_back((p - mean) / scale);

  std::vector<int> best, now;
  Pose pose;
  const auto consider = [&](const std::vector<int> &s) {
    const Pose candidate = resect_linear(pick(near, s), pick(x, s));
    if (count_resected(candidate, near, x, tolerance, &now) > static_cast<int>(best.size())) {
      best = now;
      pose = candidate;
    }
  };
  for (int round = 0; round < kResectRounds; round++)
    consider(sample(n, 6, random));
  if (best.size() < 12)
    return std::nullopt;
  for (int round = 0; round < 3; round++)
    consider(std::vector<int>(best));
  pose.translation = pose.translation * scale - pose.rotation * mean;
  return pose;
}
