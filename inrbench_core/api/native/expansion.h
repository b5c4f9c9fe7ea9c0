// All functions phi_k of a basis at all points in one pass, and the gradient by the points in another.
//
// A plugin's .cpp has a struct for each family and names it by INRBENCH_EXPANSION:
//
//   template <typename T>
//   struct Family {
//     Family(const double* constants, long size);
//     // Values and slopes of all functions at POINTS points: value[k * POINTS + p] and slope[k * POINTS + p].
//     template <bool SLOPES>
//     void at(const T* x, T* value, T* slope) const;
//   };
//
// Points are the inner dimension of every loop and of the results, (I, K, N), which a matrix product with coefficients
// (O, I K) reads as they lie. A NaN among the points must reach its functions.
#pragma once

#include <algorithm>
#include <vector>

#include "vector_math.h"

namespace inrbench {

constexpr int POINTS = 128;

// Calls visit(input, first, count, x) for each block of points of each input; x has POINTS entries, zeros at its end.
template <typename T, typename Visit>
void each_block(long points, long inputs, const T* x, long point_stride, long input_stride, int threads, Visit visit) {
  const long blocks = (points + POINTS - 1) / POINTS;
#pragma omp parallel num_threads(threads)
  {
    auto body = visit();
    T columns[POINTS];
#pragma omp for schedule(static)
    for (long task = 0; task < blocks * inputs; ++task) {
      // In the order of memory, which is that of points or that of inputs.
      const long input = point_stride == 1 ? task / blocks : task % inputs;
      const long first = (point_stride == 1 ? task % blocks : task / inputs) * POINTS;
      const int count = static_cast<int>(std::min<long>(POINTS, points - first));
      const T* from = x + input * input_stride + first * point_stride;
      for (int p = 0; p < count; ++p) columns[p] = from[p * point_stride];
      for (int p = count; p < POINTS; ++p) columns[p] = 0;
      body(input, first, count, columns);
    }
  }
}

// phi[i, k, n] = scale[i, k] phi_k(x[n, i]); without a scale it is 1.
template <typename T, typename Family>
void expand(const double* constants, long size, long points, long inputs, const T* x, long point_stride,
            long input_stride, const T* scale, T* phi, int threads) {
  const Family family(constants, size);
  each_block(points, inputs, x, point_stride, input_stride, threads, [&] {
    return [&, value = std::vector<T>(size * POINTS)](long input, long first, int count, const T* columns) mutable {
      family.template at<false>(columns, value.data(), nullptr);
      for (long k = 0; k < size; ++k) {
        const T factor = scale ? scale[input * size + k] : T(1);
        const T* from = value.data() + k * POINTS;
        T* to = phi + (input * size + k) * points + first;
        for (int p = 0; p < count; ++p) to[p] = factor * from[p];
      }
    };
  });
}

// grad_x[i, n] = sum over k of grad[i, k, n] scale[i, k] phi_k'(x[n, i]).
template <typename T, typename Family>
void expand_gradient(const double* constants, long size, long points, long inputs, const T* x, long point_stride,
                     long input_stride, const T* scale, const T* grad, T* grad_x, int threads) {
  const Family family(constants, size);
  each_block(points, inputs, x, point_stride, input_stride, threads, [&] {
    return [&, value = std::vector<T>(size * POINTS), slope = std::vector<T>(size * POINTS)](
               long input, long first, int count, const T* columns) mutable {
      family.template at<true>(columns, value.data(), slope.data());
      T sum[POINTS] = {};
      for (long k = 0; k < size; ++k) {
        const T factor = scale ? scale[input * size + k] : T(1);
        const T* along = slope.data() + k * POINTS;
        const T* from = grad + (input * size + k) * points + first;
        for (int p = 0; p < count; ++p) sum[p] += factor * along[p] * from[p];
      }
      std::copy(sum, sum + count, grad_x + input * points + first);
    };
  });
}

}  // namespace inrbench

#define INRBENCH_EXPANSION_OF(name, Family, T)                                                                       \
  extern "C" void name##_##T##_expand(const double* constants, long size, long points, long inputs, const T* x,      \
                                      long point_stride, long input_stride, const T* scale, T* phi, int threads) {   \
    inrbench::expand<T, Family<T>>(constants, size, points, inputs, x, point_stride, input_stride, scale, phi,       \
                                   threads);                                                                         \
  }                                                                                                                  \
  extern "C" void name##_##T##_gradient(const double* constants, long size, long points, long inputs, const T* x,    \
                                        long point_stride, long input_stride, const T* scale, const T* grad,         \
                                        T* grad_x, int threads) {                                                    \
    inrbench::expand_gradient<T, Family<T>>(constants, size, points, inputs, x, point_stride, input_stride, scale,   \
                                            grad, grad_x, threads);                                                  \
  }
#define INRBENCH_EXPANSION(name, Family)   \
  INRBENCH_EXPANSION_OF(name, Family, float) \
  INRBENCH_EXPANSION_OF(name, Family, double)
