// The layers of RelationMixer on a CPU, forwards and backwards, all of them for eight sequences at a time.
//
// A tile is (D, S, LANES): LANES sequences side by side in the last dimension, so that short products among the S
// elements of a sequence, a softmax over them and a norm over D run along vectors of numbers, and products with weights
// have S * LANES columns. What a layer makes of a tile fits into a core's cache; a library's matrix product copies its
// matrices first, which takes long where they are as small as these. Tiles are dealt to torch's threads; gradients of
// weights are summed by each thread, and then in the order of the threads.

#include <ATen/ATen.h>
#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <torch/library.h>

#include <cmath>
#include <optional>
#include <tuple>
#include <vector>

#include "vectors.h"

namespace {

using at::Tensor;

struct Layers {
  int64_t d, s, heads, number;
  double eps;
  const float *attend, *inner, *inner_bias, *outer, *outer_bias, *scale, *shift;

  int64_t width() const { return d / heads; }
  int64_t columns() const { return s * LANES; }
  int64_t size() const { return d * columns(); }
  int64_t saved() const { return 6 * size() + heads * s * s * LANES + columns(); }
  int64_t weights() const { return 5 * d * d + 4 * d; }
};

// What a layer keeps of a tile for its gradient.
struct Kept {
  float *qkv, *read, *hidden, *normal, *share, *deviation;

  Kept(float* at, const Layers& of) {
    qkv = at;
    read = qkv + 3 * of.size();
    hidden = read + of.size();
    normal = hidden + of.size();
    share = normal + of.size();
    deviation = share + of.heads * of.s * of.s * LANES;
  }
};

// Matrices of one head, whose entries are vectors.
struct Head {
  Matrix q, k, v, read, share;  // (S, width), and (S, S) of the softmax

  Head(const Layers& of, float* qkv, float* reads, float* shares, int64_t head) {
    const int64_t first = head * of.width() * of.columns();
    const auto part = [&](float* at) { return Matrix{at + first, LANES, of.columns()}; };
    q = part(qkv), k = part(qkv + of.size()), v = part(qkv + 2 * of.size()), read = part(reads);
    share = {shares + head * of.s * of.s * LANES, of.s * LANES, LANES};
  }
};

void attention(const Layers& of, Kept kept) {
  const Vec scale = every(1.0f / std::sqrt(static_cast<float>(of.width())));
  for (int64_t number = 0; number < of.heads; ++number) {
    const Head head(of, kept.qkv, kept.read, kept.share, number);
    multiply<Vectors>(of.s, of.s, of.width(), head.q, turned(head.k), head.share);
    for (int64_t i = 0; i < of.s; ++i) {
      float* row = head.share.at + i * head.share.row;
      Vec most = load(row), sum{};
      for (int64_t j = 1; j < of.s; ++j) most = larger(most, load(row + j * LANES));
      for (int64_t j = 0; j < of.s; ++j) {
        const Vec power = exp_of((load(row + j * LANES) - most) * scale);
        store(row + j * LANES, power);
        sum += power;
      }
      const Vec part = 1.0f / sum;
      for (int64_t j = 0; j < of.s; ++j) store(row + j * LANES, load(row + j * LANES) * part);
    }
    multiply<Vectors>(of.s, of.width(), of.s, head.share, head.v, head.read);
  }
}

// From the gradient of what was read to that of queries, keys and values; `room` holds (S, S) vectors.
void attention_backward(const Layers& of, Kept kept, float* read_gradient, float* gradient, float* room) {
  const Vec scale = every(1.0f / std::sqrt(static_cast<float>(of.width())));
  for (int64_t number = 0; number < of.heads; ++number) {
    const Head head(of, kept.qkv, kept.read, kept.share, number);
    const Head found(of, gradient, read_gradient, kept.share, number);
    const Matrix logits{room, of.s * LANES, LANES};
    multiply<Vectors>(of.s, of.width(), of.s, turned(head.share), found.read, found.v);
    multiply<Vectors>(of.s, of.s, of.width(), found.read, turned(head.v), logits);
    for (int64_t i = 0; i < of.s; ++i) {
      const float* share = head.share.at + i * head.share.row;
      float* row = logits.at + i * logits.row;
      Vec sum{};
      for (int64_t j = 0; j < of.s; ++j) sum += load(share + j * LANES) * load(row + j * LANES);
      for (int64_t j = 0; j < of.s; ++j)
        store(row + j * LANES, load(share + j * LANES) * (load(row + j * LANES) - sum) * scale);
    }
    multiply<Vectors>(of.s, of.width(), of.s, logits, head.k, found.q);
    multiply<Vectors>(of.s, of.width(), of.s, turned(logits), head.q, found.k);
  }
}

// out = shift + scale * normalised(x + keep * (y + bias)); the rows of `room` hold D vectors.
void add_and_norm(
    const Layers& of, const float* x, const float* y, const float* keep, Kept kept, float* out, Vec* room) {
  const int64_t n = of.columns();
  for (int64_t column = 0; column < n; column += LANES) {
    Vec mean{}, square{};
    for (int64_t d = 0; d < of.d; ++d) {
      const int64_t at = d * n + column;
      Vec more = load(y + at) + of.outer_bias[d];
      if (keep) more *= load(keep + at);
      room[d] = load(x + at) + more;
      mean += room[d];
    }
    mean /= static_cast<float>(of.d);
    for (int64_t d = 0; d < of.d; ++d) {
      room[d] -= mean;
      square += room[d] * room[d];
    }
    square = square / static_cast<float>(of.d) + static_cast<float>(of.eps);
    Vec inverse;
    for (int64_t lane = 0; lane < LANES; ++lane) inverse[lane] = 1.0f / std::sqrt(square[lane]);
    store(kept.deviation + column, inverse);
    for (int64_t d = 0; d < of.d; ++d) {
      const Vec normal = room[d] * inverse;
      store(kept.normal + d * n + column, normal);
      store(out + d * n + column, normal * of.scale[d] + of.shift[d]);
    }
  }
}

void layer_forward(const Layers& of, const float* x, const float* keep, Kept kept, float* out, Vec* room) {
  const int64_t d = of.d, n = of.columns();
  product(false, 3 * d, n, d, of.attend, x, false, kept.qkv);
  attention(of, kept);
  product(false, d, n, d, of.inner, kept.read, false, kept.hidden);
  for (int64_t row = 0; row < d; ++row)
    for (float *at = kept.hidden + row * n, *end = at + n; at < end; at += LANES)
      store(at, larger(Vec{}, load(at) + of.inner_bias[row]));
  product(false, d, n, d, of.outer, kept.hidden, false, kept.normal);
  add_and_norm(of, x, kept.normal, keep, kept, out, room);
}

// What a thread sums over its tiles, in the order of the weights.
struct Sums {
  float *attend, *inner, *outer, *end;
  std::vector<Vec> inner_bias, outer_bias, scale, shift;

  Sums(float* at, int64_t d) : inner_bias(d), outer_bias(d), scale(d), shift(d) {
    attend = at, inner = attend + 3 * d * d, outer = inner + d * d + d, end = outer + d * d;
  }
  void finish(int64_t d) {
    for (int64_t row = 0; row < d; ++row) {
      outer[row - d] = total(inner_bias[row]);
      end[row] = total(outer_bias[row]), end[d + row] = total(scale[row]), end[2 * d + row] = total(shift[row]);
    }
  }
};

// Room for gradients within a layer, of one thread.
struct Room {
  Tensor held;
  float *x, *above, *wide, *turned, *logits;
  std::vector<Vec> rows;

  Room(const Layers& of, at::TensorOptions kind)
      : held(at::empty({6 * of.size() + of.s * of.s * LANES}, kind)), rows(of.d) {
    x = held.mutable_data_ptr<float>();
    above = x + of.size(), wide = above + of.size(), turned = wide + 3 * of.size(), logits = turned + of.size();
  }
};

// `gradient` of what the layer gives becomes that of `x`, what it was given.
void layer_backward(
    const Layers& of, const float* x, const float* keep, Kept kept, float* gradient, Sums& sums, Room& room) {
  const int64_t d = of.d, n = of.columns();
  float* above = room.above;
  const float share = 1.0f / static_cast<float>(d);
  for (int64_t column = 0; column < n; column += LANES) {
    Vec mean{}, along{};
    for (int64_t row = 0; row < d; ++row) {
      const Vec given = load(gradient + row * n + column), normal = load(kept.normal + row * n + column);
      const Vec scaled = given * of.scale[row];
      sums.scale[row] += given * normal;
      sums.shift[row] += given;
      mean += scaled;
      along += scaled * normal;
      room.rows[row] = scaled;
    }
    mean *= share, along *= share;
    const Vec inverse = load(kept.deviation + column);
    for (int64_t row = 0; row < d; ++row) {
      const int64_t at = row * n + column;
      Vec more = (room.rows[row] - mean - load(kept.normal + at) * along) * inverse;
      store(gradient + at, more);
      if (keep) more *= load(keep + at);
      store(above + at, more);
      sums.outer_bias[row] += more;
    }
  }
  product_turned(d, d, n, above, kept.hidden, room.turned, sums.outer);
  float* below = room.wide;
  product(true, d, n, d, of.outer, above, false, below);
  for (int64_t row = 0; row < d; ++row) {
    Vec sum{};
    for (int64_t column = 0; column < n; column += LANES) {
      float* at = below + row * n + column;
      const Vec passed = load(kept.hidden + row * n + column) > 0 ? load(at) : Vec{};
      store(at, passed);
      sum += passed;
    }
    sums.inner_bias[row] += sum;
  }
  product_turned(d, d, n, below, kept.read, room.turned, sums.inner);
  product(true, d, n, d, of.inner, below, false, above);
  attention_backward(of, kept, above, room.wide, room.logits);
  product_turned(3 * d, d, n, room.wide, x, room.turned, sums.attend);
  product(true, d, n, 3 * d, of.attend, room.wide, true, gradient);
}

const float* numbers(const Tensor& of) {
  TORCH_CHECK(of.scalar_type() == at::kFloat, "numbers are float32");
  TORCH_CHECK(of.is_contiguous() && of.device().is_cpu(), "tensors stand in rows, on a CPU");
  return of.const_data_ptr<float>();
}

Layers layers_of(const Tensor& x, at::TensorList weights, int64_t number, int64_t heads, double eps) {
  TORCH_CHECK(x.dim() == 4 && x.size(3) == LANES, "tiles are (T, D, S, 8)");
  const int64_t d = x.size(1);
  TORCH_CHECK(d % LANES == 0, "channels are a multiple of 8");
  TORCH_CHECK(heads > 0 && d % heads == 0, "heads divide the channels");
  TORCH_CHECK(weights.size() == 7, "there are seven weights");
  const int64_t sizes[] = {3 * d * d, d * d, d, d * d, d, d, d};
  for (int at = 0; at < 7; ++at) TORCH_CHECK(weights[at].numel() == sizes[at], "weight ", at, " has another shape");
  return {d, x.size(2), heads, number, eps, numbers(weights[0]), numbers(weights[1]), numbers(weights[2]),
          numbers(weights[3]), numbers(weights[4]), numbers(weights[5]), numbers(weights[6])};
}

const float* part_of(const std::optional<Tensor>& keep, const Layers& of, int64_t tile, int64_t layer) {
  return keep ? numbers(*keep) + (tile * of.number + layer) * of.size() : nullptr;
}

// Gives what the layers make of tiles x, and what they keep of it for the gradient if that is asked.
std::tuple<Tensor, std::vector<Tensor>> forward(
    const Tensor& x, at::TensorList weights, const std::optional<Tensor>& keep, int64_t number, int64_t heads,
    double eps, bool learns, bool flush) {
  const Layers of = layers_of(x, weights, number, heads, eps);
  const float* from = numbers(x);
  Tensor out = at::empty_like(x);
  std::vector<Tensor> saved(learns ? x.size(0) : 0);
  for (auto& each : saved) each = at::empty({number, of.saved()}, x.options());
  float* to = out.mutable_data_ptr<float>();
  at::parallel_for(0, x.size(0), 1, [&](int64_t begin, int64_t end) {
    at::globalContext().setFlushDenormal(flush);
    const Tensor own = at::empty({learns ? 0 : of.saved()}, x.options());
    std::vector<Vec> room(of.d);
    for (int64_t tile = begin; tile < end; ++tile) {
      float* result = to + tile * of.size();
      const float* given = from + tile * of.size();
      for (int64_t layer = 0; layer < number; ++layer, given = result) {
        const Tensor& held = learns ? saved[tile] : own;
        const Kept here(held.mutable_data_ptr<float>() + (learns ? layer * of.saved() : 0), of);
        layer_forward(of, given, part_of(keep, of, tile, layer), here, result, room.data());
      }
    }
  });
  return {out, saved};
}

// Gives the gradients of x and of the weights.
std::tuple<Tensor, std::vector<Tensor>> backward(
    const Tensor& gradient, const Tensor& x, at::TensorList saved, at::TensorList weights,
    const std::optional<Tensor>& keep, int64_t number, int64_t heads, double eps, bool flush) {
  const Layers of = layers_of(x, weights, number, heads, eps);
  Tensor found = gradient.clone(at::MemoryFormat::Contiguous);
  Tensor sums = at::zeros({at::get_num_threads(), of.weights()}, x.options());
  const float* from = numbers(x);
  float *to = found.mutable_data_ptr<float>(), *sum = sums.mutable_data_ptr<float>();
  at::parallel_for(0, x.size(0), 1, [&](int64_t begin, int64_t end) {
    at::globalContext().setFlushDenormal(flush);
    Sums mine(sum + at::get_thread_num() * of.weights(), of.d);
    Room room(of, x.options());
    for (int64_t tile = begin; tile < end; ++tile)
      for (int64_t layer = number - 1; layer >= 0; --layer) {
        const auto of_layer = [&](int64_t which) {
          return Kept(const_cast<float*>(numbers(saved[tile])) + which * of.saved(), of);
        };
        const float* given = from + tile * of.size();
        if (layer > 0) {
          const float* normal = of_layer(layer - 1).normal;
          for (int64_t at = 0; at < of.size(); at += LANES) {
            const int64_t row = at / of.columns();
            store(room.x + at, load(normal + at) * of.scale[row] + of.shift[row]);
          }
          given = room.x;
        }
        float* here = to + tile * of.size();
        layer_backward(of, given, part_of(keep, of, tile, layer), of_layer(layer), here, mine, room);
      }
    mine.finish(of.d);
  });
  std::vector<int64_t> sizes;
  for (const Tensor& weight : weights) sizes.push_back(weight.numel());
  return {found, sums.sum(0).split_with_sizes(sizes)};
}

}  // namespace

TORCH_LIBRARY(lrdgraph_relation_layers, library) {
  library.def(
      "forward(Tensor x, Tensor[] weights, Tensor? keep, int number, int heads, float eps, bool learns, bool flush)"
      " -> (Tensor, Tensor[])", &forward);
  library.def(
      "backward(Tensor gradient, Tensor x, Tensor[] saved, Tensor[] weights, Tensor? keep, int number, int heads,"
      " float eps, bool flush) -> (Tensor, Tensor[])", &backward);
}
