// y[n, o] = sum over i, h of outer[i, o, h] silu(bias[i, o, h] + sum over f of inner[i, o, h, f] f(x[n, i])[f]) and its
// gradients, each in one pass. f(x) = [x, sin(2^j x), cos(2^j x)], j = 0..S - 1, is shared by all edges.
//
// Points are the inner dimension of every loop: the parameters of an edge are scalars to it, and nothing of the size
// points times edges is written. All arrays are contiguous: x (M, N, I), parameters (M, I, O, H) or (M, I, O, H, F),
// y (M, N, O) for M layers of the same shape. A thread takes a run of blocks and has sums of its own, which are added
// in the order of threads.
#include <algorithm>
#include <vector>

#include "vector_math.h"

namespace {

constexpr int BLOCK = 128;

struct Sizes {
  long members, points, inputs, outputs, hidden, features;
  long blocks() const { return (points + BLOCK - 1) / BLOCK; }
  long units() const { return inputs * outputs * hidden; }
};

// f(x) of a block of one input, (features, BLOCK); points beyond the last are taken as 0.
template <typename T>
void features(const Sizes& n, const T* x, int count, T* seen) {
  const long octaves = n.features / 2;
  for (int b = 0; b < BLOCK; ++b) seen[b] = b < count ? x[b * n.inputs] : T(0);
  T scale = 1;
  for (long j = 0; j < octaves; ++j, scale *= 2) {
    T* sine = seen + (1 + j) * BLOCK;
    T* cosine = seen + (1 + octaves + j) * BLOCK;
#pragma omp simd
    for (int b = 0; b < BLOCK; ++b) inrbench::sincos(scale * seen[b], sine + b, cosine + b);
  }
}

// F features, a number that the compiler knows, or as many as count says if F is 0.
template <int F, typename T>
inline T dot(long count, const T* weight, const T* seen, int b, T start) {
  for (long f = 0; f < (F ? F : count); ++f) start += weight[f] * seen[f * BLOCK + b];
  return start;
}

template <int F, typename T>
void forward(const Sizes& n, const T* x, const T* inner, const T* bias, const T* outer, T* y, int threads) {
  const long blocks = n.blocks();
#pragma omp parallel for num_threads(threads) schedule(static)
  for (long job = 0; job < n.members * blocks; ++job) {
    const long member = job / blocks, first = (job % blocks) * BLOCK;
    const int count = static_cast<int>(std::min<long>(BLOCK, n.points - first));
    std::vector<T> seen(n.features * BLOCK), sums(n.outputs * BLOCK, T(0));
    for (long i = 0; i < n.inputs; ++i) {
      features(n, x + (member * n.points + first) * n.inputs + i, count, seen.data());
      for (long o = 0; o < n.outputs; ++o) {
        T* sum = sums.data() + o * BLOCK;
        for (long h = 0; h < n.hidden; ++h) {
          const long unit = member * n.units() + (i * n.outputs + o) * n.hidden + h;
          const T* weight = inner + unit * n.features;
          const T start = bias[unit], w = outer[unit];
#pragma omp simd
          for (int b = 0; b < BLOCK; ++b) {
            const T z = dot<F>(n.features, weight, seen.data(), b, start);
            sum[b] += w * z * inrbench::sigmoid(z);
          }
        }
      }
    }
    T* rows = y + (member * n.points + first) * n.outputs;
    for (int b = 0; b < count; ++b)
      for (long o = 0; o < n.outputs; ++o) rows[b * n.outputs + o] = sums[o * BLOCK + b];
  }
}

// grad_x may be null; the others are filled.
template <int F, typename T>
void backward(const Sizes& n, const T* x, const T* inner, const T* bias, const T* outer, const T* grad, T* grad_x,
              T* grad_inner, T* grad_bias, T* grad_outer, int threads) {
  const long blocks = n.blocks(), jobs = n.members * blocks, octaves = n.features / 2;
  const long units = n.members * n.units(), all = units * (n.features + 2);
  std::vector<std::vector<T>> sums(threads);
#pragma omp parallel for num_threads(threads) schedule(static, 1)
  for (int thread = 0; thread < threads; ++thread) {
    std::vector<T> own(all, T(0));
    std::vector<T> seen(n.features * BLOCK), pulled(n.features * BLOCK), columns(n.outputs * BLOCK);
    T change[BLOCK];
    for (long job = jobs * thread / threads; job < jobs * (thread + 1) / threads; ++job) {
      const long member = job / blocks, first = (job % blocks) * BLOCK;
      const int count = static_cast<int>(std::min<long>(BLOCK, n.points - first));
      const T* rows = grad + (member * n.points + first) * n.outputs;
      for (long o = 0; o < n.outputs; ++o)
        for (int b = 0; b < BLOCK; ++b) columns[o * BLOCK + b] = b < count ? rows[b * n.outputs + o] : T(0);
      for (long i = 0; i < n.inputs; ++i) {
        features(n, x + (member * n.points + first) * n.inputs + i, count, seen.data());
        std::fill(pulled.begin(), pulled.end(), T(0));
        for (long o = 0; o < n.outputs; ++o) {
          const T* g = columns.data() + o * BLOCK;
          for (long h = 0; h < n.hidden; ++h) {
            const long unit = member * n.units() + (i * n.outputs + o) * n.hidden + h;
            const T* weight = inner + unit * n.features;
            const T start = bias[unit], w = outer[unit];
            T by_outer = 0, by_bias = 0;
#pragma omp simd reduction(+ : by_outer, by_bias)
            for (int b = 0; b < BLOCK; ++b) {
              const T z = dot<F>(n.features, weight, seen.data(), b, start);
              const T gate = inrbench::sigmoid(z);
              by_outer += g[b] * z * gate;
              const T p = g[b] * w * gate * (1 + z * (1 - gate));
              by_bias += p;
              change[b] = p;
            }
            own[units * n.features + unit] += by_bias;
            own[units * (n.features + 1) + unit] += by_outer;
            for (long f = 0; f < (F ? F : n.features); ++f) {
              T by_weight = 0;
              T* into = pulled.data() + f * BLOCK;
              const T* with = seen.data() + f * BLOCK;
              const T scale = weight[f];
#pragma omp simd reduction(+ : by_weight)
              for (int b = 0; b < BLOCK; ++b) {
                by_weight += change[b] * with[b];
                into[b] += change[b] * scale;
              }
              own[unit * n.features + f] += by_weight;
            }
          }
        }
        if (grad_x == nullptr) continue;
        T* column = grad_x + (member * n.points + first) * n.inputs + i;
        for (int b = 0; b < count; ++b) {
          T total = pulled[b], scale = 1;
          for (long j = 0; j < octaves; ++j, scale *= 2)
            total += scale * (pulled[(1 + j) * BLOCK + b] * seen[(1 + octaves + j) * BLOCK + b] -
                              pulled[(1 + octaves + j) * BLOCK + b] * seen[(1 + j) * BLOCK + b]);
          column[b * n.inputs] = total;
        }
      }
    }
    sums[thread] = std::move(own);
  }
  for (long k = 0; k < all; ++k) {
    T total = 0;
    for (const auto& own : sums) total += own[k];
    if (k < units * n.features)
      grad_inner[k] = total;
    else if (k < units * (n.features + 1))
      grad_bias[k - units * n.features] = total;
    else
      grad_outer[k - units * (n.features + 1)] = total;
  }
}

}  // namespace

#define CASE(F, CALL) \
  case F:             \
    CALL(F);          \
    break;
// The last case takes any number of features.
#define BY_FEATURES(CALL)                                                                       \
  switch (f) { CASE(1, CALL) CASE(3, CALL) CASE(5, CALL) CASE(7, CALL) CASE(9, CALL) default: CALL(0); }

#define LAYER(NAME, T)                                                                                                 \
  extern "C" void NAME##_forward(long m, long n, long i, long o, long h, long f, const T* x, const T* inner,           \
                                 const T* bias, const T* outer, T* y, int threads) {                                   \
    const Sizes sizes{m, n, i, o, h, f};                                                                               \
    BY_FEATURES(FORWARD)                                                                                               \
  }                                                                                                                    \
  extern "C" void NAME##_backward(long m, long n, long i, long o, long h, long f, const T* x, const T* inner,          \
                                  const T* bias, const T* outer, const T* grad, T* grad_x, T* grad_inner,              \
                                  T* grad_bias, T* grad_outer, int threads) {                                          \
    const Sizes sizes{m, n, i, o, h, f};                                                                               \
    BY_FEATURES(BACKWARD)                                                                                              \
  }
#define FORWARD(F) forward<F>(sizes, x, inner, bias, outer, y, threads)
#define BACKWARD(F) \
  backward<F>(sizes, x, inner, bias, outer, grad, grad_x, grad_inner, grad_bias, grad_outer, threads)

LAYER(edge_sum_float, float)
LAYER(edge_sum_double, double)
