// A consistency model distilled and sampled as a user does it: the same on any number of ranks, resumed to the bit, its work
// counted; bad input is one line.
#include <fmt/format.h>

#include "base/hdf5.h"
#include "model/flops.h"
#include "runlog/reader.h"
#include "tests/catch.h"
#include "tests/trainer/ops/values.h"
#include "tests/trainer/runs.h"
#include "trainer/probe/probe.h"

using namespace gpumonth;
using namespace gpumonth::tests;
namespace fs = std::filesystem;

namespace {

/// A short training of a tiny model, which teaches.
struct Taught {
  TemporaryFolder folder;
  fs::path file = write_run_file(folder), teacher = folder.path() / "teacher/checkpoint-4.h5";

  Taught() {
    train(0, file,
          {"run.directory=" + (folder.path() / "teacher").string(), "run.steps=4", "optimizer.ema_decay=0.5",
           "optimizer.learning_rate=1e-2"});
  }

  std::vector<std::string> overrides(const std::string& name, const std::vector<std::string>& more = {}) const {
    std::vector<std::string> all{"objective.kind=consistency", "objective.teacher=" + teacher.string(),
                                 "run.directory=" + (folder.path() / name).string()};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  /// The folder.
  fs::path distil(const std::string& name, const std::vector<std::string>& more = {}, int ranks = 0) const {
    train(ranks, file, overrides(name, more));
    return folder.path() / name;
  }
  std::vector<float> sample(const fs::path& checkpoint, const std::string& name, const std::string& more,
                            int ranks = 0) const {
    const fs::path out = folder.path() / name;
    const CommandResult result = sampling(checkpoint, out, more, ranks);
    INFO(result.err);
    REQUIRE(result.exit_code == 0);
    const auto written = hdf5::File::open(out / "samples.h5").dataset("/samples");
    std::vector<float> samples(static_cast<std::size_t>(hdf5::element_count(written.shape())));
    written.read(samples.data());
    return samples;
  }
  CommandResult sampling(const fs::path& checkpoint, const fs::path& out, const std::string& more,
                         int ranks = 0) const {
    const std::string command = fmt::format("{} sample {} -o {} --backend cpu --dtype fp32 --threads 1 --no-sheet {}",
                                            GPUMONTH_BINARY, checkpoint.string(), out.string(), more);
    return run_command(ranks > 0 ? mpirun(ranks, command) : command);
  }
};

TEST_CASE_METHOD(Taught, "one, two and four ranks distil the same student") {
  const auto alone = losses(distil("alone") / "run.h5", 1, 10);
  for (const int ranks : {2, 4}) {
    INFO(ranks << " ranks");
    const auto shared = losses(distil(std::to_string(ranks), {}, ranks) / "run.h5", 1, 10);
    for (std::size_t i = 0; i < alone.size(); ++i) CHECK(shared[i] == Approx(alone[i]).epsilon(1e-5));
  }
}

TEST_CASE_METHOD(Taught, "micro-batches distil the same student") {
  const auto whole = losses(distil("whole") / "run.h5", 1, 10);
  for (const int ranks : {0, 2}) {
    const auto parts = losses(distil(fmt::format("parts-{}", ranks), {"batch.accumulate=2"}, ranks) / "run.h5", 1, 10);
    for (std::size_t i = 0; i < whole.size(); ++i) CHECK(parts[i] == Approx(whole[i]).epsilon(1e-5));
  }
}

TEST_CASE_METHOD(Taught, "10 steps of distillation are 5 and 5 more, bit for bit, on one rank and on two") {
  for (const int ranks : {0, 2}) {
    INFO(ranks << " ranks");
    const fs::path whole = distil(fmt::format("whole-{}", ranks), {}, ranks);
    const std::string halves = fmt::format("halves-{}", ranks);
    const fs::path at = distil(halves, {"run.steps=5"}, ranks);
    distil(halves, {"run.resume=" + (at / "checkpoint-5.h5").string()}, ranks);
    CHECK(same_checkpoints(at / "checkpoint-10.h5", whole / "checkpoint-10.h5"));
    CHECK_FALSE(same_checkpoints(at / "checkpoint-5.h5", whole / "checkpoint-10.h5"));
  }
}

TEST_CASE_METHOD(Taught, "the student begins as the teacher's average, and its variance output stays as it was") {
  const fs::path out = distil("student", {"optimizer.weight_decay=0"});
  const Tensors before = read_tensors(teacher, "/ema"), after = read_tensors(out / "checkpoint-10.h5", "/model");
  const double distance = largest_distance(after, before);
  CHECK(distance > 1e-4);
  for (const char* name : {"final_layer.linear.weight", "final_layer.linear.bias"}) {
    const auto &a = after.at(name), &b = before.at(name);
    const std::size_t rows = 32, width = a.size() / rows;  // four pixels of a patch, eight channels each
    for (std::size_t i = 0; i < a.size(); ++i) {
      const bool variance = i / width % 8 >= 4;
      if (variance) REQUIRE(a[i] == b[i]);
    }
    CHECK_FALSE(same_bits(a, b));
  }
}

TEST_CASE_METHOD(Taught, "the log counts the passes of the teacher and of the target") {
  const auto forward = static_cast<double>(model::forward_flops(trainer::model_of_checkpoint(teacher)));
  for (const auto& [more, passes] : {std::pair{"objective.guidance=4", 6}, std::pair{"objective.guidance=1", 5}}) {
    INFO(more);
    const auto log = runlog::read(distil(more, {more, "run.steps=2"}) / "run.h5");
    CHECK(log.steps[0].model_flops == 8 * passes * forward);
    CHECK(log.steps[0].hardware_flops == log.steps[0].model_flops);
  }
}

TEST_CASE_METHOD(Taught, "a consistency model is sampled in few steps, the same on two ranks") {
  const fs::path student = distil("student") / "checkpoint-10.h5";
  const std::string how = "--sampler consistency --count 5 --batch 2 ";
  const auto one = sample(student, "one", how + "--steps 1");
  CHECK(same_bits(sample(student, "ranks", how + "--steps 1", 2), one));
  const auto four = sample(student, "four", how);
  CHECK(four.size() == one.size());
  CHECK(relative_distance(four, one) > 1e-3);
  const auto log = runlog::read(folder.path() / "four/run.h5", runlog::Kind::any);
  REQUIRE(log.info.sampling);
  CHECK(log.info.sampling->sampler == "consistency");
  CHECK(log.info.sampling->steps == 4);
  CHECK(log.info.sampling->guidance == 1);
  REQUIRE(log.steps.size() == 3 * 4);
  CHECK(log.steps[0].model_flops ==
        2 * static_cast<double>(model::forward_flops(trainer::model_of_checkpoint(student))));
}

TEST_CASE_METHOD(Taught, "a sampler that is not the checkpoint's is refused") {
  const fs::path student = distil("student", {"run.steps=1"}) / "checkpoint-1.h5", out = folder.path() / "out";
  check_refused(sampling(student, out, ""), {"checkpoint-1.h5 is a consistency model", "--sampler consistency"}, out);
  check_refused(sampling(student, out, "--sampler ddim"), {"is a consistency model"}, out);
  check_refused(sampling(student, out, "--sampler consistency --guidance 2"),
                {"checkpoint-1.h5 has its teacher's guidance distilled in", "--guidance"}, out);
  check_refused(sampling(student, out, "--sampler consistency --steps 0"), {"0 sampling steps", "1 to 1000"}, out);
  check_refused(sampling(teacher, out, "--sampler consistency"),
                {"checkpoint-4.h5 is no consistency model", "--sampler ddpm or ddim"}, out);
}

TEST_CASE_METHOD(Taught, "no diffusion loss is taken of a consistency model, but its samples are evaluated") {
  const fs::path student = distil("student", {"run.steps=1"}) / "checkpoint-1.h5";
  const fs::path quality = folder.path() / "quality.json";
  check_refused(run_command(fmt::format("{} evaluate {} -o {}", GPUMONTH_BINARY, student.string(), quality.string())),
                {"checkpoint-1.h5 is a consistency model", "--samples"}, folder.path() / "nothing");
  sample(student, "samples", "--sampler consistency --steps 1 --count 24");
  const CommandResult result = run_command(
      fmt::format("{} evaluate --samples {} --json", GPUMONTH_BINARY, (folder.path() / "samples/samples.h5").string()));
  INFO(result.err);
  CHECK(result.exit_code == 0);
  CHECK_THAT(result.out, contains("\"consistency\"") && contains("frechet_distance"));
}

TEST_CASE_METHOD(Taught, "a teacher that cannot teach is refused") {
  const fs::path out = folder.path() / "out";
  const auto refused = [&](std::vector<std::string> more, const std::vector<std::string>& parts, int ranks = 0) {
    more.push_back("run.directory=" + out.string());
    const CommandResult result = run_command(train_command(ranks, file, more));
    CAPTURE(result.err);
    if (ranks == 0) check_refused(result, parts, out);
    CHECK(result.exit_code == 2);
    CHECK_THAT(result.err, contains(parts[0]));
  };
  const std::string kind = "objective.kind=consistency", by = "objective.teacher=" + teacher.string();
  refused({kind}, {"needs a trained network to learn from", "objective.teacher"});
  refused({by}, {"has no part in objective.kind = \"diffusion\"", "checkpoint-4.h5"});
  refused({kind, "objective.teacher=" + (folder.path() / "none.h5").string()}, {"none.h5", "no such file"});
  refused({kind, by, "model.num_heads=4"}, {"checkpoint-4.h5 was written with model.num_heads = 2, this run has 4"});
  refused({kind, by, "model.num_heads=4"}, {"model.num_heads = 2, this run has 4"}, 2);
  refused({kind, by, "model.depth=3"}, {"model.depth = 2, this run has 3"});
  refused({kind, by, "model.class_dropout_prob=0"},
          {"objective.guidance = 4 needs a null label", "objective.guidance = 1"});
  refused({kind, by, "objective.skip=0"}, {"objective.skip"});
  refused({"objective.kind=lcm", by}, {"objective.kind", "consistency"});
  refused({kind, "objective.teacher=" + std::string(GPUMONTH_SOURCE_DIR) + "/tests/golden/image/checkpoint.h5"},
          {"has no EMA weights"});
  const fs::path student = distil("student", {"run.steps=1"}) / "checkpoint-1.h5";
  refused({kind, "objective.teacher=" + student.string()}, {"checkpoint-1.h5 is a consistency model itself"});
  refused({"run.resume=" + student.string()}, {"checkpoint-1.h5 was written with objective.kind = ", "consistency"});
}

}  // namespace
