// How long the blocks of a bootstrap over steps must be: steps that follow each other are alike.
#pragma once

#include <cstddef>
#include <span>

namespace gpumonth {

/// n^(1/3), at least 1: for a table, whose columns differ in their dependence.
std::size_t usual_block(std::size_t rows);

/// The length of the blocks that keeps the dependence of neighbours, for a circular block bootstrap of the
/// mean of `series`: Politis and White, "Automatic block-length selection for the dependent bootstrap",
/// Econometric Reviews 23 (2004), with the correction of Patton, Politis and White (2009). From 1 to n / 3;
/// n^(1/3) below 16 values. Of a series of more than 16,384 neighbours are taken together first, so that neither this nor
/// the bootstrap costs more with every step: the length is a multiple of their number.
std::size_t block_length(std::span<const double> series);

}  // namespace gpumonth
