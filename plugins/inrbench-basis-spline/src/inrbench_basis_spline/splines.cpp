// B-splines on uniform knots, these with Gaussians added, and hats: the functions of bspline.py, bsrbf.py and hats.py.
#include "expansion.h"

namespace {

using inrbench::Pair;
using inrbench::POINTS;

template <typename T>
T relu(T x) {
  return x < 0 ? T(0) : x;  // A NaN stays.
}

// Parameters: grid, order.
template <typename T>
struct Splines {
  long grid, order, size;
  T spacing;
  T offset[POINTS];
  std::vector<T> lower;

  Splines(const double* parameters, long count)
      : grid(parameters[0]), order(parameters[1]), size(count), spacing(2 / parameters[0]),
        lower((grid + 2 * order) * POINTS) {}

  template <bool SLOPES>
  void at(const T* x, T* value, T* slope) {
    const T low = -1 - order * spacing;
    for (int p = 0; p < POINTS; ++p) offset[p] = (x[p] - low) / spacing;
    if (order == 3) {
      cubic<SLOPES>(value, slope);
    } else {
      any_order<SLOPES>(value, slope);
    }
  }

  template <bool SLOPES>
  void cubic(T* value, T* slope) {
    const T half = 1 / (2 * spacing);
    inrbench::fill<SLOPES>(size, value, slope, [&](long k, int p) -> Pair<T> {
      const T u = offset[p] - static_cast<T>(k + 2);
      const T outer = relu(2 - std::abs(u)), inner = relu(outer - 1);
      const T steepness = half * (outer * outer - 4 * inner * inner);
      return {(outer * outer * outer - 4 * inner * inner * inner) * T(1.0 / 6), u < 0 ? steepness : -steepness};
    });
  }

  // Cox-de Boor; on uniform knots every denominator is p, and the derivative is a difference of lower order.
  template <bool SLOPES>
  void any_order(T* value, T* slope) {
    T* splines = lower.data();
    for (long k = 0; k < grid + 2 * order; ++k) {
      const T first = k;
#pragma omp simd
      for (int p = 0; p < POINTS; ++p) {
        splines[k * POINTS + p] = offset[p] - first >= 0 && offset[p] - first < 1 ? T(1) : T(0);
      }
    }
    for (long k = 0; SLOPES && k < size; ++k) std::fill_n(slope + k * POINTS, POINTS, T(0));
    for (long degree = 1; degree <= order; ++degree) {
      const T inverse = T(1) / degree, width = degree + 1, steepness = 1 / spacing;
      for (long k = 0; k < grid + 2 * order - degree; ++k) {
        const T first = k;
        T* here = splines + k * POINTS;
        const T* next = here + POINTS;
        if (SLOPES && degree == order) {
          T* to_slope = slope + k * POINTS;
#pragma omp simd
          for (int p = 0; p < POINTS; ++p) to_slope[p] = steepness * (here[p] - next[p]);
        }
#pragma omp simd
        for (int p = 0; p < POINTS; ++p) {
          const T v = offset[p] - first;
          here[p] = (v * here[p] + (width - v) * next[p]) * inverse;
        }
      }
    }
    std::copy_n(splines, size * POINTS, value);
  }
};

template <typename T>
struct SplinesWithGaussians {
  Splines<T> splines;
  long size;

  SplinesWithGaussians(const double* parameters, long count) : splines(parameters, count), size(count) {}

  template <bool SLOPES>
  void at(const T* x, T* value, T* slope) {
    splines.template at<SLOPES>(x, value, slope);
    const T spacing = T(2.0 / (size - 1)), steepness = -2 / spacing;
    inrbench::fill<SLOPES>(size, value, slope, [&](long k, int p) -> Pair<T> {
      const T r = (x[p] + 1) / spacing - static_cast<T>(k);
      const T bell = inrbench::bell(2 * r * r);
      const long place = k * POINTS + p;
      return {value[place] + bell, (SLOPES ? slope[place] : T(0)) + steepness * r * bell};
    });
  }
};

// Parameter: half the interval of the nodes.
template <typename T>
struct Hats {
  T reach;
  long size;

  Hats(const double* parameters, long count) : reach(parameters[0]), size(count) {}

  template <bool SLOPES>
  void at(const T* x, T* value, T* slope) {
    const T density = (size - 1) / (2 * reach), last = size - 1;
    T cell[POINTS], part[POINTS];
#pragma omp simd
    for (int p = 0; p < POINTS; ++p) {
      const T v = (x[p] + reach) * density;
      // The last node closes the last cell.
      cell[p] = v == last ? last - 1 : std::floor(v);
      part[p] = v - cell[p];
    }
    inrbench::fill<SLOPES>(size, value, slope, [&](long k, int p) -> Pair<T> {
      const T node = k;
      const T falls = cell[p] == node ? T(1) : T(0), rises = cell[p] == node - 1 ? T(1) : T(0);
      // A product, so that a NaN stays.
      return {falls + part[p] * (rises - falls), density * (rises - falls)};
    });
  }
};

}  // namespace

INRBENCH_EXPANSION(bspline, Splines)
INRBENCH_EXPANSION(bsrbf, SplinesWithGaussians)
INRBENCH_EXPANSION(hats, Hats)
