// Timestep and label embeddings against the CPU.
#include "trainer/ops/embedding.h"

#include "tests/trainer/cuda/compare.h"

namespace gpumonth::ops {
namespace {

using tests::check_close, tests::gpu, tests::on_gpu, tests::Output, tests::random_values;

TEST_CASE("cuda timestep_embedding: angles in double, so only the last rounding may differ") {
  gpu();
  Cpu cpu{2};
  const std::vector<std::int32_t> t = {0, 1, 57, 500, 998, 999};
  const auto device_t = on_gpu(t);
  for (const std::int64_t width : {2, 20, 256}) {
    INFO("width " << width);
    std::vector<float> expected(t.size() * static_cast<std::size_t>(width));
    timestep_embedding(cpu, t.data(), 6, width, expected.data());
    const Output<float> embedding(6 * width);
    timestep_embedding(gpu(), device_t.get(), 6, width, embedding.get());
    check_close("embedding", embedding.values("embedding"), expected, {1e-7, 2e-7});
  }
}

constexpr std::int64_t kRows = 11;

TEST_CASE("cuda label_embedding and its gradient give the CPU's bits: sums over samples are in order") {
  gpu();
  Cpu cpu{2};
  const std::vector<std::int32_t> labels = {3, 10, 3, 0, 3};  // a row of three samples, rows of none
  const auto device_labels = on_gpu(labels);
  for (const std::int64_t h : {1, 37, 72, 384, 1152, 6144}) {
    for (const std::int64_t batch : {1, 3, 5}) {
      INFO("width " << h << ", batch " << batch);
      const auto table = random_values(kRows * h, 1), addend = random_values(batch * h, 2);
      const auto device_table = on_gpu(table), device_addend = on_gpu(addend);
      std::vector<float> sum(addend.size()), alone(addend.size()), d_table(table.size());
      label_embedding(cpu, table.data(), labels.data(), addend.data(), batch, h, sum.data());
      label_embedding(cpu, table.data(), labels.data(), nullptr, batch, h, alone.data());
      label_embedding_backward(cpu, addend.data(), labels.data(), batch, kRows, h, d_table.data());
      const Output<float> got_sum(addend), got_alone(batch * h), got_d_table(kRows * h);
      label_embedding(gpu(), device_table.get(), device_labels.get(), got_sum.get(), batch, h, got_sum.get());
      label_embedding(gpu(), device_table.get(), device_labels.get(), nullptr, batch, h, got_alone.get());
      label_embedding_backward(gpu(), device_addend.get(), device_labels.get(), batch, kRows, h, got_d_table.get());
      check_close("table + addend", got_sum.values("sum"), sum, tests::kExactTolerance);
      check_close("table", got_alone.values("alone"), alone, tests::kExactTolerance);
      check_close("d_table", got_d_table.values("d_table"), d_table, tests::kExactTolerance);
    }
  }
}

}  // namespace
}  // namespace gpumonth::ops
