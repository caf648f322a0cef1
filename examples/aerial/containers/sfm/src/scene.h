// What is known and what is found: images, tracks, observations, poses and points.
//
// The input is a text file, one record a line:
//   camera FOCAL              first guess, pixels
//   image ID                  ids count from 0
//   obs IMAGE TRACK X Y       pixels from the principal point
// The output is JSON (poses) and PLY (points).
#pragma once

#include <map>
#include <string>
#include <vector>

#include <Eigen/Dense>

struct Observation {
  int image;
  int track;
  Eigen::Vector2d pixel;
  bool outlier = false;
};

// World to camera: x_camera = rotation * x_world + translation.
struct Pose {
  Eigen::Matrix3d rotation = Eigen::Matrix3d::Identity();
  Eigen::Vector3d translation = Eigen::Vector3d::Zero();

  Eigen::Vector3d centre() const { return -rotation.transpose() * translation; }
};

struct Scene {
  double focal = 0;
  double radial = 0;
  int images = 0;
  std::vector<Observation> observations;
  std::map<int, Pose> poses;                // by image; only those registered
  std::map<int, Eigen::Vector3d> points;    // by track; only those triangulated
  std::vector<std::vector<int>> of_image;   // observations of an image
  std::map<int, std::vector<int>> of_track; // observations of a track

  // The pixel in units of the focal length, without distortion.
  Eigen::Vector2d normalized(const Observation &o) const;
  // Distance of the observation from where its point projects to, in pixels;
  // infinite behind the camera.
  double error(const Observation &o) const;
  // Root mean square of error() over the observations that are no outliers.
  double rms() const;
};

// Throw std::runtime_error with the line that is wrong.
Scene read_scene(const std::string &path);
void write_poses(const Scene &scene, const std::string &path);
void write_points(const Scene &scene, const std::string &path);
