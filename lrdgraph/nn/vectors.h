// Vectors of eight numbers, as GCC and Clang have them for every processor, and short matrix products of them.

#pragma once

#include <cstdint>
#include <cstring>

namespace {

using std::int64_t;

constexpr int64_t LANES = 8;
typedef float Vec __attribute__((vector_size(LANES * 4)));
typedef int32_t IntVec __attribute__((vector_size(LANES * 4)));
typedef Vec Anywhere __attribute__((aligned(4), may_alias));

inline Vec load(const float* from) { return *reinterpret_cast<const Anywhere*>(from); }
inline void store(float* to, Vec value) { *reinterpret_cast<Anywhere*>(to) = value; }
inline Vec every(float value) { return Vec{value, value, value, value, value, value, value, value}; }

// Where one of them is no number it is b.
inline Vec larger(Vec a, Vec b) { return a > b ? a : b; }

// Keeps GCC from loading a vector again for each of its uses.
inline Vec in_register(Vec value) {
#ifdef __x86_64__
  asm("" : "+x"(value));
#endif
  return value;
}

inline float total(Vec value) {
  float sum = 0;
  for (int64_t lane = 0; lane < LANES; ++lane) sum += value[lane];
  return sum;
}

// Lanes of two vectors, numbered from 0 on through both.
template <int... LANE>
inline Vec picked(Vec a, Vec b) {
#ifdef __clang__
  return __builtin_shufflevector(a, b, LANE...);
#else
  return __builtin_shuffle(a, b, IntVec{LANE...});
#endif
}

// Rows become columns: halves change places, then quarters within them, then numbers.
inline void turn(Vec (&rows)[LANES]) {
  for (int i = 0; i < 4; ++i) {
    const Vec a = rows[i], b = rows[i + 4];
    rows[i] = picked<0, 1, 2, 3, 8, 9, 10, 11>(a, b), rows[i + 4] = picked<4, 5, 6, 7, 12, 13, 14, 15>(a, b);
  }
  for (int i : {0, 1, 4, 5}) {
    const Vec a = rows[i], b = rows[i + 2];
    rows[i] = picked<0, 1, 8, 9, 4, 5, 12, 13>(a, b), rows[i + 2] = picked<2, 3, 10, 11, 6, 7, 14, 15>(a, b);
  }
  for (int i : {0, 2, 4, 6}) {
    const Vec a = rows[i], b = rows[i + 1];
    rows[i] = picked<0, 8, 2, 10, 4, 12, 6, 14>(a, b), rows[i + 1] = picked<1, 9, 3, 11, 5, 13, 7, 15>(a, b);
  }
}

// exp of numbers that are not positive: 2^n times a polynomial of the rest (coefficients of Cephes' expf).
inline Vec exp_of(Vec x) {
  x = larger(every(-87.0f), x);
  const IntVec n = __builtin_convertvector(x * 1.44269504088896341f - 0.5f, IntVec);
  const Vec whole = __builtin_convertvector(n, Vec);
  const Vec r = x - whole * 0.693359375f + whole * 2.12194440e-4f;
  Vec p = every(1.9875691500e-4f);
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  const IntVec power = (n + 127) << 23;
  Vec scale;
  std::memcpy(&scale, &power, sizeof scale);
  return p * scale;
}

// Where the entry at (row, column) stands: a number, or a vector of LANES.
struct Matrix {
  float* at;
  int64_t row, column;
};

Matrix turned(Matrix m) { return {m.at, m.column, m.row}; }

// The entries of the left matrix: vectors, or numbers that are the same for all lanes of the right one.
struct Vectors {
  static Vec get(const float* at) { return load(at); }
};
struct Numbers {
  static Vec get(const float* at) { return every(*at); }
};

template <typename Left, int ROWS, int COLUMNS>
[[gnu::always_inline]] inline void tile(int64_t depth, Matrix a, Matrix b, Matrix c, bool more) {
  Vec sum[ROWS][COLUMNS] = {};
  for (int64_t k = 0; k < depth; ++k, a.at += a.column, b.at += b.row) {
    Vec right[COLUMNS];
    for (int j = 0; j < COLUMNS; ++j) right[j] = in_register(load(b.at + j * b.column));
    for (int r = 0; r < ROWS; ++r) {
      const Vec left = Left::get(a.at + r * a.row);
      for (int j = 0; j < COLUMNS; ++j) sum[r][j] += left * right[j];
    }
  }
  for (int r = 0; r < ROWS; ++r)
    for (int j = 0; j < COLUMNS; ++j) {
      float* at = c.at + r * c.row + j * c.column;
      store(at, more ? load(at) + sum[r][j] : sum[r][j]);
    }
}

template <typename Left, int COLUMNS>
void panel(int64_t rows, int64_t depth, Matrix a, Matrix b, Matrix c, bool more) {
  for (; rows >= 4; rows -= 4, a.at += 4 * a.row, c.at += 4 * c.row) tile<Left, 4, COLUMNS>(depth, a, b, c, more);
  if (rows == 3) tile<Left, 3, COLUMNS>(depth, a, b, c, more);
  if (rows == 2) tile<Left, 2, COLUMNS>(depth, a, b, c, more);
  if (rows == 1) tile<Left, 1, COLUMNS>(depth, a, b, c, more);
}

// c = a b, or c += a b where there is `more`: (rows, depth) by (depth, columns), in tiles that the registers hold.
template <typename Left>
void multiply(int64_t rows, int64_t columns, int64_t depth, Matrix a, Matrix b, Matrix c, bool more = false) {
  for (; columns > 4 || columns == 3; columns -= 3, b.at += 3 * b.column, c.at += 3 * c.column)
    panel<Left, 3>(rows, depth, a, b, c, more);
  for (; columns >= 2; columns -= 2, b.at += 2 * b.column, c.at += 2 * c.column)
    panel<Left, 2>(rows, depth, a, b, c, more);
  if (columns == 1) panel<Left, 1>(rows, depth, a, b, c, more);
}

// c (m, n) = a b, or a.T b where a is to be turned, or that is added where there is `more`; all of them in rows.
void product(bool turn_a, int64_t m, int64_t n, int64_t k, const float* a, const float* b, bool more, float* c) {
  float* at = const_cast<float*>(a);
  const Matrix left = turn_a ? Matrix{at, 1, m} : Matrix{at, k, 1};
  multiply<Numbers>(m, n / LANES, k, left, {const_cast<float*>(b), n, LANES}, {c, n, LANES}, more);
}

// c (m, m') += a b.T of (m, n) and (m', n); `room` has the size of b.
void product_turned(int64_t m, int64_t to, int64_t n, const float* a, const float* b, float* room, float* c) {
  for (int64_t first = 0; first < to; first += LANES)
    for (int64_t column = 0; column < n; column += LANES) {
      Vec square[LANES];
      for (int64_t row = 0; row < LANES; ++row) square[row] = load(b + (first + row) * n + column);
      turn(square);
      for (int64_t row = 0; row < LANES; ++row) store(room + (column + row) * to + first, square[row]);
    }
  product(false, m, to, n, a, room, true, c);
}

}  // namespace
