// gpumonth probe on bad input: one line, exit code 2, no output file.
#include <fmt/format.h>

#include <cmath>
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
           batch = kGolden / "image/batch.h5", output_folder = folder.path() / "out", out = output_folder / "o.h5";

  Probe() { fs::create_directories(output_folder); }
  void refused(const std::vector<std::string>& parts, const std::string& more = "") const {
    const auto result =
        run_command(fmt::format("{} probe {} {} --batch {} --out {} {}", GPUMONTH_BINARY, checkpoint.string(),
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

TEST_CASE_METHOD(Probe, "a checkpoint that holds NaN gives no numbers") {
  const auto poisoned = folder.path() / "poisoned.h5";
  fs::copy_file(checkpoint, poisoned);
  {
    const hdf5::Handle file(H5Fopen(poisoned.c_str(), H5F_ACC_RDWR, H5P_DEFAULT), H5Fclose);
    const hdf5::Handle bias(H5Dopen2(file.get(), "/model/blocks.0.attn.qkv.bias", H5P_DEFAULT), H5Dclose);
    const hdf5::Handle space(H5Dget_space(bias.get()), H5Sclose);
    std::vector<float> values(static_cast<std::size_t>(H5Sget_simple_extent_npoints(space.get())), 0.1f);
    values.back() = std::nanf("");
    REQUIRE(H5Dwrite(bias.get(), H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) >= 0);
  }
  checkpoint = poisoned;
  refused({"poisoned.h5: /model/blocks.0.attn.qkv.bias holds NaN (element 95)"});
}

TEST_CASE_METHOD(Probe, "weights so large that the loss is no number give none") {
  const auto large = folder.path() / "large.h5";
  fs::copy_file(checkpoint, large);
  {
    const hdf5::Handle file(H5Fopen(large.c_str(), H5F_ACC_RDWR, H5P_DEFAULT), H5Fclose);
    const hdf5::Handle bias(H5Dopen2(file.get(), "/model/x_embedder.proj.bias", H5P_DEFAULT), H5Dclose);
    const std::vector<float> values(32, 3e38f);
    REQUIRE(H5Dwrite(bias.get(), H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) >= 0);
  }
  checkpoint = large;
  refused({"large.h5", "no finite number"});
}

TEST_CASE_METHOD(Probe, "a model of other heads than the checkpoint's is refused") {
  const auto run = write_run_file(folder);
  train(0, run, {"run.steps=2", "run.directory=" + (folder.path() / "trained").string()});
  checkpoint = folder.path() / "trained/checkpoint-2.h5";
  model = folder.write("model.toml",
                       "[model]\ninput_size = 8\npatch_size = 2\nhidden_size = 48\ndepth = 2\n"
                       "num_heads = 4\nnum_classes = 10\n");
  refused({"checkpoint-2.h5 was written with model.num_heads = 2, --model has 4"});
}

}  // namespace
