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

// Calls work(family, input, first, count, block) for each block of points of each input, with a Family for each thread.
// The scales are the first of the parameters, those of the family follow.
template <bool TANH, typename T, typename Family, typename Work>
void each_block(int64_t inputs, int64_t points, int64_t size, const T* x, const double* parameters, int threads,
                Work work) {
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
      work(family, input, first, count, block, value.data(), slope.data());
    }
  }
}

// phi[i, k, n] = scale_k phi_k(x[i, n]).
template <bool TANH, typename T, typename Family>
void values(int64_t inputs, int64_t points, int64_t size, const T* x, const double* parameters, T* phi, int threads) {
  each_block<TANH, T, Family>(
      inputs, points, size, x, parameters, threads,
      [=](Family& family, int64_t input, int64_t first, int count, const T* block, T* value, T* slope) {
        family.template at<false>(block, value, slope);
        for (int64_t k = 0; k < size; ++k) {
          const T factor = parameters[k];
          const T* from = value + k * POINTS;
          T* to = phi + (input * size + k) * points + first;
          for (int p = 0; p < count; ++p) to[p] = factor * from[p];
        }
      });
}

// grad_x[i, n] = sum over k of grad[i, k, n] scale_k phi_k'(x[i, n]), k in order.
template <bool TANH, typename T, typename Family>
void slopes(int64_t inputs, int64_t points, int64_t size, const T* x, const T* grad, const double* parameters,
            T* grad_x, int threads) {
  each_block<TANH, T, Family>(
      inputs, points, size, x, parameters, threads,
      [=](Family& family, int64_t input, int64_t first, int count, const T* block, T* value, T* slope) {
        family.template at<true>(block, value, slope);
        T sum[POINTS] = {};
        for (int64_t k = 0; k < size; ++k) {
          const T factor = parameters[k];
          const T* along = slope + k * POINTS;
          const T* from = grad + (input * size + k) * points + first;
#pragma omp simd
          for (int p = 0; p < count; ++p) sum[p] += factor * along[p] * from[p];
        }
        T* to = grad_x + input * points + first;
        for (int p = 0; p < count; ++p) to[p] = TANH ? sum[p] * (1 - block[p] * block[p]) : sum[p];
      });
}

// Fills value and, if asked for, slope with what function(k, p), a Pair, gives for function k at point p.
template <bool SLOPES, typename T, typename Function>
void fill(long size, T* value, T* slope, Function function) {
  for (long k = 0; k < size; ++k) {
    T* to = value + k * POINTS;
    T* to_slope = slope + k * POINTS;
#pragma omp simd
    for (int p = 0; p < POINTS; ++p) {
      const Pair<T> pair = function(k, p);
      to[p] = pair.value;
      if (SLOPES) to_slope[p] = pair.slope;
    }
  }
}

}  // namespace inrbench

#define INRBENCH_EXPANSION_PASSES(name, Family, T, TANH)                                                            \
  extern "C" void name##_values_##T(int64_t inputs, int64_t points, int64_t size, const T* x,                       \
                                    const double* parameters, T* phi, int threads) {                                \
    inrbench::values<TANH, T, Family<T>>(inputs, points, size, x, parameters, phi, threads);                        \
  }                                                                                                                 \
  extern "C" void name##_slopes_##T(int64_t inputs, int64_t points, int64_t size, const T* x, const T* grad,        \
                                    const double* parameters, T* grad_x, int threads) {                             \
    inrbench::slopes<TANH, T, Family<T>>(inputs, points, size, x, grad, parameters, grad_x, threads);               \
  }
#define INRBENCH_EXPANSION(name, Family)                      \
  INRBENCH_EXPANSION_PASSES(name, Family, float, false)       \
  INRBENCH_EXPANSION_PASSES(name, Family, double, false)      \
  INRBENCH_EXPANSION_PASSES(name##_tanh, Family, float, true) \
  INRBENCH_EXPANSION_PASSES(name##_tanh, Family, double, true)
