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

// A function and its derivative at one point.
template <typename T>
struct Pair {
  T value, slope;
};

// exp(x); 0 below -87.3 and exp(88.3) above 88.3 in float.
inline float exp(float x) {
  // In this order each is one instruction, and a NaN comes through.
  const float below = 88.3f < x ? 88.3f : x;
  const float bounded = -87.3f > below ? -87.3f : below;
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
  return x < -87.3f ? 0.0f : p * scale;
}

inline double exp(double x) { return std::exp(x); }

// exp(-square/2) of square >= 0, for Gaussians: by 2^t with an exact reduction, at three quarters of the cost of exp.
// No less than 8e-31: products with smaller ones would be denormal, which are slow.
inline float gaussian(float square) {
  const float t = square * -0.72134752f;
  const float bounded = -100.0f > t ? -100.0f : t;
  const float n = __builtin_rintf(bounded);
  const float r = bounded - n;
  float p = 1.339086336e-03f;
  p = p * r + 9.676031918e-03f;
  p = p * r + 5.550357114e-02f;
  p = p * r + 2.402210749e-01f;
  p = p * r + 6.931471880e-01f;
  p = p * r + 1.000000000e+00f;
  const int32_t bits = (static_cast<int32_t>(n) + 127) << 23;
  float scale;
  std::memcpy(&scale, &bits, sizeof scale);
  return p * scale;
}

inline double gaussian(double square) { return std::exp(-0.5 * square); }

// x, or -x where flip is 2; else flip is 0.
inline float with_sign(float x, int32_t flip) {
  int32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  bits ^= flip << 30;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}

// sin and cos of r + quadrant pi/2, |r| <= pi/4.
inline void sincos_reduced(float r, int32_t quadrant, float* sine, float* cosine) {
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
  *sine = with_sign(swapped ? c : s, quadrant & 2);
  *cosine = with_sign(swapped ? s : c, (quadrant + 1) & 2);
}

// sin(x) and cos(x), x in rad. The reduction is done in double, so that it holds for |x| up to 1e9.
inline void sincos(float x, float* sine, float* cosine) {
  const double wide = static_cast<double>(x);
  const double n = __builtin_rint(wide * 0.63661977236758134308);
  const float r = static_cast<float>((wide - n * 1.57079632679489655800) - n * 6.12323399573676603587e-17);
  sincos_reduced(r, static_cast<int32_t>(static_cast<int64_t>(n) & 3), sine, cosine);
}

inline void sincos(double x, double* sine, double* cosine) {
  *sine = std::sin(x);
  *cosine = std::cos(x);
}

// As sincos, at two thirds of its cost: for |x| up to 1e5, which in float are 16,000 turns; some values within [-1, 1]
// beyond.
inline void sincos_near(float x, float* sine, float* cosine) {
  const float n = __builtin_rintf(x * 0.63661977236758134308f);
  // Each product is exact within its fused multiply-add.
  float r = __builtin_fmaf(n, -1.57079637050628662109f, x);
  r = __builtin_fmaf(n, 4.37113900018624283e-8f, r);
  r = __builtin_fmaf(n, 1.71512451e-15f, r);
  const float below = 0.7853982f < r ? 0.7853982f : r;
  r = -0.7853982f > below ? -0.7853982f : below;
  sincos_reduced(r, static_cast<int32_t>(n), sine, cosine);
}

inline void sincos_near(double x, double* sine, double* cosine) { sincos(x, sine, cosine); }

// tanh(x).
inline float tanh(float x) {
  const float square = x * x;
  float near = -5.70498872745e-3f;
  near = near * square + 2.06390887954e-2f;
  near = near * square - 5.37397155531e-2f;
  near = near * square + 1.33314422036e-1f;
  near = near * square - 3.33332819422e-1f;
  near = near * square * x + x;
  const float far = 1.0f - 2.0f / (exp(2.0f * x) + 1.0f);
  return square < 0.390625f ? near : far;
}

inline double tanh(double x) { return std::tanh(x); }

// 1/(1 + exp(-x)).
template <typename T>
inline T sigmoid(T x) {
  return T(1) / (T(1) + exp(-x));
}

}  // namespace inrbench
