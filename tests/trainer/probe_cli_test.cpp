// gpumonth probe on bad input: one line, exit code 2, no output file.
#include <fmt/format.h>

#include <fstream>

#include "base/hdf5.h"
#include "tests/catch.h"
#include "tests/trainer/runs.h"

using namespace gpumonth;
using namespace gpumonth::tests;
namespace fs = std::filesystem;

namespace {

const fs::path kGolden = fs::path(GPUMONTH_SOURCE_DIR) / "tests/golden";

struct Probe {
  TemporaryFolder folder;
  fs::path checkpoint = kGolden / "image/checkpoint.h5", model = kGolden / "image/model.toml",
           batch = kGolden / "image/batch.h5", output_folder = folder.path() / "out",
           out = output_folder / "o.h5";

  Probe() { fs::create_directories(output_folder); }
  void refused(const std::vector<std::string>& parts, const std::string& more = "") const {
    const auto result = run_command(
        fmt::format("{} probe {} {} --batch {} --out {} {}", GPUMONTH_BINARY, checkpoint.string(),
                    model.empty() ? "" : "--model " + model.string(), batch.string(), out.string(), more));
    check_refused(result, parts, output_folder);
  }
  fs::path truncated(const fs::path& file) const {
    const fs::path copy = folder.path() / "truncated.h5";
    fs::copy_file(file, copy, fs::copy_options::overwrite_existing);
    fs::resize_file(copy, fs::file_size(copy) / 2);
    return copy;
  }
};

TEST_CASE_METHOD(Probe, "a checkpoint of another model is refused") {
  checkpoint = kGolden / "video/checkpoint.h5";
  refused({"checkpoint.h5", "width 48"});
  checkpoint = kGolden / "image-no-sigma/checkpoint.h5";
  refused({"checkpoint.h5", "depth 1"});
}

TEST_CASE_METHOD(Probe, "a batch of another shape is refused") {
  batch = kGolden / "video/batch.h5";
  refused({"batch.h5", "/x_start", "(3, 4, 8, 8)"});
  batch = kGolden / "image-odd/batch.h5";
  refused({"batch.h5", "/x_start"});
}

TEST_CASE_METHOD(Probe, "files that are missing, truncated or foreign are refused") {
  batch = folder.path() / "none.h5";
  refused({"none.h5", "no such file"});
  batch = truncated(kGolden / "image/batch.h5");
  refused({"truncated.h5"});
  batch = model;
  refused({"model.toml", "not an HDF5 file"});
  batch = checkpoint;
  refused({"checkpoint.h5", "/x_start"});
  batch = kGolden / "image/batch.h5";
  checkpoint = truncated(kGolden / "image/checkpoint.h5");
  refused({"truncated.h5"});
  checkpoint = batch;
  refused({"batch.h5", "not a checkpoint"});
  checkpoint = kGolden / "image/checkpoint.h5";
  model = folder.path() / "none.toml";
  refused({"none.toml", "no such file"});
}

TEST_CASE_METHOD(Probe, "a checkpoint that names no model asks for one") {
  const auto bare = folder.path() / "bare.h5";
  {
    auto file = hdf5::File::create(bare);
    file.create_group("/model");
  }
  checkpoint = bare;
  model.clear();
  refused({"bare.h5", "--model"});
}

TEST_CASE_METHOD(Probe, "wrong options are refused") {
  refused({"fp16"}, "--dtype fp16");
  refused({"--threads"}, "--threads 0");
  refused({"--bacth", "--batch"}, "--bacth x");
  refused({"model.depht", "model.depth"}, "--set model.depht=3");
  refused({"num_heads 5"}, "--set model.num_heads=5");
}

TEST_CASE_METHOD(Probe, "an output that exists or cannot be written is refused") {
  out = folder.write("kept/o.h5", "mine");
  refused({"o.h5 exists"});
  CHECK(fs::file_size(out) == 4);
  out = folder.path() / "nowhere/o.h5";
  refused({"nowhere"});
  CHECK_FALSE(fs::exists(folder.path() / "nowhere"));
  out = "/proc/self/o.h5";
  refused({"/proc/self/o.h5"});
}

}  // namespace
