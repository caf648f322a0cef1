#include "scene.h"

#include <cmath>
#include <fstream>
#include <limits>
#include <sstream>
#include <stdexcept>

#include "camera_model.h"

Eigen::Vector2d Scene::normalized(const Observation &o) const {
  const Eigen::Vector2d distorted = o.pixel / focal;
  Eigen::Vector2d x = distorted;
  for (int i = 0; i < 5; i++)
    x = distorted / (1 + radial * x.squaredNorm());
  return x;
}

double Scene::error(const Observation &o) const {
  const Pose &pose = poses.at(o.image);
  const Eigen::Vector3d p = pose.rotation * points.at(o.track) + pose.translation;
  if (p.z() <= 0)
    return std::numeric_limits<double>::infinity();
  Eigen::Vector2d pixel;
  project_camera(p.data(), focal, radial, pixel.data());
  return (pixel - o.pixel).norm();
}

double Scene::rms() const {
  double sum = 0;
  int n = 0;
  for (const Observation &o : observations) {
    if (o.outlier || !poses.count(o.image) || !points.count(o.track))
      continue;
    const double e = error(o);
    sum += e * e;
    n++;
  }
  return n ? std::sqrt(sum / n) : 0;
}

Scene read_scene(const std::string &path) {
  std::ifstream in(path);
  if (!in)
    throw std::runtime_error(path + ": cannot be read");
  Scene scene;
  std::string line, word;
  for (int number = 1; std::getline(in, line); number++) {
    std::istringstream fields(line);
    if (!(fields >> word) || word[0] == '#')
      continue;
    Observation o;
    int id;
    if (word == "camera" && fields >> scene.focal && scene.focal > 0)
      continue;
    if (word == "image" && fields >> id && id == scene.images) {
      scene.images++;
      scene.of_image.emplace_back();
      continue;
    }
    if (word == "obs" && fields >> o.image >> o.track >> o.pixel.x() >> o.pixel.y() && o.image >= 0 &&
        o.image < scene.images) {
      scene.of_image[o.image].push_back(static_cast<int>(scene.observations.size()));
      scene.of_track[o.track].push_back(static_cast<int>(scene.observations.size()));
      scene.observations.push_back(o);
      continue;
    }
    throw std::runtime_error(path + ":" + std::to_string(number) + ": not understood: " + line);
  }
  if (scene.focal <= 0)
    throw std::runtime_error(path + ": no camera record");
  return scene;
}

void write_poses(const Scene &scene, const std::string &path) {
  std::ofstream out(path);
  out.precision(12);
  out << "{\"focal\": " << scene.focal << ", \"radial\": " << scene.radial << ", \"centres\": {";
  const char *comma = "";
  for (const auto &[image, pose] : scene.poses) {
    const Eigen::Vector3d c = pose.centre();
    out << comma << "\"" << image << "\": [" << c.x() << ", " << c.y() << ", " << c.z() << "]";
    comma = ", ";
  }
  out << "}}\n";
  if (!out)
    throw std::runtime_error(path + ": cannot be written");
}

void write_points(const Scene &scene, const std::string &path) {
  std::ofstream out(path);
  out << "ply\nformat ascii 1.0\nelement vertex " << scene.points.size()
      << "\nproperty float x\nproperty float y\nproperty float z\nend_header\n";
  for (const auto &[track, p] : scene.points)
    out << p.x() << " " << p.y() << " " << p.z() << "\n";
  if (!out)
    throw std::runtime_error(path + ": cannot be written");
}
