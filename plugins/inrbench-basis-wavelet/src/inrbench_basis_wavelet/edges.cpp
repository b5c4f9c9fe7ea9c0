// y[n, o] = sum over i of weight[o, i] psi(dilation[o, i] x[n, i] - offset[o, i]) and its gradients, each in one pass.
//
// Points are the inner dimension of every loop: the parameters of an edge are scalars to it, and nothing of the size
// points times edges is written. All arrays are contiguous: x (M, N, I), parameters (M, O, I), y (M, N, O) for M layers
// of the same shape. A thread takes a run of blocks and has sums of its own, which are added in the order of threads.
#include <algorithm>
#include <vector>

#include "vector_math.h"

namespace {

using inrbench::Pair;

constexpr int BLOCK = 128;
constexpr double PI = 3.14159265358979323846;

// The formulas of mothers.py.
struct MexicanHat {
  template <typename T>
  static Pair<T> at(T u) {
    const T square = u * u;
    const T bell = T(0.8673250705840776) * inrbench::gaussian(square);
    return {bell * (1 - square), bell * u * (square - 3)};
  }
};

struct Morlet {
  template <typename T>
  static Pair<T> at(T u) {
    const T w = 5;
    // pi^(-1/4) (1 + exp(-w^2) - 2 exp(-3 w^2/4))^(-1/2), and exp(-w^2/2).
    const T norm = T(0.7511255498634238), mean = T(3.726653172078671e-06);
    T sine, cosine;
    inrbench::sincos_near(w * u, &sine, &cosine);
    const T bell = norm * inrbench::gaussian(u * u);
    const T value = bell * (cosine - mean);
    return {value, -w * bell * sine - u * value};
  }
};

struct Dog {
  template <typename T>
  static Pair<T> at(T u) {
    const T bell = T(-1.062251932027197) * inrbench::gaussian(u * u);
    const T value = bell * u;
    return {value, bell - value * u};
  }
};

// sin(a)/a from the sine and cosine of a and 1/a; by its series where |a| < 0.3, as far as the type's precision asks.
template <typename T>
Pair<T> sinc(T a, T inverse, T sine, T cosine) {
  constexpr int TERMS = sizeof(T) == 8 ? 7 : 4;
  constexpr double C[7] = {1.0,           -1.0 / 6,        1.0 / 120,          -1.0 / 5040,
                           1.0 / 362880,  -1.0 / 39916800, 1.0 / 6227020800.0};
  const bool small = std::abs(a) < T(0.3);
  const T square = a * a;
  T value = T(C[TERMS - 1]);
  T slope = T(2 * (TERMS - 1) * C[TERMS - 1]);
  for (int k = TERMS - 2; k >= 0; --k) value = value * square + T(C[k]);
  for (int k = TERMS - 2; k >= 1; --k) slope = slope * square + T(2 * k * C[k]);
  const T far = sine * inverse;
  return {small ? value : far, small ? slope * a : (cosine - far) * inverse};
}

// What sinc divides by: a, or 1 where its series serves.
template <typename T>
T divisor(T a) {
  return std::abs(a) < T(0.3) ? T(1) : a;
}

struct Meyer {
  template <typename T>
  static Pair<T> at(T u) {
    const T theta = T(2 * PI / 3) * u;
    T s, c;
    inrbench::sincos_near(theta, &s, &c);
    const T r = T(0.70710678118654752440);
    // Of pi/4 + theta the sine is `plus` and the cosine `minus`; of pi/4 - theta the other way round.
    const T plus = r * (c + s), minus = r * (c - s);
    const T sine3_plus = plus * (3 - 4 * plus * plus), sine3_minus = minus * (3 - 4 * minus * minus);
    const T cosine3_plus = minus * (4 * minus * minus - 3), cosine3_minus = plus * (4 * plus * plus - 3);
    const T a = theta + T(PI / 2), b = theta - T(PI / 2), p = T(PI / 4) + theta, m = T(PI / 4) - theta;
    // Four reciprocals by one division.
    const T da = divisor(a), db = divisor(b), dp = divisor(p), dm = divisor(m);
    const T outer = da * db, inner = dp * dm, all = 1 / (outer * inner);
    const T of_outer = all * inner, of_inner = all * outer;
    const Pair<T> outer_plus = sinc(a, db * of_outer, c, -s), outer_minus = sinc(b, da * of_outer, -c, s);
    const Pair<T> inner_plus = sinc(p, dm * of_inner, plus, minus), inner_minus = sinc(m, dp * of_inner, minus, plus);
    const T third = T(1.0 / 3);
    const T value = third * ((1 + 2 * s) * outer_plus.value + (1 - 2 * s) * outer_minus.value +
                             2 * (sine3_plus * inner_plus.value + sine3_minus * inner_minus.value));
    const T by_outer = third * (2 * c * (outer_plus.value - outer_minus.value) + (1 + 2 * s) * outer_plus.slope +
                                (1 - 2 * s) * outer_minus.slope);
    const T by_inner = 2 * (cosine3_plus * inner_plus.value - cosine3_minus * inner_minus.value) +
                       2 * third * (sine3_plus * inner_plus.slope - sine3_minus * inner_minus.slope);
    return {value, T(2 * PI / 3) * (by_outer + by_inner)};
  }
};

struct Shannon {
  template <typename T>
  static Pair<T> at(T u) {
    const T half = T(PI / 2) * u;
    T s, c;
    inrbench::sincos_near(half, &s, &c);
    const Pair<T> window = sinc(half, 1 / divisor(half), s, c);
    const T wave = c * (4 * c * c - 3), sine3 = s * (3 - 4 * s * s);
    return {window.value * wave, T(PI / 2) * (window.slope * wave - 3 * window.value * sine3)};
  }
};

struct Bump {
  template <typename T>
  static Pair<T> at(T u) {
    const T q = std::max(1 - u * u, T(0.01));
    const T inverse = 1 / q;
    const T value = std::abs(u) < 1 ? inrbench::gaussian(2 * (inverse - 1)) : T(0);
    return {value, -2 * value * u * inverse * inverse};
  }
};

struct BumpWavelet {
  template <typename T>
  static Pair<T> at(T u) {
    const T q = std::max(1 - u * u, T(0.01));
    const T inverse = 1 / q, square = inverse * inverse;
    const T bell = std::abs(u) < 1 ? inrbench::gaussian(2 * (inverse - 1)) : T(0);
    const T inner = -2 * u * square;
    const T value = bell * inner;
    const T bent = bell > 0 ? 8 * u * u * square * inverse : T(0);
    return {value, value * inner - bell * (2 * square + bent)};
  }
};

struct DifferenceOfGaussians {
  template <typename T>
  static Pair<T> at(T u) {
    const T q = T(1.6), norm = T(0.39894228040143267794);
    const T square = u * u;
    const T narrow = norm * inrbench::gaussian(square);
    const T wide = norm / q * inrbench::gaussian(square / (q * q));
    return {narrow - wide, u * (wide / (q * q) - narrow)};
  }
};

// Rows of a block of points, (count, columns), as columns of BLOCK entries; zeros follow the last point.
template <typename T>
void transpose(const T* rows, long columns, int count, T* out) {
  for (long c = 0; c < columns; ++c) {
    T* column = out + c * BLOCK;
    for (int b = 0; b < count; ++b) column[b] = rows[b * columns + c];
    for (int b = count; b < BLOCK; ++b) column[b] = 0;
  }
}

template <typename T>
struct Sizes {
  long members, points, inputs, outputs;
  long blocks() const { return (points + BLOCK - 1) / BLOCK; }
};

template <class Mother, typename T>
void forward(const Sizes<T>& n, const T* x, const T* dilation, const T* offset, const T* weight, T* y, int threads) {
  const long blocks = n.blocks(), edges = n.inputs * n.outputs;
#pragma omp parallel for num_threads(threads) schedule(static)
  for (long job = 0; job < n.members * blocks; ++job) {
    const long member = job / blocks, first = (job % blocks) * BLOCK;
    const int count = static_cast<int>(std::min<long>(BLOCK, n.points - first));
    std::vector<T> columns(n.inputs * BLOCK);
    transpose(x + (member * n.points + first) * n.inputs, n.inputs, count, columns.data());
    T* rows = y + (member * n.points + first) * n.outputs;
    for (long o = 0; o < n.outputs; ++o) {
      T sum[BLOCK] = {};
      for (long i = 0; i < n.inputs; ++i) {
        const long edge = member * edges + o * n.inputs + i;
        const T d = dilation[edge], t = offset[edge], w = weight[edge];
        const T* column = columns.data() + i * BLOCK;
#pragma omp simd
        for (int b = 0; b < BLOCK; ++b) sum[b] += w * Mother::at(d * column[b] - t).value;
      }
      for (int b = 0; b < count; ++b) rows[b * n.outputs + o] = sum[b];
    }
  }
}

// grad_x may be null; the others are filled.
template <class Mother, typename T>
void backward(const Sizes<T>& n, const T* x, const T* dilation, const T* offset, const T* weight, const T* grad,
              T* grad_x, T* grad_dilation, T* grad_offset, T* grad_weight, int threads) {
  const long blocks = n.blocks(), edges = n.inputs * n.outputs, all = n.members * edges, jobs = n.members * blocks;
  std::vector<std::vector<T>> sums(threads);
#pragma omp parallel for num_threads(threads) schedule(static, 1)
  for (int thread = 0; thread < threads; ++thread) {
    std::vector<T> own(3 * all, T(0));
    std::vector<T> columns(n.inputs * BLOCK), outer(n.outputs * BLOCK), pulled(n.inputs * BLOCK);
    for (long job = jobs * thread / threads; job < jobs * (thread + 1) / threads; ++job) {
      const long member = job / blocks, first = (job % blocks) * BLOCK;
      const int count = static_cast<int>(std::min<long>(BLOCK, n.points - first));
      transpose(x + (member * n.points + first) * n.inputs, n.inputs, count, columns.data());
      transpose(grad + (member * n.points + first) * n.outputs, n.outputs, count, outer.data());
      std::fill(pulled.begin(), pulled.end(), T(0));
      for (long o = 0; o < n.outputs; ++o) {
        const T* g = outer.data() + o * BLOCK;
        for (long i = 0; i < n.inputs; ++i) {
          const long edge = member * edges + o * n.inputs + i;
          const T d = dilation[edge], t = offset[edge], w = weight[edge], dw = d * w;
          const T* column = columns.data() + i * BLOCK;
          T* into = pulled.data() + i * BLOCK;
          T by_value = 0, by_x = 0, by_one = 0;
#pragma omp simd reduction(+ : by_value, by_x, by_one)
          for (int b = 0; b < BLOCK; ++b) {
            const Pair<T> psi = Mother::at(d * column[b] - t);
            const T p = g[b] * psi.slope;
            by_value += g[b] * psi.value;
            by_x += p * column[b];
            by_one += p;
            into[b] += dw * p;
          }
          own[edge] += w * by_x;
          own[all + edge] -= w * by_one;
          own[2 * all + edge] += by_value;
        }
      }
      if (grad_x != nullptr) {
        T* rows = grad_x + (member * n.points + first) * n.inputs;
        for (long i = 0; i < n.inputs; ++i)
          for (int b = 0; b < count; ++b) rows[b * n.inputs + i] = pulled[i * BLOCK + b];
      }
    }
    sums[thread] = std::move(own);
  }
  for (long edge = 0; edge < all; ++edge) {
    T by_dilation = 0, by_offset = 0, by_weight = 0;
    for (const auto& own : sums) {
      by_dilation += own[edge];
      by_offset += own[all + edge];
      by_weight += own[2 * all + edge];
    }
    grad_dilation[edge] = by_dilation;
    grad_offset[edge] = by_offset;
    grad_weight[edge] = by_weight;
  }
}

}  // namespace

#define LAYER(NAME, MOTHER, T)                                                                                        \
  extern "C" void NAME##_forward(long m, long n, long i, long o, const T* x, const T* dilation, const T* offset,      \
                                 const T* weight, T* y, int threads) {                                                \
    forward<MOTHER, T>({m, n, i, o}, x, dilation, offset, weight, y, threads);                                        \
  }                                                                                                                   \
  extern "C" void NAME##_backward(long m, long n, long i, long o, const T* x, const T* dilation, const T* offset,     \
                                  const T* weight, const T* grad, T* grad_x, T* grad_dilation, T* grad_offset,        \
                                  T* grad_weight, int threads) {                                                      \
    backward<MOTHER, T>({m, n, i, o}, x, dilation, offset, weight, grad, grad_x, grad_dilation, grad_offset,          \
                        grad_weight, threads);                                                                        \
  }
#define LAYERS(NAME, MOTHER)          \
  LAYER(NAME##_float, MOTHER, float)  \
  LAYER(NAME##_double, MOTHER, double)

LAYERS(mexican_hat, MexicanHat)
LAYERS(morlet, Morlet)
LAYERS(dog, Dog)
LAYERS(meyer, Meyer)
LAYERS(shannon, Shannon)
LAYERS(bump, Bump)
LAYERS(bump_wavelet, BumpWavelet)
LAYERS(difference_of_gaussians, DifferenceOfGaussians)
