// gpumonth train on bad input: one line that says what to mend, exit code 2, and nothing left behind.
#include <fmt/format.h>

#include <fstream>

#include "base/hdf5.h"
#include "runlog/reader.h"
#include "tests/catch.h"
#include "tests/trainer/runs.h"
#include "trainer/data/data.h"
#include "trainer/state/checkpoint.h"

using namespace gpumonth;
using namespace gpumonth::tests;
namespace fs = std::filesystem;

namespace {

struct Fixture {
  TemporaryFolder folder;
  fs::path file = write_run_file(folder), out = folder.path() / "out";

  CommandResult run(const std::vector<std::string>& overrides, int ranks = 0) const {
    return run_command(train_command(ranks, file, overrides));
  }
  void refused(const std::vector<std::string>& overrides, const std::vector<std::string>& parts) const {
    check_refused(run(overrides), parts, out);
    CHECK_FALSE(fs::exists(out));  // not even an empty folder
  }
  /// A checkpoint of the run file's model after 2 steps.
  fs::path checkpoint() const {
    train(0, file, {"run.steps=2", "run.directory=" + (folder.path() / "other").string()});
    return folder.path() / "other/checkpoint-2.h5";
  }
};

/// The first half of `file`.
fs::path truncated(const fs::path& file) {
  const fs::path copy = file.string() + ".truncated";
  fs::copy_file(file, copy);
  fs::resize_file(copy, fs::file_size(copy) / 2);
  return copy;
}

/// Lines of the program itself; mpirun adds its own about the job.
int own_lines(const std::string& text) {
  int count = 0;
  for (auto at = text.find("gpumonth: "); at != std::string::npos; at = text.find("gpumonth: ", at + 1)) ++count;
  return count;
}

TEST_CASE_METHOD(Fixture, "an unknown key is refused and the nearest named") {
  refused({"run.stepz=3"}, {"run.stepz", "did you mean 'run.steps'"});
  refused({"optimizer.learning-rate=3"}, {"did you mean 'optimizer.learning_rate'"});
  refused({"modle.depth=3"}, {"modle", "model"});
}

TEST_CASE_METHOD(Fixture, "a mistyped key in the file is refused with its line") {
  const auto bad = folder.write("bad.toml", "[run]\nsteps = 3\n\n[bacth]\nglobal = 8\n");
  check_refused(run_command(train_command(0, bad, {})), {"bad.toml:4", "bacth", "batch"}, out);
}

TEST_CASE_METHOD(Fixture, "wrong types and ranges are refused") {
  refused({"run.steps=many"}, {"run.steps", "integer", "many"});
  refused({"run.steps=2.5"}, {"run.steps", "integer"});
  refused({"run.steps=0"}, {"run.steps", "at least 1"});
  refused({"optimizer.learning_rate=1e30"}, {"optimizer.learning_rate", "1000"});
  refused({"optimizer.beta1=-0.1"}, {"optimizer.beta1"});
  refused({"run.dtype=fp16"}, {"run.dtype", "bf16"});
  refused({"model.learn_sigma=2"}, {"model.learn_sigma"});
  refused({"run.backend=quantum"}, {"run.backend", "cpu"});
  refused({"run.backend=gpu"}, {"run.backend", "did you mean 'cuda'?"});
  refused({"run.backend=CPU"}, {"run.backend", "did you mean 'cpu'?"});
  refused({"run.dtype=float32"}, {"run.dtype", "did you mean 'fp32'?"});
  refused({"comm.transport=gloo"}, {"comm.transport", "did you mean 'mpi'?"});
  refused({"comm.transport=pigeon"}, {"comm.transport", "mpi"});
}

TEST_CASE_METHOD(Fixture, "a placeholder in the folder's name that is not known is refused") {
  const auto directory = [&](const std::string& name) { return "run.directory=" + (out / name).string(); };
  refused({directory("{nam}")}, {"run.directory", "'{nam}'", "did you mean {name}?", "{ranks}, {time}"});
  refused({directory("{name}-{date}")}, {"'{date}'", "{name}, {ranks}, {time}"});
  refused({directory("{}")}, {"'{}'"});
  refused({directory("a{name")}, {"'{name'"});
  train(0, file, {directory("{name}-{ranks}"), "run.name={ranks}", "run.steps=1"});  // a value is not filled in again
  CHECK(names_in(out) == std::vector<std::string>{"{ranks}-1"});
}

TEST_CASE_METHOD(Fixture, "fewer OpenMP threads than asked for are refused: products would lack a part, in silence") {
  const auto train_with = [&](const std::string& environment, int threads, const std::string& name) {
    return run_command(environment + train_command(0, file,
                                                   {fmt::format("run.threads={}", threads),
                                                    "run.directory=" + (folder.path() / name).string()}));
  };
  check_refused(train_with("OMP_THREAD_LIMIT=1 ", 2, "out"),
                {"OpenMP gives 1 of 2 threads (OMP_THREAD_LIMIT=1)", "run.threads"}, out);
  CHECK_FALSE(fs::exists(out));
  // what nobody asked for is not refused
  REQUIRE(train_with("OMP_THREAD_LIMIT=1 ", 0, "limited").exit_code == 0);
  CHECK(runlog::read(folder.path() / "limited/run.h5").info.threads_per_rank == 1);
  // OMP_DYNAMIC would take threads away while others use the cores
  REQUIRE(train_with("", 2, "plain").exit_code == 0);
  REQUIRE(train_with("OMP_DYNAMIC=true ", 2, "dynamic").exit_code == 0);
  CHECK(losses(folder.path() / "dynamic/run.h5", 1, 10) == losses(folder.path() / "plain/run.h5", 1, 10));
}

TEST_CASE_METHOD(Fixture, "sizes that do not divide are refused") {
  refused({"model.num_heads=5"}, {"num_heads 5", "hidden_size 48"});
  refused({"model.patch_size=3"}, {"patch_size 3", "input_size 8"});
  refused({"model.frames=3", "model.temporal_patch_size=2"}, {"frames 3", "temporal_patch_size 2"});
  refused({"model.hidden_size=24", "model.frames=2"}, {"hidden_size = 24", "multiple of 16"});
}

TEST_CASE_METHOD(Fixture, "run files that cannot be read are refused") {
  check_refused(run_command(train_command(0, folder.path() / "none.toml", {})), {"none.toml", "no such file"}, out);
  const auto bad = folder.write("bad.toml", "[run\nsteps = 3\n");
  check_refused(run_command(train_command(0, bad, {})), {"bad.toml"}, out);
  check_refused(run_command(std::string(GPUMONTH_BINARY) + " train"), {"RUN", "--help"}, out);
  check_refused(run_command(train_command(0, file, {}) + " --sett a=b"), {"--sett", "--set"}, out);
}

TEST_CASE_METHOD(Fixture, "datasets that do not fit are refused") {
  const auto data = write_latents(folder, 16, 16);
  refused({"data.path=" + data.string()}, {"latents.h5", "(16, 4, 16, 16)", "model.input_size=16"});
  refused({"data.path=" + data.string(), "model.frames=2"}, {"latents.h5", "(16, 4, 16, 16)"});
  refused({"data.path=" + data.string(), "model.input_size=16", "model.num_classes=4"}, {"label", "num_classes"});
  refused({"data.path=" + (folder.path() / "none.h5").string()}, {"none.h5", "no such file"});
  refused({"data.path=" + truncated(data).string(), "model.input_size=16"}, {"truncated"});
  refused({"data.path=" + file.string()}, {"run.toml", "not an HDF5 file"});
  refused({"data.path=" + folder.path().string()}, {folder.path().string()});
  const auto foreign = folder.path() / "foreign.h5";
  hdf5::File::create(foreign).create_dataset<float>("/something", {3});
  refused({"data.path=" + foreign.string()}, {"foreign.h5", "/latents"});
}

TEST_CASE_METHOD(Fixture, "checkpoints that do not fit are refused") {
  const std::string good = checkpoint().string();
  const auto resume = [](const std::string& path) { return "run.resume=" + path; };
  refused({resume(good), "model.depth=1"}, {"checkpoint-2.h5", "depth 2"});
  refused({resume(good), "model.hidden_size=64"}, {"checkpoint-2.h5", "width 48"});
  refused({resume(good), "run.seed=9"}, {"run.seed"});
  refused({resume(good), "run.steps=2"}, {"run.steps = 2", "after step 2"});
  refused({resume(truncated(good).string())}, {"truncated"});
  refused({resume(file.string())}, {"run.toml", "not an HDF5 file"});
  refused({resume((folder.path() / "none.h5").string())}, {"none.h5", "no such file"});
  refused({resume((folder.path() / "other/run.h5").string())}, {"run.h5", "not a checkpoint"});
  refused({resume((fs::path(GPUMONTH_SOURCE_DIR) / "tests/golden/image/checkpoint.h5").string()),
           "model.hidden_size=32", "run.seed=20240301"},
          {"/ema", "weights only"});
}

TEST_CASE_METHOD(Fixture, "a folder with a run log is left as it is") {
  folder.write("out/run.h5", "mine");
  const auto result = run({});
  CHECK(result.exit_code == 2);
  CHECK_THAT(result.err, contains("run.h5 exists") && contains("run.directory"));
  CHECK(std::count(result.err.begin(), result.err.end(), '\n') == 1);
  CHECK(names_in(out) == std::vector<std::string>{"run.h5"});
  CHECK(fs::file_size(out / "run.h5") == 4);
}

TEST_CASE_METHOD(Fixture, "an output folder that cannot be made is refused") {
  refused({"run.directory=/proc/self/none/out"}, {"run.directory", "/proc/self/none/out"});
  refused({"run.directory=" + (file / "out").string()}, {"run.directory", "Not a directory"});
  refused({"run.directory=/proc/self/fd"}, {"/proc/self/fd"});
}

TEST_CASE_METHOD(Fixture, "a global batch that the ranks do not divide ends both ranks with one line") {
  const auto result = run({"batch.global=7"}, 2);
  INFO(result.err);
  CHECK(result.exit_code == 2);
  CHECK(own_lines(result.err) == 1);
  CHECK_THAT(result.err, contains("gpumonth: batch.global = 7 is not divisible by 2 ranks"));
  CHECK_FALSE(fs::exists(out));
}

TEST_CASE_METHOD(Fixture, "a mistake that only one rank can see ends both with one line") {
  folder.write("out/run.h5", "mine");  // the log is rank 0's
  const auto result = run({}, 2);
  INFO(result.err);
  CHECK(result.exit_code == 2);
  CHECK(own_lines(result.err) == 1);
  CHECK_THAT(result.err, contains("run.h5 exists"));
}

/// Step 5 of a run whose data overflow there: 8 of 128 samples, in patches of 256 values, which the embedding
/// adds up.
std::vector<std::string> breaking_in_step_5(const Fixture& f) {
  std::vector<std::int64_t> broken;
  for (std::int64_t i = 0; i < 8; ++i) broken.push_back(trainer::shuffled_index(4 * 8 + i, 128, 1));
  return {"data.path=" + write_latents(f.folder, 128, 8, broken).string(), "model.patch_size=8",
          "checkpoint.every_steps=1"};
}

void check_stopped_by_nan(const Fixture& f, const CommandResult& result) {
  INFO(result.err);
  CHECK(result.exit_code == 2);
  CHECK(own_lines(result.err) == 1);
  CHECK_THAT(result.err, contains("gpumonth: step 5: the") && contains("checkpoint-4.h5"));
  CHECK(names_in(f.out) == std::vector<std::string>{"checkpoint-3.h5", "checkpoint-4.h5", "run.h5"});
  const auto run = runlog::read(f.out / "run.h5");
  CHECK(run.clean_close);
  REQUIRE(run.steps.size() == 5);
  for (std::size_t i = 0; i < 4; ++i) CHECK(std::isfinite(run.steps[i].loss));
  CHECK_FALSE((std::isfinite(run.steps[4].loss) && std::isfinite(run.steps[4].grad_norm)));
  for (const char* group : {"/model", "/ema", "/optimizer/exp_avg", "/optimizer/exp_avg_sq"})
    for (const auto& [name, values] : read_tensors(f.out / "checkpoint-4.h5", group)) {
      INFO(group << "/" << name);
      CHECK(std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); }));
    }
}

TEST_CASE_METHOD(Fixture, "a loss that is not finite stops the run, keeps the log and the last good checkpoint") {
  check_stopped_by_nan(*this, run(breaking_in_step_5(*this)));
}

TEST_CASE_METHOD(Fixture, "a loss that is not finite stops all ranks") {
  check_stopped_by_nan(*this, run(breaking_in_step_5(*this), 2));
}

/// Samples of step `step`, of `count` of its 8 places from `first` on, in a dataset of 128.
std::vector<std::int64_t> samples_of_step(std::int64_t step, std::int64_t first, std::int64_t count) {
  std::vector<std::int64_t> samples;
  for (std::int64_t i = 0; i < count; ++i)
    samples.push_back(trainer::shuffled_index((step - 1) * 8 + first + i, 128, 1));
  return samples;
}

/// Puts NaN into, or takes it out of, one sample of latents.h5.
void set_value(const fs::path& path, std::int64_t sample, float value) {
  const hdf5::Handle file(H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT), H5Fclose);
  const hdf5::Handle latents(H5Dopen2(file.get(), "/latents", H5P_DEFAULT), H5Dclose);
  const hdf5::Handle space(H5Dget_space(latents.get()), H5Sclose), memory(H5Screate(H5S_SCALAR), H5Sclose);
  const hsize_t start[] = {static_cast<hsize_t>(sample), 1, 2, 3}, count[] = {1, 1, 1, 1};
  H5Sselect_hyperslab(space.get(), H5S_SELECT_SET, start, nullptr, count, nullptr);
  REQUIRE(H5Dwrite(latents.get(), H5T_NATIVE_FLOAT, memory.get(), space.get(), H5P_DEFAULT, &value) >= 0);
}

/// A sample that cannot be used turns up in step 8; mended, the run goes on as if nothing had been.
void check_bad_sample(const Fixture& f, int ranks, std::int64_t place) {
  INFO(ranks << " ranks, place " << place);
  const fs::path data = write_latents(f.folder, 128, 8), out = f.folder.path() / fmt::format("{}-{}", ranks, place);
  const std::string directory = "run.directory=" + out.string(), path = "data.path=" + data.string();
  train(ranks, f.file, {path, "run.directory=" + (out / "whole").string()});
  const std::int64_t bad = samples_of_step(8, place, 1)[0];
  set_value(data, bad, std::nanf(""));
  const auto result = f.run({path, directory}, ranks);
  INFO(result.err);
  CHECK(result.exit_code == 2);
  CHECK(own_lines(result.err) == 1);
  CHECK_THAT(result.err,
             contains(fmt::format("gpumonth: step 8: {}: /latents: sample {} holds NaN", data.string(), bad)) &&
                 contains("Stopped after step 7") && contains("run.resume=" + (out / "checkpoint-7.h5").string()));
  const auto log = runlog::read(out / "run.h5");
  CHECK(log.clean_close);
  CHECK(log.steps.size() == 7);
  fs::remove(data);
  write_latents(f.folder, 128, 8);
  train(ranks, f.file, {path, directory, "run.resume=" + (out / "checkpoint-7.h5").string()});
  CHECK(same_checkpoints(out / "checkpoint-10.h5", out / "whole/checkpoint-10.h5"));
  fs::remove(data);
}

TEST_CASE_METHOD(Fixture, "a sample that cannot be used loses nothing, whichever rank meets it") {
  check_bad_sample(*this, 0, 3);
  check_bad_sample(*this, 2, 1);  // rank 0's
  check_bad_sample(*this, 2, 6);  // rank 1's
}

TEST_CASE_METHOD(Fixture, "a dataset that is cut short while it is read loses nothing") {
  const fs::path data = write_latents(folder, 128, 8);
  const auto result = run_command(fmt::format(
      R"({} >{} & job=$!
         for i in $(seq 300); do grep -q '^step 2' {} && break; kill -0 $job || break; sleep 0.05; done
         truncate -s 60000 {}
         wait $job)",
      train_command(0, file, {"data.path=" + data.string(), "run.steps=1000000", "run.progress_s=0.1"}),
      (folder.path() / "said").string(), (folder.path() / "said").string(), data.string()));
  INFO(result.err);
  CHECK(result.exit_code == 2);
  CHECK_THAT(result.err, contains("was written to after it was opened") && contains("Stopped after step "));
  const auto log = runlog::read(out / "run.h5");
  CHECK(log.clean_close);
  CHECK(trainer::read_checkpoint_info(out / fmt::format("checkpoint-{}.h5", log.steps.back().step)).step ==
        log.steps.back().step);
}

TEST_CASE_METHOD(Fixture, "a first step without data leaves nothing behind") {
  const fs::path data = write_latents(folder, 128, 8);
  set_value(data, samples_of_step(1, 7, 1)[0], std::nanf(""));
  refused({"data.path=" + data.string()}, {"step 1: ", "holds NaN"});
  const auto two = run({"data.path=" + data.string()}, 2);
  CHECK(two.exit_code == 2);
  CHECK(own_lines(two.err) == 1);
  CHECK_FALSE(fs::exists(out));
}

TEST_CASE_METHOD(Fixture, "a resumed run says what is different") {
  const std::string good = checkpoint().string();
  refused({"run.resume=" + good, "model.num_heads=4"},
          {"checkpoint-2.h5 was written with model.num_heads = 2, this run has 4"});
  const auto result = train(0, file, {"run.resume=" + good, "batch.global=4", "optimizer.learning_rate=1e-4"});
  CHECK_THAT(result.out,
             contains("note: batch.global = 4, the checkpoint's run had 8: its 2 steps saw the samples at "
                      "places 0 to 15 of the order, step 3 begins at place 8: 8 samples are seen again\n") &&
                 contains("note: optimizer.learning_rate = 0.0001"));
}

TEST_CASE_METHOD(Fixture, "a learning rate that is far too high stops the run, and the log tells in which step") {
  const auto result = run({"optimizer.learning_rate=1000", "optimizer.warmup_steps=0", "run.steps=100"});
  INFO(result.err);
  CHECK(result.exit_code == 2);
  CHECK_THAT(result.err, contains("step ") && contains("learning_rate"));
  const auto log = runlog::read(out / "run.h5");
  REQUIRE(log.steps.size() > 1);
  CHECK_FALSE((std::isfinite(log.steps.back().loss) && std::isfinite(log.steps.back().grad_norm)));
  CHECK_THAT(result.err, contains(fmt::format("gpumonth: step {}: the ", log.steps.back().step)) &&
                             contains("no checkpoint had been written") && contains("learning_rate"));
  CHECK(names_in(out) == std::vector<std::string>{"run.h5"});
}

TEST_CASE_METHOD(Fixture, "{name}, {ranks} and progress appear where the run file says") {
  const auto result = train(0, file, {"run.directory=" + (folder.path() / "{name}-{ranks}").string(), "run.name=try"});
  CHECK(names_in(folder.path() / "try-1") == std::vector<std::string>{"checkpoint-10.h5", "run.h5"});
  CHECK_THAT(result.out, contains("done: 10 steps, loss ") && contains("try-1/run.h5"));
  const auto run = runlog::read(folder.path() / "try-1/run.h5");
  CHECK(run.info.dtype == "fp32");
  CHECK(run.info.global_batch == 8);
  CHECK_THAT(run.info.config_toml, contains("name = \"try\""));
}

}  // namespace
