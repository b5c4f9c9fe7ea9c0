// cos(w x), then sin(w x), w = 1..K/2, from one sine and cosine by angle addition. There are no parameters.
#include "expansion.h"

namespace {

using inrbench::POINTS;

template <typename T>
struct Fourier {
  long grid;

  Fourier(const double*, long size) : grid(size / 2) {}

  template <bool SLOPES>
  void at(const T* x, T* value, T* slope) {
    T* cosines = value;
    T* sines = value + grid * POINTS;
#pragma omp simd
    for (int p = 0; p < POINTS; ++p) inrbench::sincos(x[p], &sines[p], &cosines[p]);
    for (long w = 2; w <= grid; ++w) {
      const long last = (w - 2) * POINTS, next = last + POINTS;
#pragma omp simd
      for (int p = 0; p < POINTS; ++p) {
        const T c = cosines[last + p], s = sines[last + p];
        cosines[next + p] = c * cosines[p] - s * sines[p];
        sines[next + p] = s * cosines[p] + c * sines[p];
      }
    }
    if (!SLOPES) return;
    for (long w = 1; w <= grid; ++w) {
      const long row = (w - 1) * POINTS;
      for (int p = 0; p < POINTS; ++p) {
        slope[row + p] = -w * sines[row + p];
        slope[grid * POINTS + row + p] = w * cosines[row + p];
      }
    }
  }
};

}  // namespace

INRBENCH_EXPANSION(fourier, Fourier)
