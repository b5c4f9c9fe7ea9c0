// p_n = (a_n x + b_n) p_{n-1} + c_n p_{n-2}, and its derivative by the derived rule. The parameters are whether
// exp(-x^2/2) multiplies p_0 (1) or not (0), p_0, and a_n, b_n, c_n for each n from 1 on; c_1 is not used.
#include "expansion.h"

namespace {

using inrbench::POINTS;

template <typename T>
struct Recurrence {
  bool gaussian;
  T first;
  std::vector<T> steps;
  long size;

  Recurrence(const double* parameters, long count)
      : gaussian(parameters[0] != 0), first(parameters[1]), steps(parameters + 2, parameters + 3 * count - 1), size(count) {}

  template <bool SLOPES>
  void at(const T* x, T* value, T* slope) {
    for (int p = 0; p < POINTS; ++p) value[p] = first;
    if (gaussian) {
#pragma omp simd
      for (int p = 0; p < POINTS; ++p) value[p] = first * inrbench::bell(x[p] * x[p]);
    }
    if (SLOPES) {
      for (int p = 0; p < POINTS; ++p) slope[p] = gaussian ? -x[p] * value[p] : T(0);
    }
    for (long n = 1; n < size; ++n) {
      const T a = steps[3 * n - 3], b = steps[3 * n - 2], c = n > 1 ? steps[3 * n - 1] : T(0);
      const long last = (n - 1) * POINTS, before = n > 1 ? last - POINTS : last;
      T* next = value + n * POINTS;
#pragma omp simd
      for (int p = 0; p < POINTS; ++p) next[p] = (a * x[p] + b) * value[last + p] + c * value[before + p];
      if (SLOPES) {
        T* next_slope = slope + n * POINTS;
#pragma omp simd
        for (int p = 0; p < POINTS; ++p) {
          next_slope[p] = a * value[last + p] + (a * x[p] + b) * slope[last + p] + c * slope[before + p];
        }
      }
    }
  }
};

}  // namespace

INRBENCH_EXPANSION(recurrence, Recurrence)
