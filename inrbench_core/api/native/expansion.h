// All functions phi_k of a basis at all points in one pass, and the gradient by the points in another.
//
// A plugin's .cpp has a struct for each family and names it by INRBENCH_EXPANSION:
//
//   template <typename T>
//   struct Family {
//     Family(const double* parameters, long size);
//     // The functions at POINTS points: value[k * POINTS + p] and, if asked for, slope[k * POINTS + p].
//     template <bool SLOPES>
//     void at(const T* x, T* value, T* slope);
//   };
//
// Each thread has a Family of its own. A NaN among the points must reach their functions. For the name "name" there are
// name_values_float and name_slopes_float, the functions of tanh(x) as name_tanh_values_float and
// name_tanh_slopes_float, and all of them in double. Points are the inner dimension of every loop and array: x is
// (I, N), the values are (I, K, N), which a matrix product with coefficients (O, I K) reads as they lie.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "vector_math.h"

namespace inrbench {

constexpr int POINTS = 128;

// exp(-square/2), and 0 where it is under 2e-22: products of coefficients with less are denormal, which are slow.
template <typename T>
T bell(T square) {
  return square > 100 ? T(0) : gaussian(square);
}

// Copies a block of points, or their tanh; zeros follow the last point.
template <bool TANH, typename T>
void load(const T* x, int count, T* block) {
#pragma omp simd
  for (int p = 0; p < count; ++p) block[p] = TANH ? tanh(x[p]) : x[p];
  for (int p = count; p < POINTS; ++p) block[p] = 0;
}

// phi[i, k, n] = scale_k phi_k(x[i, n]). The scales are the first parameters, those of the family follow.
template <bool TANH, typename T, typename Family>
void values(const T* x, T* phi, int64_t inputs, int64_t points, int64_t size, const double* parameters, int threads) {
  const int64_t blocks = (points + POINTS - 1) / POINTS;
#pragma omp parallel num_threads(threads)
  {
    Family family(parameters + size, size);
    std::vector<T> value(size * POINTS);
    T block[POINTS];
#pragma omp for schedule(static)
    for (int64_t task = 0; task < blocks * inputs; ++task) {
      const int64_t input = task / blocks, first = task % blocks * POINTS;
      const int count = static_cast<int>(std::min<int64_t>(POINTS, points - first));
      load<TANH>(x + input * points + first, count, block);
      family.template at<false>(block, value.data(), nullptr);
      for (int64_t k = 0; k < size; ++k) {
        const T factor = parameters[k];
        const T* from = value.data() + k * POINTS;
        T* to = phi + (input * size + k) * points + first;
        for (int p = 0; p < count; ++p) to[p] = factor * from[p];
      }
    }
  }
}

// grad_x[i, n] = sum over k of grad[i, k, n] scale_k phi_k'(x[i, n]), k in order.
template <bool TANH, typename T, typename Family>
void slopes(const T* x, const T* grad, T* grad_x, int64_t inputs, int64_t points, int64_t size,
            const double* parameters, int threads) {
  const int64_t blocks = (points + POINTS - 1) / POINTS;
#pragma omp parallel num_threads(threads)
  {
    Family family(parameters + size, size);
    std::vector<T> value(size * POINTS), slope(size * POINTS);
    T block[POINTS];
#pragma omp for schedule(static)
    for (int64_t task = 0; task < blocks * inputs; ++task) {
      const int64_t input = task / blocks, first = task % blocks * POINTS;
      const int count = static_cast<int>(std::min<int64_t>(POINTS, points - first));
      load<TANH>(x + input * points + first, count, block);
      family.template at<true>(block, value.data(), slope.data());
      T sum[POINTS] = {};
      for (int64_t k = 0; k < size; ++k) {
        const T factor = parameters[k];
        const T* along = slope.data() + k * POINTS;
        const T* from = grad + (input * size + k) * points + first;
#pragma omp simd
        for (int p = 0; p < count; ++p) sum[p] += factor * along[p] * from[p];
      }
      T* to = grad_x + input * points + first;
      for (int p = 0; p < count; ++p) to[p] = TANH ? sum[p] * (1 - block[p] * block[p]) : sum[p];
    }
  }
}

}  // namespace inrbench

#define INRBENCH_EXPANSION_PASSES(name, Family, T, TANH)                                                            \
  extern "C" void name##_values_##T(const T* x, T* phi, int64_t inputs, int64_t points, int64_t size,               \
                                    const double* parameters, int threads) {                                        \
    inrbench::values<TANH, T, Family<T>>(x, phi, inputs, points, size, parameters, threads);                        \
  }                                                                                                                 \
  extern "C" void name##_slopes_##T(const T* x, const T* grad, T* grad_x, int64_t inputs, int64_t points,           \
                                    int64_t size, const double* parameters, int threads) {                          \
    inrbench::slopes<TANH, T, Family<T>>(x, grad, grad_x, inputs, points, size, parameters, threads);               \
  }
#define INRBENCH_EXPANSION(name, Family)                      \
  INRBENCH_EXPANSION_PASSES(name, Family, float, false)       \
  INRBENCH_EXPANSION_PASSES(name, Family, double, false)      \
  INRBENCH_EXPANSION_PASSES(name##_tanh, Family, float, true) \
  INRBENCH_EXPANSION_PASSES(name##_tanh, Family, double, true)
