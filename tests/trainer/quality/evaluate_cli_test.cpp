// gpumonth evaluate as a user runs it: losses that probe finds too, the same on any number of ranks; bad input is one line.
#include <fmt/format.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>

#include "base/crc32.h"
#include "base/hdf5.h"
#include "model/flops.h"
#include "tests/catch.h"
#include "tests/trainer/ops/values.h"
#include "tests/trainer/runs.h"
#include "trainer/data/procedural.h"
#include "trainer/ops/noising.h"
#include "trainer/probe/probe.h"
#include "trainer/quality/validation.h"
#include "trainer/sample/samples_file.h"

using namespace gpumonth;
using namespace gpumonth::tests;
namespace fs = std::filesystem;
using nlohmann::json;

namespace {

std::string evaluate_command(const std::string& arguments) {
  return fmt::format("{} evaluate {} --backend cpu --threads 1", GPUMONTH_BINARY, arguments);
}

json evaluated(const std::string& arguments, int ranks = 0) {
  const std::string command = evaluate_command(arguments + " --json");
  INFO(command);
  const CommandResult result = run_command(ranks > 0 ? mpirun(ranks, command) : command);
  INFO(result.err);
  REQUIRE(result.exit_code == 0);
  return json::parse(result.out);
}

/// Checkpoints after 4 and 40 steps of a tiny model.
struct Runs {
  TemporaryFolder folder;
  std::string early = (folder.path() / "out/checkpoint-4.h5").string(),
              late = (folder.path() / "out/checkpoint-40.h5").string();

  Runs() {
    train(0, write_run_file(folder),
          {"run.steps=40", "run.name=tiny", "checkpoint.every_steps=4", "checkpoint.keep=100",
           "optimizer.learning_rate=3e-3"});
  }

  std::string sampled(const std::string& checkpoint, const std::string& name, const std::string& more) const {
    const fs::path out = folder.path() / name;
    const std::string command =
        fmt::format("{} sample {} -o {} --backend cpu --dtype fp32 --threads 1 --no-sheet --steps 4 {}",
                    GPUMONTH_BINARY, checkpoint, out.string(), more);
    const CommandResult result = run_command(command);
    INFO(result.err);
    REQUIRE(result.exit_code == 0);
    return (out / "samples.h5").string();
  }
};

/// The held-out samples of a validation as a batch of `gpumonth probe`: its losses are the ones to be found.
std::vector<float> probed_losses(const fs::path& folder, const fs::path& checkpoint, std::int64_t count) {
  const model::ModelConfig m = trainer::model_of_checkpoint(checkpoint);
  const auto size = static_cast<std::size_t>(m.latent_size());
  std::vector<float> x_start(static_cast<std::size_t>(count) * size), noise(x_start.size());
  std::vector<std::int32_t> labels(static_cast<std::size_t>(count));
  std::vector<std::int64_t> indices(labels.size());
  std::iota(indices.begin(), indices.end(), 0);
  trainer::make_held_out_dataset(m, 1)->read(indices, x_start.data(), labels.data());
  ops::Cpu cpu;
  ops::draw_noise(cpu, trainer::kValidationSeed, 0, 0, count, m.latent_size(), noise.data());
  auto file = hdf5::File::create(folder / "batch.h5");
  const hdf5::Shape shape = {count, m.in_channels, m.input_size, m.input_size};
  file.create_dataset<float>("/x_start", shape).write(x_start.data());
  file.create_dataset<float>("/noise", shape).write(noise.data());
  file.create_dataset<std::int32_t>("/t", {count}).write(trainer::validation_timesteps(count).data());
  file.create_dataset<std::int32_t>("/y", {count}).write(labels.data());
  file.close();
  const auto result =
      run_command(fmt::format("{} probe {} --batch {} --out {} --forward-only", GPUMONTH_BINARY, checkpoint.string(),
                              (folder / "batch.h5").string(), (folder / "o.h5").string()));
  INFO(result.err);
  REQUIRE(result.exit_code == 0);
  std::vector<float> losses(labels.size());
  hdf5::File::open(folder / "o.h5").dataset("/loss").read(losses.data());
  return losses;
}

TEST_CASE_METHOD(Runs, "losses are those that probe finds on the same samples, by noise level and paired") {
  // probe runs the plain weights.
  const json out = evaluated(late + " " + early + " --count 40 --batch 7 --weights model");
  fs::create_directories(folder.path() / "a");
  fs::create_directories(folder.path() / "b");
  const auto a = probed_losses(folder.path() / "a", late, 40), b = probed_losses(folder.path() / "b", early, 40);
  REQUIRE(out["checkpoints"].size() == 2);
  const json &first = out["checkpoints"][0], &second = out["checkpoints"][1];
  double mean = 0, difference = 0, level = 0;
  for (std::size_t i = 0; i < 40; ++i) {
    mean += double{a[i]} / 40;
    difference += (double{b[i]} - double{a[i]}) / 40;
    if (i >= 36) level += double{a[i]} / 4;
  }
  CHECK(first["validation"]["loss"].get<double>() == Approx(mean).epsilon(1e-5));
  CHECK(first["validation"]["by_noise_level"][9]["loss"].get<double>() == Approx(level).epsilon(1e-5));
  CHECK(first["validation"]["by_noise_level"][9]["t_from"] == 900);
  CHECK(second["difference_from_first"]["loss"].get<double>() == Approx(difference).epsilon(1e-4));
  CHECK(second["difference_from_first"]["loss"] > 0);  // 36 steps less
  // Paired: the difference is known better than either loss alone would say.
  CHECK(second["difference_from_first"]["standard_error"] <
        std::hypot(first["validation"]["standard_error"].get<double>(),
                   second["validation"]["standard_error"].get<double>()));
  CHECK(first["difference_from_first"]["loss"] == 0);
}

TEST_CASE_METHOD(Runs, "what a checkpoint cost and saw") {
  const json out = evaluated(late + " --count 20");
  const json& q = out["checkpoints"][0];
  CHECK(q["checkpoint"] == late);
  CHECK(q["run"] == "tiny");
  CHECK(q["model"] == "inline");
  CHECK(q["weights"] == "ema");
  CHECK(q["step"] == 40);
  CHECK(q["samples_seen"] == 40 * 8);
  CHECK(q["tokens_seen"] == 40 * 8 * 16);
  const auto flops = static_cast<double>(model::train_flops(trainer::model_of_checkpoint(late)));
  CHECK(q["model_flops"].get<double>() == Approx(40 * 8 * flops));
  CHECK(q["validation"]["samples"] == 20);
  CHECK(out["samples"].empty());
  CHECK(evaluated(late + " --count 20 --weights model")["checkpoints"][0]["validation"]["loss"] !=
        q["validation"]["loss"]);
}

TEST_CASE_METHOD(Runs, "one, two and four ranks find the same, and -o writes what --json prints") {
  const std::string file = (folder.path() / "quality.json").string(),
                    how = late + " " + early + " --count 45 --batch 4";
  const json alone = evaluated(how + " -o " + file);
  for (const int ranks : {1, 2, 4}) {
    CAPTURE(ranks);
    CHECK(evaluated(how, ranks) == alone);
  }
  std::string text(fs::file_size(file), ' ');
  std::ifstream(file).read(text.data(), static_cast<std::streamsize>(text.size()));
  CHECK(json::parse(text) == alone);
  check_refused(run_command(evaluate_command(how + " -o " + file)), {"quality.json", "exists"}, folder.path() / "none");
  CHECK(run_command(evaluate_command(how + " --force -o " + file)).exit_code == 0);
}

TEST_CASE_METHOD(Runs, "held-out latents of a file are taken where training had a file, but not that file") {
  const fs::path latents = write_latents(folder, 60, 8);
  train(0, write_run_file(folder),
        {"data.path=" + latents.string(), "run.directory=" + (folder.path() / "of-file").string()});
  const std::string of_file = (folder.path() / "of-file/checkpoint-10.h5").string();
  check_refused(run_command(evaluate_command(of_file)), {"was trained on", "latents.h5", "--data FILE"},
                folder.path() / "none");
  check_refused(run_command(evaluate_command(of_file + " --data " + latents.string())),
                {"latents.h5 is what", "was trained on", "--data FILE"}, folder.path() / "none");
  const TemporaryFolder other;
  const std::string held_out = write_latents(other, 50, 8).string();
  const json out = evaluated(of_file + " " + late + " --data " + held_out);
  CHECK(out["checkpoints"][0]["validation"]["samples"] == 50);  // all there are
  CHECK_THAT(out["notes"][0].get<std::string>(), contains("has 50 samples"));
  const std::string samples = sampled(of_file, "s", "--count 2");
  check_refused(run_command(evaluate_command("--samples " + samples)),
                {"samples.h5", "was trained on", "procedural set"}, folder.path() / "none");
}

TEST_CASE_METHOD(Runs, "samples are judged by their drawings") {
  const std::string samples = sampled(late, "s", "--count 20 --guidance 1 --sampler ddim");
  const json out = evaluated(early + " " + late + " --count 20 --samples " + samples);
  REQUIRE(out["samples"].size() == 1);
  const json& q = out["samples"][0];
  CHECK(q["file"] == samples);
  CHECK(q["checkpoint"] == late);
  CHECK(q["checkpoint_crc32"] == crc32_text(crc32_of_file(late)));
  CHECK(q["sampler"] == "ddim");
  CHECK(q["steps"] == 4);
  CHECK(q["guidance"] == 1);
  CHECK(q["count"] == 20);
  CHECK(q["frechet_low"] <= q["frechet_distance"]);
  CHECK(q["frechet_distance"] <= q["frechet_high"]);
  CHECK(q["frechet_distance"] > 2 * q["frechet_floor"].get<double>());
  CHECK(q["labels_read_right"] <= 1);
  // Alone, by the path in the file; and under the null label nothing can be right or wrong.
  const std::string unlabelled = sampled(late, "n", "--count 3 --labels null");
  const json alone = evaluated("--samples " + samples + " " + unlabelled);
  CHECK(alone["samples"][0] == q);
  CHECK_FALSE(alone["samples"][1].contains("labels_read_right"));
  CHECK_THAT(alone["notes"][0].get<std::string>(), contains("labels_read_right"));
}

TEST_CASE_METHOD(Runs, "true drawings stored as samples are at the floor, with every label right") {
  const model::ModelConfig m = trainer::model_of_checkpoint(late);
  constexpr std::int64_t kCount = 400;
  std::vector<float> latents(static_cast<std::size_t>(kCount * m.latent_size()));
  std::vector<std::int32_t> labels(kCount);
  std::vector<std::int64_t> indices(kCount);
  std::iota(indices.begin(), indices.end(), 0);
  trainer::make_procedural_dataset(m, 1)->read(indices, latents.data(), labels.data());
  const fs::path file = folder.path() / "true.h5";
  trainer::write_samples(file, m,
                         {.samples = latents,
                          .labels = labels,
                          .sampler = "ddpm",
                          .steps = 250,
                          .checkpoint = late,
                          .checkpoint_crc32 = crc32_text(crc32_of_file(late)),
                          .weights = "ema",
                          .dtype = "fp32"});
  const json out = evaluated("--samples " + file.string());
  const json& q = out["samples"][0];
  CHECK(q["labels_read_right"] > 0.97);  // 8 x 8 pixels
  CHECK(q["frechet_distance"].get<double>() < 2 * q["frechet_floor"].get<double>());
}

struct Refusals : Runs {
  void refused(const std::vector<std::string>& parts, const std::string& arguments) const {
    CAPTURE(arguments);
    check_refused(run_command(evaluate_command(arguments)), parts, folder.path() / "none");
  }
};

TEST_CASE_METHOD(Refusals, "bad input is one line") {
  const fs::path golden = fs::path(GPUMONTH_SOURCE_DIR) / "tests/golden/image";
  refused({"nothing to evaluate", "--samples"}, "");
  refused({"none.h5", "no such file"}, (folder.path() / "none.h5").string());
  refused({"--count"}, late + " --count 19");
  refused({"batch.h5", "not a checkpoint"}, (golden / "batch.h5").string());
  const fs::path bare = folder.path() / "bare.h5";
  fs::copy_file(late, bare);
  {
    const hdf5::Handle file(H5Fopen(bare.c_str(), H5F_ACC_RDWR, H5P_DEFAULT), H5Fclose);
    REQUIRE(H5Adelete(file.get(), "config_toml") >= 0);
  }
  refused({"bare.h5", "no configuration", "gpumonth train"}, bare.string());
  refused({"checkpoint-4.h5 is no samples.h5", "gpumonth sample"}, "--samples " + early);
  const std::string samples = sampled(late, "s", "--count 1");
  refused({"one sample", "--count 256"}, "--samples " + samples);
  const std::string larger =
      sampled(late, "l",
              fmt::format("--count 2 --model {} --set model.input_size=16",
                          folder
                              .write("m.toml",
                                     "[model]\ninput_size = 8\npatch_size = 2\nin_channels = 4\nhidden_size = 48\n"
                                     "depth = 2\nnum_heads = 2\nnum_classes = 10\n")
                              .string()));
  refused({"shape (2, 4, 16, 16)", "(2, 4, 8, 8)", "without --model"}, "--samples " + larger);
}

TEST_CASE_METHOD(Refusals, "a checkpoint without EMA is evaluated by its plain weights where asked for") {
  const fs::path plain = folder.path() / "plain.h5";
  fs::copy_file(late, plain);
  {
    const hdf5::Handle file(H5Fopen(plain.c_str(), H5F_ACC_RDWR, H5P_DEFAULT), H5Fclose);
    REQUIRE(H5Ldelete(file.get(), "/ema", H5P_DEFAULT) >= 0);
  }
  refused({"plain.h5 has no EMA weights (/ema)", "--weights model"}, plain.string());
  CHECK(evaluated(plain.string() + " --count 20 --weights model")["checkpoints"][0]["step"] == 40);
}

TEST_CASE_METHOD(Refusals,
                 "checkpoints of other latents are not compared; samples whose checkpoint has gone are not read") {
  const TemporaryFolder other;
  train(0, write_run_file(other), {"run.steps=2", "model.input_size=16"});
  refused({"model.input_size = 8", "16", "evaluate them apart"},
          late + " " + (other.path() / "out/checkpoint-2.h5").string());
  const fs::path moved = folder.path() / "moved.h5";
  fs::copy_file(late, moved);
  const std::string samples = sampled(moved.string(), "s", "--count 3");
  fs::copy_file(early, moved, fs::copy_options::overwrite_existing);
  refused({"no longer the checkpoint", "sample again"}, "--samples " + samples);
  fs::remove(moved);
  refused({"moved.h5 is not there", "give the checkpoint where it is now"}, "--samples " + samples);
  CHECK(evaluated(late + " --count 20 --samples " + samples)["samples"][0]["checkpoint"] == late);
}

TEST_CASE_METHOD(Refusals, "a file with no samples in it is refused") {
  const std::string samples = sampled(late, "s", "--count 2");
  {
    const hdf5::Handle file(H5Fopen(samples.c_str(), H5F_ACC_RDWR, H5P_DEFAULT), H5Fclose);
    for (const auto& [name, type, rank] :
         {std::tuple{"/samples", H5T_NATIVE_FLOAT, 4}, {"/labels", H5T_NATIVE_INT, 1}}) {
      REQUIRE(H5Ldelete(file.get(), name, H5P_DEFAULT) >= 0);
      const hsize_t dims[] = {0, 4, 8, 8};
      const hdf5::Handle space(H5Screate_simple(rank, dims, nullptr), H5Sclose);
      const hdf5::Handle made(H5Dcreate2(file.get(), name, type, space.get(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT),
                              H5Dclose);
      REQUIRE(made.get() >= 0);
    }
  }
  refused({"/samples has no samples", "sample again"}, "--samples " + samples);
}

}  // namespace
