// The camera model: a point in front of the camera to a pixel.
//
// Pinhole with one radial coefficient; pixels count from the principal point.
#pragma once

template <typename T>
void project_camera(const T point[3], const T &focal, const T &radial, T pixel[2]) {
  const T x = point[0] / point[2];
  const T y = point[1] / point[2];
  const T scale = focal * (T(1) + radial * (x * x + y * y));
  pixel[0] = scale * x;
  pixel[1] = scale * y;
}
