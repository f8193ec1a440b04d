// The arithmetic of an emulated cublasLtMatmul: D = epilogue(alpha op(A) op(B) + beta C), column-major, sums
// in fp32.
#pragma once

#include <cublasLt.h>

#define EIGEN_DONT_PARALLELIZE  // ranks share the cores
#include <Eigen/Core>
#include <bit>
#include <cmath>
#include <cstdint>

namespace gpumonth::emulator {

struct Matrix {
  void* data = nullptr;
  bool bf16 = false, transposed = false;
  std::int64_t rows = 0, columns = 0, ld = 0;  ///< as stored

  float at(std::int64_t row, std::int64_t column) const {
    const std::int64_t i = row + column * ld;
    if (!bf16) return static_cast<const float*>(data)[i];
    return std::bit_cast<float>(static_cast<std::uint32_t>(static_cast<const std::uint16_t*>(data)[i]) << 16);
  }
  /// bf16: to nearest, ties to even; a NaN stays one.
  void set(std::int64_t row, std::int64_t column, float value) const {
    const std::int64_t i = row + column * ld;
    if (!bf16) {
      static_cast<float*>(data)[i] = value;
      return;
    }
    const auto bits = std::bit_cast<std::uint32_t>(value);
    const std::uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
    static_cast<std::uint16_t*>(data)[i] = static_cast<std::uint16_t>(std::isnan(value) ? 0x7fffu : rounded);
  }
  Eigen::MatrixXf floats() const {
    Eigen::MatrixXf values(rows, columns);
    for (std::int64_t j = 0; j < columns; ++j)
      for (std::int64_t i = 0; i < rows; ++i) values(i, j) = at(i, j);
    if (transposed) return values.transpose();
    return values;
  }
};

/// To the 10 bits of mantissa that tensor cores read of an fp32 number. Nearest, ties away from zero: cvt.rna.tf32.f32.
inline float to_tf32(float x) {
  if (!std::isfinite(x)) return x;
  return std::bit_cast<float>((std::bit_cast<std::uint32_t>(x) + 0x1000u) & 0xffffe000u);
}

struct Product {
  Matrix a, b, c, d;
  bool tf32 = false;
  float alpha = 1, beta = 0;
  std::uint32_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  std::int32_t parts = 1;  ///< of k, each summed by itself
  Matrix bias{}, aux{};
  float* workspace = nullptr;  ///< room for a part's sums, where the algorithm keeps them there
};

/// "0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))", and its derivative.
inline float gelu(float x) { return 0.5f * x * (1 + std::tanh(0.797884561f * (x + 0.044715f * x * x * x))); }
inline float gelu_derivative(float x) {
  const float t = std::tanh(0.797884561f * (x + 0.044715f * x * x * x));
  return 0.5f * (1 + t) + 0.5f * x * (1 - t * t) * 0.797884561f * (1 + 3 * 0.044715f * x * x);
}

/// The last part of k is added first.
inline Eigen::MatrixXf sums_of(const Product& p, const Eigen::MatrixXf& a, const Eigen::MatrixXf& b) {
  const std::int64_t k = a.cols();
  Eigen::MatrixXf sums = Eigen::MatrixXf::Zero(a.rows(), b.cols());
  for (std::int64_t part = p.parts; part-- > 0;) {
    const std::int64_t begin = k * part / p.parts, count = k * (part + 1) / p.parts - begin;
    if (p.workspace) {
      Eigen::Map<Eigen::MatrixXf> partial(p.workspace, a.rows(), b.cols());
      partial.noalias() = a.middleCols(begin, count) * b.middleRows(begin, count);
      sums += partial;
    } else {
      sums.noalias() += a.middleCols(begin, count) * b.middleRows(begin, count);
    }
  }
  return sums;
}

/// Changes the sums as the epilogue says. Vectors: `bias` has a value for each row of D, BGRADB's for each column.
inline void apply_epilogue(const Product& p, const Eigen::MatrixXf& a, const Eigen::MatrixXf& b,
                           Eigen::MatrixXf& sums) {
  const auto each = [&sums](const auto& change) {
    for (std::int64_t j = 0; j < sums.cols(); ++j)
      for (std::int64_t i = 0; i < sums.rows(); ++i) change(i, j, sums(i, j));
  };
  const auto store = [&p](const Eigen::VectorXf& values) {
    for (std::int64_t i = 0; i < values.size(); ++i) p.bias.set(i, 0, values(i));
  };
  switch (p.epilogue) {
    case CUBLASLT_EPILOGUE_BIAS: return each([&p](std::int64_t i, std::int64_t, float& x) { x += p.bias.at(i, 0); });
    case CUBLASLT_EPILOGUE_GELU_AUX_BIAS:
      return each([&p](std::int64_t i, std::int64_t j, float& x) {
        x += p.bias.at(i, 0);
        p.aux.set(i, j, x);
        x = gelu(x);
      });
    case CUBLASLT_EPILOGUE_DGELU:
    case CUBLASLT_EPILOGUE_DGELU_BGRAD:
      each([&p](std::int64_t i, std::int64_t j, float& x) { x *= gelu_derivative(p.aux.at(i, j)); });
      if (p.epilogue == CUBLASLT_EPILOGUE_DGELU_BGRAD) store(sums.rowwise().sum());
      return;
    case CUBLASLT_EPILOGUE_BGRADA: return store(a.rowwise().sum());
    case CUBLASLT_EPILOGUE_BGRADB: return store(b.colwise().sum().transpose());
    default: return;
  }
}

inline void run(const Product& p) {
  Eigen::MatrixXf a = p.a.floats(), b = p.b.floats();
  if (p.tf32) {
    a = a.unaryExpr(&to_tf32).eval();
    b = b.unaryExpr(&to_tf32).eval();
  }
  Eigen::MatrixXf sums = p.alpha * sums_of(p, a, b);
  if (p.beta != 0) sums += p.beta * p.c.floats();
  apply_epilogue(p, a, b, sums);
  for (std::int64_t j = 0; j < sums.cols(); ++j)
    for (std::int64_t i = 0; i < sums.rows(); ++i) p.d.set(i, j, sums(i, j));
}

}  // namespace gpumonth::emulator
