// profile(r), r = (x - c_k) / h, for K centres c_k of spacing h on [-reach, reach]. The parameter is the reach.
#include "expansion.h"

namespace {

using inrbench::Pair;
using inrbench::POINTS;

// The formulas of PROFILES in radial.py.
struct Gaussian {
  template <typename T>
  static Pair<T> at(T r) {
    const T bell = inrbench::bell(2 * r * r);
    return {bell, -2 * r * bell};
  }
};

struct InverseQuadratic {
  template <typename T>
  static Pair<T> at(T r) {
    const T value = 1 / (1 + r * r);
    return {value, -2 * r * value * value};
  }
};

struct InverseMultiquadric {
  template <typename T>
  static Pair<T> at(T r) {
    const T value = 1 / std::sqrt(1 + r * r);
    return {value, -r * value * value * value};
  }
};

struct Wendland {
  template <typename T>
  static Pair<T> at(T r) {
    const T s = std::abs(r) / 2, inside = 1 - s < 0 ? T(0) : 1 - s;
    const T cube = inside * inside * inside;
    return {cube * inside * (4 * s + 1), -5 * r * cube};
  }
};

template <typename T, typename Profile>
struct Radial {
  T reach, spacing;
  long size;

  Radial(const double* parameters, long count)
      : reach(parameters[0]), spacing(2 * parameters[0] / (count - 1)), size(count) {}

  template <bool SLOPES>
  void at(const T* x, T* value, T* slope) {
    T offset[POINTS];
    for (int p = 0; p < POINTS; ++p) offset[p] = (x[p] + reach) / spacing;
    const T steepness = 1 / spacing;
    inrbench::fill<SLOPES>(size, value, slope, [&](long k, int p) -> Pair<T> {
      const Pair<T> pair = Profile::at(offset[p] - static_cast<T>(k));
      return {pair.value, steepness * pair.slope};
    });
  }
};

template <typename T>
using Gaussians = Radial<T, Gaussian>;
template <typename T>
using InverseQuadratics = Radial<T, InverseQuadratic>;
template <typename T>
using InverseMultiquadrics = Radial<T, InverseMultiquadric>;
template <typename T>
using Wendlands = Radial<T, Wendland>;

}  // namespace

INRBENCH_EXPANSION(gaussian, Gaussians)
INRBENCH_EXPANSION(inverse_quadratic, InverseQuadratics)
INRBENCH_EXPANSION(inverse_multiquadric, InverseMultiquadrics)
INRBENCH_EXPANSION(wendland, Wendlands)
