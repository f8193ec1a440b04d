// gpumonth sample as a user runs it: what it writes, on any number of ranks the same; bad input is one line.
#include <fmt/format.h>

#include <fstream>

#include "base/crc32.h"
#include "base/hdf5.h"
#include "model/flops.h"
#include "runlog/reader.h"
#include "runlog/sampling_cost.h"
#include "tests/catch.h"
#include "tests/trainer/ops/values.h"
#include "tests/trainer/runs.h"
#include "trainer/probe/probe.h"

using namespace gpumonth;
using namespace gpumonth::tests;
namespace fs = std::filesystem;

namespace {

const fs::path kGolden = fs::path(GPUMONTH_SOURCE_DIR) / "tests/golden";

std::string sample_command(const fs::path& checkpoint, const fs::path& out, const std::string& more) {
  return fmt::format("{} sample {} -o {} --backend cpu --dtype fp32 {}", GPUMONTH_BINARY, checkpoint.string(),
                     out.string(), more);
}

struct Sampled {
  std::vector<float> samples;
  std::vector<std::int32_t> labels;
};

template <class T>
std::vector<T> values_of(const hdf5::File& file, const std::string& name) {
  const auto dataset = file.dataset(name);
  std::vector<T> values(static_cast<std::size_t>(hdf5::element_count(dataset.shape())));
  dataset.read(values.data());
  return values;
}

/// Runs it; the test fails where it does not exit with 0.
Sampled sample(const fs::path& checkpoint, const fs::path& out, const std::string& more, int ranks = 0) {
  const std::string command = sample_command(checkpoint, out, more);
  INFO(command);
  const CommandResult result = run_command(ranks > 0 ? mpirun(ranks, command) : command);
  INFO(result.err);
  REQUIRE(result.exit_code == 0);
  const auto file = hdf5::File::open(out / "samples.h5");
  return {values_of<float>(file, "/samples"), values_of<std::int32_t>(file, "/labels")};
}

/// A short training of a tiny model: its last checkpoint.
struct Trained {
  TemporaryFolder folder;
  fs::path checkpoint;

  Trained() {
    train(0, write_run_file(folder), {"run.steps=4", "optimizer.ema_decay=0.5", "optimizer.learning_rate=1e-2"});
    checkpoint = folder.path() / "out/checkpoint-4.h5";
  }
};

std::string crc32_of_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(file)), {});
  return crc32_text(crc32_of(bytes.data(), bytes.size()));
}

TEST_CASE_METHOD(Trained, "sample writes samples, a sheet, and a log of what each denoising step took") {
  const fs::path out = folder.path() / "samples";
  const auto [samples, labels] =
      sample(checkpoint, out, "--count 5 --batch 2 --steps 6 --labels 3,null --seed 7 --guidance 2");
  CHECK(names_in(out) == std::vector<std::string>{"run.h5", "samples.h5", "samples.png"});
  CHECK(samples.size() == 5 * 4 * 8 * 8);
  CHECK(labels == std::vector<std::int32_t>{3, 10, 3, 10, 3});
  const auto file = hdf5::File::open(out / "samples.h5");
  CHECK(file.dataset("/samples").shape() == hdf5::Shape{5, 4, 8, 8});
  CHECK(file.attribute<std::uint64_t>("/", "seed") == 7);
  CHECK(file.attribute<int>("/", "steps") == 6);
  CHECK(file.attribute<double>("/", "guidance") == 2);
  CHECK(file.attribute<std::int64_t>("/", "checkpoint_step") == 4);
  CHECK(file.text_attribute("/", "sampler") == "ddpm");
  CHECK(file.text_attribute("/", "weights") == "ema");
  CHECK(file.text_attribute("/", "checkpoint") == checkpoint.string());
  CHECK(file.text_attribute("/", "checkpoint_crc32") == crc32_of_file(checkpoint));

  const runlog::Run log = runlog::read(out / "run.h5", runlog::Kind::any);
  CHECK(log.clean_close);
  REQUIRE(log.steps.size() == 18);  // three batches of six steps
  REQUIRE(log.info.sampling);
  CHECK(log.info.sampling->sampler == "ddpm");
  CHECK(log.info.sampling->steps == 6);
  CHECK(log.info.sampling->guidance == 2);
  CHECK(log.info.sampling->checkpoint_crc32 == crc32_of_file(checkpoint));
  CHECK(log.rank_steps.size() == 18);
  const auto flops = static_cast<double>(model::forward_flops(trainer::model_of_checkpoint(checkpoint)));
  for (const auto& step : log.steps) {
    CHECK(step.samples == 2);
    CHECK(step.tokens == 2 * 16);
    CHECK(step.model_flops == 4 * flops);  // guidance: every sample twice
    CHECK((step.phase == runlog::Phase::warm_up) == (step.step <= 3));
  }
}

TEST_CASE_METHOD(Trained, "one, two and four ranks give the same samples, whatever the last batch lacks") {
  const std::string how = "--count 7 --batch 2 --steps 5 --threads 1 --no-sheet";
  const Sampled alone = sample(checkpoint, folder.path() / "alone", how);
  for (const int ranks : {1, 2, 4}) {
    CAPTURE(ranks);
    const Sampled shared = sample(checkpoint, folder.path() / std::to_string(ranks), how, ranks);
    CHECK(same_bits(shared.samples, alone.samples));
    CHECK(shared.labels == alone.labels);
  }
  const runlog::Run log = runlog::read(folder.path() / "4/run.h5", runlog::Kind::any);
  REQUIRE(log.steps.size() == 5);
  CHECK(log.steps[0].samples == 8);  // the one that nobody asked for is denoised with the others
  CHECK(log.info.world_size == 4);
  // Fewer of them are the first of them; another seed gives others.
  const Sampled fewer =
      sample(checkpoint, folder.path() / "fewer", "--count 3 --batch 2 --steps 5 --threads 1 --no-sheet");
  const std::vector<float> head(alone.samples.begin(),
                                alone.samples.begin() + static_cast<std::ptrdiff_t>(fewer.samples.size()));
  CHECK(same_bits(fewer.samples, head));
  const Sampled other = sample(checkpoint, folder.path() / "other", how + " --seed 2");
  CHECK(relative_distance(other.samples, alone.samples) > 0.1);
}

TEST_CASE_METHOD(Trained,
                 "EMA weights are what is sampled, plain ones where asked for; ddim and no guidance are others") {
  const std::string how = "--count 2 --batch 2 --steps 5 --threads 1 --no-sheet ";
  const Sampled ema = sample(checkpoint, folder.path() / "a", how);
  int at = 0;
  for (const char* more : {"--weights model", "--sampler ddim", "--guidance 1"}) {
    CAPTURE(more);
    const Sampled other = sample(checkpoint, folder.path() / std::to_string(at++), how + more);
    CHECK(relative_distance(other.samples, ema.samples) > 1e-5);
  }
}

TEST_CASE_METHOD(Trained, "a log of sampling is not taken for one of training") {
  sample(checkpoint, folder.path() / "s", "--count 2 --batch 2 --steps 5 --no-sheet");
  const std::string log = (folder.path() / "s/run.h5").string();
  const std::string out = (folder.path() / "r").string();
  const std::vector<std::string> commands = {"fit " + log, "compare " + log + " " + log, "replay " + log + " -o " + out,
                                             "export " + log + " --csv " + out,
                                             "report " + log + " -o " + out + ".html"};
  for (const std::string& command : commands) {
    const CommandResult result = run_command(std::string(GPUMONTH_BINARY) + " " + command);
    CAPTURE(command, result.err);
    CHECK(result.exit_code == 2);
    CHECK_THAT(result.err, contains("run.h5: a log of gpumonth sample"));
  }
}

TEST_CASE("clips are sampled as clips, under a model file too") {
  const TemporaryFolder folder;
  const Sampled clips =
      sample(kGolden / "video/checkpoint.h5", folder.path() / "clips", "--weights model --count 3 --steps 4");
  CHECK(hdf5::File::open(folder.path() / "clips/samples.h5").dataset("/samples").shape() == hdf5::Shape{3, 4, 4, 8, 8});
  CHECK(clips.labels == std::vector<std::int32_t>{0, 1, 2});
  sample(kGolden / "video/checkpoint.h5", folder.path() / "longer",
         fmt::format("--weights model --count 2 --steps 4 --model {} --set model.frames=8",
                     (kGolden / "video/model.toml").string()));
  CHECK(hdf5::File::open(folder.path() / "longer/samples.h5").dataset("/samples").shape() ==
        hdf5::Shape{2, 4, 8, 8, 8});
}

struct Refusals {
  TemporaryFolder folder;
  fs::path checkpoint = kGolden / "image/checkpoint.h5", out = folder.path() / "out";

  void refused(const std::vector<std::string>& parts, const std::string& more = "--weights model") const {
    check_refused(run_command(sample_command(checkpoint, out, more)), parts, out);
    CHECK_FALSE(fs::exists(out / "samples.h5"));
  }
};

TEST_CASE_METHOD(Refusals, "options that are out of range are refused") {
  refused({"1001 sampling steps", "the schedule has 1000"}, "--weights model --steps 1001");
  refused({"1 sampling steps", "2 to 1000"}, "--weights model --steps 1");
  refused({"--labels: '10' is no label", "0 to 9 or null"}, "--weights model --labels 3,10");
  refused({"--guidance"}, "--weights model --guidance -1");
  refused({"--count"}, "--weights model --count 0");
  refused({"--batch"}, "--weights model --batch 0");
  refused({"--sampler"}, "--weights model --sampler euler");
  refused({"--steps", "--stpes"}, "--weights model --stpes 5");
}

TEST_CASE_METHOD(Refusals, "a checkpoint without EMA says how to go on") {
  refused({"checkpoint.h5 has no EMA weights (/ema)", "--weights model"}, "");
}

TEST_CASE_METHOD(Refusals, "a model without a null label cannot be guided, and has no null label") {
  checkpoint = kGolden / "image-odd/checkpoint.h5";
  refused({"guidance 4 needs a null label", "--guidance 1"});
  refused({"no null label"}, "--weights model --guidance 1 --labels null");
}

TEST_CASE_METHOD(Refusals, "a checkpoint of video is not sampled as images, nor the reverse") {
  const std::string image = " --model " + (kGolden / "image/model.toml").string(),
                    video = " --model " + (kGolden / "video/model.toml").string();
  refused({"checkpoint.h5 was trained on images, and --model is a model of video"}, "--weights model" + video);
  checkpoint = kGolden / "video/checkpoint.h5";
  refused({"checkpoint.h5 was trained on video, and --model is a model of images"}, "--weights model" + image);
}

TEST_CASE_METHOD(Refusals, "files that are missing or foreign, and outputs that are there, are refused") {
  checkpoint = folder.path() / "none.h5";
  refused({"none.h5", "no such file"});
  checkpoint = kGolden / "image/batch.h5";
  refused({"batch.h5", "not a checkpoint"});
  checkpoint = kGolden / "image/checkpoint.h5";
  const fs::path there = folder.path() / "there";
  fs::create_directories(there);
  std::ofstream(there / "samples.png") << "mine";
  check_refused(run_command(sample_command(checkpoint, there, "--weights model")), {"samples.png exists", "-o"}, out);
  CHECK(names_in(there) == std::vector<std::string>{"samples.png"});
  CHECK(fs::file_size(there / "samples.png") == 4);
}

TEST_CASE_METHOD(Refusals, "weights that lead beyond what fp32 holds give no samples") {
  const auto large = folder.path() / "large.h5";
  fs::copy_file(checkpoint, large);
  {
    const hdf5::Handle file(H5Fopen(large.c_str(), H5F_ACC_RDWR, H5P_DEFAULT), H5Fclose);
    const hdf5::Handle bias(H5Dopen2(file.get(), "/model/final_layer.linear.bias", H5P_DEFAULT), H5Dclose);
    const std::vector<float> values(32, 3e38f);
    REQUIRE(H5Dwrite(bias.get(), H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) >= 0);
  }
  const auto result =
      run_command(sample_command(large, out, "--weights model --count 1 --batch 1 --steps 4 --no-sheet"));
  CAPTURE(result.err);
  CHECK(result.exit_code == 2);
  CHECK_THAT(result.err, contains("sample 0 holds"));
  CHECK_FALSE(fs::exists(out / "samples.h5"));
}

}  // namespace
