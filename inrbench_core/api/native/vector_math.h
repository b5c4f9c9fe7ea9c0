// Elementary functions for loops that the compiler vectorises, which it does not do with calls of libm.
//
// Each is a template of float and double. In float they are polynomials after a range reduction, within 2 units in the
// last place of their result's largest magnitude near it (sine, cosine: 1e-7 absolute); the loop that calls them must
// carry "#pragma omp simd" or be one that the compiler vectorises by itself. In double they call libm: double is for
// checks, where being right counts and time does not.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

namespace inrbench {

// exp(x); 0 below -87.3 and exp(88.3) above 88.3 in float.
inline float exp(float x) {
  const float bounded = x < -87.3f ? -87.3f : (x > 88.3f ? 88.3f : x);
  const float n = __builtin_rintf(bounded * 1.44269504f);
  const float r = (bounded - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  const int32_t bits = (static_cast<int32_t>(n) + 127) << 23;
  float scale;
  std::memcpy(&scale, &bits, sizeof scale);
  // A NaN is no less than anything and comes through; minus infinity gives 0.
  return x < -87.3f ? 0.0f : p * scale;
}

inline double exp(double x) { return std::exp(x); }

// exp(-square/2) of square >= 0, for Gaussians: by 2^t with an exact reduction, at three quarters of the cost of exp.
inline float gaussian(float square) {
  const float t = square * -0.72134752f;
  const float bounded = -126.0f > t ? -126.0f : t;
  const float n = __builtin_rintf(bounded);
  const float r = bounded - n;
  float p = 1.5353362e-4f;
  p = p * r + 1.3398874e-3f;
  p = p * r + 9.6184373e-3f;
  p = p * r + 5.5503324e-2f;
  p = p * r + 2.4022648e-1f;
  p = p * r + 6.9314720e-1f;
  p = p * r + 1.0f;
  const int32_t bits = (static_cast<int32_t>(n) + 127) << 23;
  float scale;
  std::memcpy(&scale, &bits, sizeof scale);
  return p * scale;
}

inline double gaussian(double square) { return std::exp(-0.5 * square); }

// sin(x) and cos(x), x in rad. The reduction is done in double, so that it holds for |x| up to 1e9.
inline void sincos(float x, float* sine, float* cosine) {
  const double wide = static_cast<double>(x);
  const double n = __builtin_rint(wide * 0.63661977236758134308);
  const float r = static_cast<float>((wide - n * 1.57079632679489655800) - n * 6.12323399573676603587e-17);
  const int32_t quadrant = static_cast<int32_t>(static_cast<int64_t>(n) & 3);
  const float square = r * r;
  float s = 2.7183114939898219064e-6f;
  s = s * square - 1.98393348360966317347e-4f;
  s = s * square + 8.3333293858894631756e-3f;
  s = s * square - 1.66666666416265235595e-1f;
  s = s * square * r + r;
  float c = 2.43904487962774090654e-5f;
  c = c * square - 1.38867637746099294692e-3f;
  c = c * square + 4.16666233237390631894e-2f;
  c = c * square - 4.99999997251031003120e-1f;
  c = c * square + 1.0f;
  const bool swapped = quadrant & 1;
  const float first = swapped ? c : s;
  const float second = swapped ? s : c;
  *sine = quadrant & 2 ? -first : first;
  *cosine = (quadrant + 1) & 2 ? -second : second;
}

inline void sincos(double x, double* sine, double* cosine) {
  *sine = std::sin(x);
  *cosine = std::cos(x);
}

// 1/(1 + exp(-x)).
template <typename T>
inline T sigmoid(T x) {
  return T(1) / (T(1) + exp(-x));
}

}  // namespace inrbench
