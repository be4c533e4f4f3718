#pragma once
// What the ways of kernels/product.h share: the pieces of a result, and what is added to their sums.
#include <algorithm>

#include "kernels/product.h"

namespace lathe::kernels {

/// What becomes of the sums of one pair of factors: the second pair's go on from the first one's, rounded.
enum class Turn { kAlone, kFirst, kSecond };

template <typename T>
const FactorsOf<T>& factors_of(const ProductOf<T>& product, Turn turn) {
  return turn == Turn::kSecond ? product.beside : product.factors;
}

/// What is added to the sums of a row from `column` on before they are rounded: y, a bias, or null.
template <typename T>
const T* beside_of(const ProductOf<T>& product, Turn turn, int64_t row, int64_t column) {
  if (turn == Turn::kSecond) return nullptr;
  if (product.add) return product.y + row * product.y_row + column;
  return product.bias == nullptr ? nullptr : product.bias + column;
}

/// body(turn, piece) for the pieces of a part, of at most so many rows and columns.
template <typename T, typename Body>
void for_each_piece(const ProductOf<T>& product, const ProductPart& part, int64_t rows, int64_t columns, Body body) {
  for (int64_t row = 0; row < part.rows; row += rows) {
    for (int64_t column = 0; column < part.columns; column += columns) {
      const ProductPart piece{part.first_row + row, std::min(rows, part.rows - row), part.first_column + column,
                              std::min(columns, part.columns - column)};
      const bool alone = product.beside.depth == 0;
      body(alone ? Turn::kAlone : Turn::kFirst, piece);
      if (!alone) body(Turn::kSecond, piece);
    }
  }
}

}  // namespace lathe::kernels
