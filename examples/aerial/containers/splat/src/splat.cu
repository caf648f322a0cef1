// splat - fit Gaussians to an image by gradient descent; the smallest form of splatting.
//
// usage: splat --self-test | splat OUT.pgm [GAUSSIANS] [STEPS]
//
// One source for both worlds: nvcc builds the kernels for the GPU, a C++ compiler the same
// functions for the CPU. With nvcc, a machine without a device falls back to the CPU too.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#ifdef __CUDACC__
#define ANYWHERE __host__ __device__
#else
#define ANYWHERE
#endif

constexpr int kSize = 64;   // pixels a side
constexpr int kParams = 5;  // x, y (pixels), log sigma x, log sigma y, weight

struct Gaussian {
  float p[kParams];
};

ANYWHERE inline float value(const Gaussian &g, float x, float y) {
  const float u = (x - g.p[0]) * expf(-g.p[2]);
  const float v = (y - g.p[1]) * expf(-g.p[3]);
  return g.p[4] * expf(-0.5f * (u * u + v * v));
}

// The picture at one pixel.
ANYWHERE inline float render_pixel(const Gaussian *g, int n, int pixel) {
  float sum = 0;
  for (int i = 0; i < n; i++)
    sum += value(g[i], float(pixel % kSize), float(pixel / kSize));
  return sum;
}

// The derivative of the loss, the mean of (render - target)^2, by one Gaussian.
ANYWHERE inline void gradient(const Gaussian &g, const float *difference, float out[kParams]) {
  const float sx = expf(-g.p[2]), sy = expf(-g.p[3]);
  for (int k = 0; k < kParams; k++)
    out[k] = 0;
  for (int pixel = 0; pixel < kSize * kSize; pixel++) {
    const float x = float(pixel % kSize), y = float(pixel / kSize);
    const float u = (x - g.p[0]) * sx;
    const float v = (y - g.p[1]) * sy;
    const float shape = expf(-0.5f * (u * u + v * v));
    const float d = 2.0f * difference[pixel] / float(kSize * kSize);
    out[0] += d * g.p[4] * shape * u * sx;
    out[1] += d * g.p[4] * shape * v * sy;
    out[2] += d * g.p[4] * shape * u * u;
    out[3] += d * g.p[4] * shape * v * v;
    out[4] += d * shape;
  }
}

// Where the work is done. difference = render - target; gradients: one per Gaussian.
struct Device {
  virtual ~Device() = default;
  virtual const char *name() const = 0;
  virtual void step(const std::vector<Gaussian> &g, const std::vector<float> &target,
                    std::vector<float> *difference, std::vector<Gaussian> *gradients) = 0;
};

struct Cpu : Device {
  const char *name() const override { return "CPU"; }
  void step(const std::vector<Gaussian> &g, const std::vector<float> &target,
            std::vector<float> *difference, std::vector<Gaussian> *gradients) override {
    for (int i = 0; i < kSize * kSize; i++)
      (*difference)[i] = render_pixel(g.data(), int(g.size()), i) - target[i];
    for (size_t i = 0; i < g.size(); i++)
      gradient(g[i], difference->data(), (*gradients)[i].p);
  }
};

#ifdef __CUDACC__
__global__ void render_kernel(const Gaussian *g, int n, const float *target, float *difference) {
  const int i = int(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < kSize * kSize)
    difference[i] = render_pixel(g, n, i) - target[i];
}

__global__ void gradient_kernel(const Gaussian *g, int n, const float *difference, Gaussian *out) {
  const int i = int(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < n)
    gradient(g[i], difference, out[i].p);
}

struct Gpu : Device {
  const char *name() const override { return "GPU"; }
  void step(const std::vector<Gaussian> &g, const std::vector<float> &target,
            std::vector<float> *difference, std::vector<Gaussian> *gradients) override {
    const size_t bytes = g.size() * sizeof(Gaussian), image = kSize * kSize * sizeof(float);
    Gaussian *dg, *dout;
    float *dt, *dd;
    cudaMalloc(&dg, bytes);
    cudaMalloc(&dout, bytes);
    cudaMalloc(&dt, image);
    cudaMalloc(&dd, image);
    cudaMemcpy(dg, g.data(), bytes, cudaMemcpyHostToDevice);
    cudaMemcpy(dt, target.data(), image, cudaMemcpyHostToDevice);
    render_kernel<<<kSize * kSize / 256, 256>>>(dg, int(g.size()), dt, dd);
    gradient_kernel<<<(int(g.size()) + 63) / 64, 64>>>(dg, int(g.size()), dd, dout);
    cudaMemcpy(difference->data(), dd, image, cudaMemcpyDeviceToHost);
    cudaMemcpy(gradients->data(), dout, bytes, cudaMemcpyDeviceToHost);
    cudaFree(dg);
    cudaFree(dout);
    cudaFree(dt);
    cudaFree(dd);
  }
};
#endif

static Device *pick_device() {
#ifdef __CUDACC__
  int devices = 0;
  if (cudaGetDeviceCount(&devices) == cudaSuccess && devices > 0)
    return new Gpu;
#endif
  return new Cpu;
}

// A field with a track and two houses, seen from above.
static std::vector<float> make_target() {
  std::vector<float> t(kSize * kSize);
  for (int y = 0; y < kSize; y++)
    for (int x = 0; x < kSize; x++) {
      float v = 0.35f + 0.15f * std::sin(x * 0.11f) * std::cos(y * 0.09f);
      v += 0.35f * std::exp(-0.5f * std::pow((x - 0.6f * y - 10) / 3.0f, 2.0f));
      v += x > 40 && x < 52 && y > 8 && y < 20 ? 0.25f : 0;
      v += x > 8 && x < 18 && y > 42 && y < 54 ? 0.2f : 0;
      t[y * kSize + x] = v;
    }
  return t;
}

static std::vector<Gaussian> start_grid(int side) {
  std::vector<Gaussian> g;
  const float pitch = float(kSize) / side;
  for (int i = 0; i < side * side; i++)
    g.push_back({{(i % side + 0.5f) * pitch, (i / side + 0.5f) * pitch, std::log(pitch * 0.7f),
                  std::log(pitch * 0.7f), 0.2f}});
  return g;
}

static double psnr(const std::vector<float> &difference) {
  double sum = 0;
  for (float d : difference)
    sum += double(d) * d;
  return -10 * std::log10(sum / double(difference.size()));
}

// Adam; returns the PSNR in dB before the last step.
static double fit(Device *device, const std::vector<float> &target, std::vector<Gaussian> *g, int steps) {
  const float rate[kParams] = {0.15f, 0.15f, 0.02f, 0.02f, 0.01f};
  std::vector<Gaussian> grad(g->size()), m(g->size()), s(g->size());
  std::vector<float> difference(target.size());
  for (int t = 1; t <= steps; t++) {
    device->step(*g, target, &difference, &grad);
    for (size_t i = 0; i < g->size(); i++)
      for (int k = 0; k < kParams; k++) {
        const float d = grad[i].p[k];
        m[i].p[k] = 0.9f * m[i].p[k] + 0.1f * d;
        s[i].p[k] = 0.99f * s[i].p[k] + 0.01f * d * d;
        const float mean = m[i].p[k] / (1 - std::pow(0.9f, t));
        const float square = s[i].p[k] / (1 - std::pow(0.99f, t));
        (*g)[i].p[k] -= rate[k] * mean / (std::sqrt(square) + 1e-8f);
      }
  }
  return psnr(difference);
}

// The largest difference between gradient() and central differences, relative to the largest.
static double gradient_error(const std::vector<float> &target) {
  std::vector<Gaussian> g = start_grid(3);
  std::vector<float> difference(target.size());
  std::vector<Gaussian> grad(g.size()), unused(g.size());
  Cpu cpu;
  cpu.step(g, target, &difference, &grad);
  const auto loss = [&] {
    double sum = 0;
    for (int i = 0; i < kSize * kSize; i++)
      sum += std::pow(double(render_pixel(g.data(), int(g.size()), i)) - target[i], 2);
    return sum / (kSize * kSize);
  };
  double worst = 0, largest = 0;
  for (int k = 0; k < kParams; k++) {
    const float h = 1e-2f, at = g[4].p[k];
    g[4].p[k] = at + h;
    const double above = loss();
    g[4].p[k] = at - h;
    const double below = loss();
    g[4].p[k] = at;
    worst = std::fmax(worst, std::fabs((above - below) / (2 * h) - grad[4].p[k]));
    largest = std::fmax(largest, std::fabs(grad[4].p[k]));
  }
  return worst / largest;
}

static int self_test() {
  Device *device = pick_device();
  const std::vector<float> target = make_target();
  std::vector<Gaussian> g = start_grid(10);
  const double before = fit(device, target, &g, 1);
  const double after = fit(device, target, &g, 120);
  const double error = gradient_error(target);
  int failed = 0;
  const auto check = [&](bool ok, const char *what, double v) {
    std::printf("%-6s %s = %.4g\n", ok ? "ok" : "FAILED", what, v);
    failed += !ok;
  };
  std::printf("device = %s\n", device->name());
  check(before > 5 && before < 20, "psnr_before_db", before);
  check(after > 28, "psnr_after_db", after);
  check(error < 0.01, "gradient_error", error);
  std::printf("self-test splat: %d passed, %d failed\n", 3 - failed, failed);
  delete device;
  return failed ? 1 : 0;
}

static int write_picture(const char *path, int side, int steps) {
  Device *device = pick_device();
  std::vector<Gaussian> g = start_grid(side);
  const double quality = fit(device, make_target(), &g, steps);
  FILE *out = std::fopen(path, "wb");
  if (!out) {
    std::perror(path);
    return 1;
  }
  std::fprintf(out, "P5\n%d %d\n255\n", kSize, kSize);
  for (int i = 0; i < kSize * kSize; i++)
    std::fputc(int(255 * std::fmin(1.0f, std::fmax(0.0f, render_pixel(g.data(), int(g.size()), i)))), out);
  std::fclose(out);
  std::printf("%s: %zu Gaussians, %d steps on the %s, %.1f dB\n", path, g.size(), steps, device->name(), quality);
  delete device;
  return 0;
}

int main(int argc, char **argv) {
  if (argc == 2 && std::strcmp(argv[1], "--self-test") == 0)
    return self_test();
  if (argc < 2 || argv[1][0] == '-') {
    std::fprintf(stderr, "usage: splat --self-test | splat OUT.pgm [GAUSSIANS A SIDE] [STEPS]\n");
    return 2;
  }
  return write_picture(argv[1], argc > 2 ? std::atoi(argv[2]) : 10, argc > 3 ? std::atoi(argv[3]) : 120);
}
