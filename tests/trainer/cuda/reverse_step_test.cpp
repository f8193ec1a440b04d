// One step of the reverse process, and ten of them with the network, on both backends.
#include "trainer/ops/reverse_step.h"

#include "tests/trainer/cuda/compare.h"
#include "trainer/dit/dit_setup.h"
#include "trainer/model.h"
#include "trainer/sample/schedule.h"

namespace gpumonth::trainer {
namespace {

using tests::gpu, tests::on_gpu, tests::Output, tests::random_values;

TEST_CASE("cuda reverse_step agrees with the CPU to fp32 rounding") {
  gpu();
  ops::Cpu cpu{2};
  for (const bool guided : {false, true})
    for (const std::int64_t plane : {1L, 64L, 333L}) {
      INFO(guided << ", " << plane << " values a channel");
      const std::int64_t samples = 3, channels = 4, rows = guided ? 6 : 3;
      const auto output = random_values(rows * 2 * channels * plane, 1);
      const auto noise = random_values(samples * channels * plane, 2);
      auto expected = random_values(rows * channels * plane, 3);
      const Output<float> x(expected);
      const auto device_output = on_gpu(output), device_noise = on_gpu(noise);
      const ops::ReverseStep step{500, 4, 1.25f, -0.75f, -3.0f, 1.5f, true};
      ops::reverse_step(cpu, {output.data(), noise.data(), samples, channels, 2 * channels, plane, guided, 4}, step,
                        expected.data());
      ops::reverse_step(gpu(),
                        {device_output.get(), device_noise.get(), samples, channels, 2 * channels, plane, guided, 4},
                        step, x.get());
      tests::check_close("x", x.values("x"), expected, tests::kFp32Tolerance);
    }
}

std::vector<float> sampled(Model& network, const model::ParameterTable& table, const model::ModelConfig& m,
                           Sampler sampler, double guidance) {
  for (const auto& p : table.all()) {
    const auto values = random_values(p.count, static_cast<unsigned>(p.offset) + 1, 0.1f);
    std::copy(values.begin(), values.end(), network.parameters() + p.offset);
  }
  network.parameters_changed();
  network.start_samples({{1, m.num_classes}, 3, guidance});
  for (const ops::ReverseStep& step : reverse_steps(sampler, 10, m.learn_sigma)) network.denoise(step);
  network.wait();
  return network.samples();
}

TEST_CASE("cuda sampling: ten steps of the CPU's within 1e-4, noise drawn") {
  gpu();
  model::ModelConfig m;
  m.input_size = 8;
  m.hidden_size = 48;
  m.depth = 2;
  m.num_heads = 2;
  m.num_classes = 7;
  for (const bool video : {false, true})
    for (const double guidance : {1.0, 4.0})
      for (const Sampler sampler : {Sampler::ddpm, Sampler::ddim}) {
        INFO((video ? "video, " : "image, ") << name(sampler) << ", guidance " << guidance);
        m.frames = video ? 2 : 1;
        const model::ParameterTable table(m);
        const std::int64_t rows = guidance != 1 ? 4 : 2;
        const DitSetup setup{.model = m,
                             .local_batch = rows,
                             .global_batch = rows,
                             .seed = 9,
                             .dtype = "fp32",
                             .keep = Keep::nothing,
                             .deterministic = true};
        const auto on_cpu = make_cpu_dit_model(setup, table), on_cuda = make_cuda_dit_model(setup, table);
        const auto expected = sampled(*on_cpu, table, m, sampler, guidance);
        const auto got = sampled(*on_cuda, table, m, sampler, guidance);
        CHECK(tests::relative_distance(got, expected) < 1e-4);
      }
}

}  // namespace
}  // namespace gpumonth::trainer
