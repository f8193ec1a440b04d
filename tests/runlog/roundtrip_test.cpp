// What is written is read back; files that are no run log are refused with one line.
#include <fstream>
#include <limits>
#include <vector>

#include "base/error.h"
#include "base/hdf5.h"
#include "runlog/reader.h"
#include "runlog/schema.h"
#include "runlog/shared_samples.h"
#include "runlog/writer.h"
#include "tests/catch.h"
#include "tests/command.h"
#include "tests/runlog/samples.h"

using namespace gpumonth;
using namespace gpumonth::runlog;
using gpumonth::tests::contains;
using gpumonth::tests::TemporaryFolder;

namespace {

std::string error_of_reading(const std::filesystem::path& file) {
  try {
    read(file);
  } catch (const UserError& error) {
    CHECK(std::string(error.what()).find('\n') == std::string::npos);
    CHECK_THAT(error.what(), contains(file.filename().string()));
    return error.what();
  }
  return "no error";
}

}  // namespace

TEST_CASE("a run log reads back as it was written") {
  const TemporaryFolder folder;
  const auto file = folder.path() / "run.h5";
  const RunInfo info = samples::info(3);
  {
    Writer writer(file, info);
    for (int n = 1; n <= 1500; ++n) {
      writer.step(samples::step(n));
      if (n % 10 == 0) {
        const auto x = static_cast<float>(n);
        const std::vector<BucketRecord> buckets = {{n, 0, 1 << 20, 0.1, 0.2, 0.3}, {n, 1, 77, 0.4, 0.5, 0.6}};
        writer.buckets(buckets);
        writer.rank_times(n, std::vector<float>{x, 2 * x, 3 * x});
      }
      if (n == 700) writer.flush();
    }
    writer.close();
    writer.close();
  }
  const Run run = read(file);
  CHECK(run.path == file.string());
  CHECK(run.schema_version == kSchemaVersion);
  CHECK(run.clean_close);
  CHECK(run.info.config_toml == info.config_toml);
  CHECK(run.info.model_name == info.model_name);
  CHECK(run.info.world_size == 3);
  CHECK(run.info.threads_per_rank == 3);
  CHECK(run.info.global_batch == 16);
  CHECK(run.info.parameters == info.parameters);
  CHECK(std::isnan(run.info.peak_flops_per_s));
  CHECK(run.info.gemm_peak_flops_per_s == info.gemm_peak_flops_per_s);
  CHECK(run.info.library_versions == info.library_versions);
  CHECK(run.info.hostnames == info.hostnames);
  CHECK(run.info.start_time_utc == info.start_time_utc);
  CHECK(run.info.start_time_unix_s == info.start_time_unix_s);
  CHECK(run.info.resumed_from.empty());

  REQUIRE(run.steps.size() == 1500);
  bool all_same = true;
  for (std::size_t i = 0; i < run.steps.size(); ++i) {
    all_same = all_same && samples::same(run.steps[i], samples::step(static_cast<std::int64_t>(i) + 1));
  }
  CHECK(all_same);
  CHECK(std::ranges::distance(run.steady()) == 1500 - 3 - 150);
  CHECK(run.is_steady(4));
  CHECK_FALSE(run.is_steady(3));
  CHECK_FALSE(run.is_steady(10));
  CHECK_FALSE(run.is_steady(1501));
  Run gaps = run;
  std::erase_if(gaps.steps, [](const StepRecord& s) { return s.step % 3 == 0; });
  for (const std::int64_t step : {1, 2, 4, 500, 1499}) CHECK(gaps.find(step)->step == step);
  for (const std::int64_t step : {0, 3, 1500, 1502}) CHECK(gaps.find(step) == nullptr);
  REQUIRE(run.buckets.size() == 300);
  CHECK(run.buckets[299].step == 1500);
  CHECK(run.buckets[299].bucket == 1);
  CHECK(run.buckets[299].bytes == 77);
  CHECK(run.buckets[299].end_s == 0.6);
  REQUIRE(run.rank_steps.size() == 150);
  REQUIRE(run.rank_step_time_s.size() == 450);
  CHECK(run.rank_steps[149] == 1500);
  CHECK(run.rank_step_time_s[449] == 4500.0f);
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path()), {}) == 1);
}

TEST_CASE("every column has its unit, and phase is an enumeration") {
  const TemporaryFolder folder;
  Writer(folder.path() / "run.h5", samples::info()).close();
  const auto file = hdf5::File::open(folder.path() / "run.h5");
  int columns = 0;
  for (const std::string group : {"/steps", "/buckets", "/ranks"}) {
    for (const auto& name : file.names(group)) {
      CHECK_FALSE(file.text_attribute(group + "/" + name, "unit").empty());
      CHECK(file.dataset(group + "/" + name).shape()[0] == 0);
      ++columns;
    }
  }
  CHECK(columns == 17 + 6 + 2);
  CHECK(file.text_attribute("/steps/step_time_s", "unit") == "s");
  const hdf5::Handle type(H5Dget_type(file.dataset("/steps/phase").id()), H5Tclose);
  CHECK(H5Tget_class(type.get()) == H5T_ENUM);
}

TEST_CASE("energy and power are columns of runs that have a meter, and only of those") {
  const TemporaryFolder folder;
  const auto metered = folder.path() / "metered.h5", plain = folder.path() / "plain.h5";
  RunInfo info = samples::info();
  for (const auto& file : {plain, metered}) {
    info.power_source = file == metered ? "NVML, driver 1.2, energy counter of GPU 0000:65:00.0" : "";
    Writer writer(file, info);
    for (int n = 1; n <= 20; ++n) writer.step(samples::metered_step(n));
    writer.close();
  }
  const Run run = read(metered);
  CHECK(run.info.power_source == info.power_source);
  REQUIRE(run.steps.size() == 20);
  for (int n = 1; n <= 20; ++n) {
    const StepRecord expected = samples::metered_step(n), &got = run.steps[static_cast<std::size_t>(n) - 1];
    CHECK(samples::same(got, expected));
    CHECK(got.energy_j == expected.energy_j);
    CHECK(got.power_w == expected.power_w);
    CHECK(got.sm_clock_mhz == expected.sm_clock_mhz);
    CHECK((got.temperature_c == expected.temperature_c || n % 5 == 0));
    CHECK(std::isnan(got.temperature_c) == (n % 5 == 0));
    CHECK((got.clock_limit == expected.clock_limit || n % 7 == 0));
    CHECK(std::isnan(got.clock_limit) == (n % 7 == 0));
  }
  const auto file = hdf5::File::open(metered);
  CHECK(file.names("/steps").size() == 22);
  CHECK(file.text_attribute("/steps/energy_j", "unit") == "J");

  const Run without = read(plain);
  CHECK(without.info.power_source.empty());
  REQUIRE(without.steps.size() == 20);
  CHECK(samples::same(without.steps[7], samples::step(8)));
  CHECK(std::isnan(without.steps[7].energy_j));
  CHECK(hdf5::File::open(plain).names("/steps").size() == 17);
}

TEST_CASE("the norm of small gradients is a column of runs that have some, with or without a meter") {
  const TemporaryFolder folder;
  for (const bool metered : {false, true}) {
    const auto path = folder.path() / (metered ? "metered.h5" : "plain.h5");
    RunInfo info = samples::info();
    info.small_batch = 4;
    if (metered) info.power_source = "NVML";
    Writer writer(path, info);
    for (int n = 1; n <= 20; ++n) {
      StepRecord record = samples::metered_step(n);
      record.small_grad_norm = n == 7 ? std::nan("") : 9.0 * n;
      writer.step(record);
    }
    writer.close();
    const Run run = read(path);
    CHECK(run.info.small_batch == 4);
    REQUIRE(run.steps.size() == 20);
    CHECK(run.steps[2].small_grad_norm == 27);
    CHECK(std::isnan(run.steps[6].small_grad_norm));
    CHECK(samples::same(run.steps[19], samples::step(20)));
    CHECK(std::isnan(run.steps[2].power_w) != metered);
    const auto file = hdf5::File::open(path);
    CHECK(file.names("/steps").size() == (metered ? 23u : 18u));
    CHECK(file.text_attribute("/steps/small_grad_norm", "unit") == "1");
  }
  Writer(folder.path() / "none.h5", samples::info()).close();
  CHECK(read(folder.path() / "none.h5").info.small_batch == 0);
}

TEST_CASE("what gathering weights took is four columns of runs that do so") {
  const TemporaryFolder folder;
  const auto path = folder.path() / "full.h5";
  RunInfo info = samples::info();
  info.gathers_weights = true;
  Writer writer(path, info);
  StepRecord record = samples::step(1);
  record.gather_s = 0.25;
  record.exposed_gather_s = 0.125;
  record.gathered_bytes = 3e9;
  record.reduced_bytes = 2e9;
  writer.step(record);
  writer.close();
  const Run run = read(path);
  CHECK(run.info.gathers_weights);
  REQUIRE(run.steps.size() == 1);
  CHECK(run.steps[0].gather_s == 0.25);
  CHECK(run.steps[0].exposed_gather_s == 0.125);
  CHECK(run.steps[0].gathered_bytes == 3e9);
  CHECK(run.steps[0].reduced_bytes == 2e9);
  CHECK(samples::same(run.steps[0], samples::step(1)));
  CHECK(hdf5::File::open(path).names("/steps").size() == 21);
}

TEST_CASE("a loss that is not finite is stored and read as it is") {
  const TemporaryFolder folder;
  StepRecord record = samples::step(1);
  record.loss = std::nan("");
  record.grad_norm = std::numeric_limits<double>::infinity();
  {
    Writer writer(folder.path() / "run.h5", samples::info(1));
    writer.step(record);
  }
  const Run run = read(folder.path() / "run.h5");
  REQUIRE(run.steps.size() == 1);
  CHECK(std::isnan(run.steps[0].loss));
  CHECK(std::isinf(run.steps[0].grad_norm));
  CHECK_FALSE(run.clean_close);  // the writer was dropped, not closed
}

TEST_CASE("an output that exists or has no folder is refused") {
  const TemporaryFolder folder;
  const auto file = folder.write("run.h5", "mine");
  CHECK_THROWS_WITH(Writer(file, samples::info()), contains("run.h5") && contains("exists already"));
  std::ifstream text(file);
  std::string content;
  text >> content;
  CHECK(content == "mine");
  CHECK_THROWS_WITH(Writer(folder.path() / "none" / "run.h5", samples::info()), contains("there is no folder"));
  CHECK_THROWS_WITH(Writer("/proc/run.h5", samples::info()), contains("/proc/run.h5"));
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path()), {}) == 1);
}

TEST_CASE("columns of unequal length are cut to the shortest") {
  const TemporaryFolder folder;
  const auto path = folder.path() / "run.h5";
  {
    Writer writer(path, samples::info());
    for (int n = 1; n <= 20; ++n) writer.step(samples::step(n));
    writer.rank_times(1, std::vector<float>{1, 2});
    writer.rank_times(2, std::vector<float>{3, 4});
    writer.close();
  }
  const hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
  const auto shorten = [&](const char* name, std::vector<hsize_t> extent) {
    const hid_t dataset = H5Dopen2(file, name, H5P_DEFAULT);
    REQUIRE(H5Dset_extent(dataset, extent.data()) >= 0);
    H5Dclose(dataset);
  };
  shorten("/steps/loss", {17});
  shorten("/steps/step", {19});
  shorten("/ranks/step", {1});
  H5Fclose(file);
  const Run run = read(path);
  REQUIRE(run.steps.size() == 17);
  CHECK(samples::same(run.steps[16], samples::step(17)));
  CHECK(run.rank_steps.size() == 1);
  CHECK(run.rank_step_time_s == std::vector<float>{1, 2});
}

TEST_CASE("rank times that got their place and no values are left out of a log that was not closed, and of no other") {
  const TemporaryFolder folder;
  const auto path = folder.path() / "run.h5";
  const auto write = [&](bool close) {
    std::filesystem::remove(path);
    {
      Writer writer(path, samples::info());
      for (int n = 1; n <= 3; ++n) writer.step(samples::step(n));
      writer.rank_times(1, std::vector<float>{1, 2});
      writer.rank_times(2, std::vector<float>{3, 4});
      if (close) writer.close();
    }
    const hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
    for (const auto& [name, extent] :
         {std::pair{"/ranks/step_time_s", std::vector<hsize_t>{5, 2}}, {"/ranks/step", {4}}}) {
      const hid_t dataset = H5Dopen2(file, name, H5P_DEFAULT);
      REQUIRE(H5Dset_extent(dataset, extent.data()) >= 0);
      H5Dclose(dataset);
    }
    H5Fclose(file);
  };
  write(false);
  const Run run = read(path);
  CHECK(run.steps.size() == 3);
  CHECK(run.rank_steps == std::vector<std::int64_t>{1, 2});
  CHECK(run.rank_step_time_s == std::vector<float>{1, 2, 3, 4});
  write(true);
  CHECK_THAT(error_of_reading(path), contains("/ranks/step_time_s") && contains("damaged"));
}

TEST_CASE("what is no run log is refused in one line") {
  const TemporaryFolder folder;
  CHECK_THAT(error_of_reading(folder.path() / "missing.h5"), contains("no such file"));
  CHECK_THAT(error_of_reading(folder.write("text.h5", "hello")), contains("not an HDF5 file"));
  CHECK_THAT(error_of_reading(folder.write("empty.h5", "")), contains("not an HDF5 file"));
  CHECK_THAT(error_of_reading(folder.path()), contains("a folder"));

  const auto other = folder.path() / "other.h5";
  hdf5::File::create(other).set_attribute("/", "title", "somebody else's data");
  CHECK_THAT(error_of_reading(other), contains("not a gpumonth run log"));

  const auto next = folder.path() / "next.h5";
  {
    auto file = hdf5::File::create(next);
    file.set_attribute("/", "content", "gpumonth run log");
    file.set_attribute("/", "schema_version", 99);
    file.set_attribute("/", "gpumonth_version", "7.0");
  }
  CHECK_THAT(error_of_reading(next), contains("schema 99") && contains("7.0"));
}

TEST_CASE("a truncated run log is refused wherever it was cut") {
  const TemporaryFolder folder;
  const auto whole = folder.path() / "whole.h5";
  {
    Writer writer(whole, samples::info());
    for (int n = 1; n <= 2000; ++n) writer.step(samples::step(n));
    writer.close();
  }
  const auto size = std::filesystem::file_size(whole);
  const auto cut = folder.path() / "cut.h5";
  for (const double part : {0.001, 0.01, 0.05, 0.2, 0.5, 0.9}) {
    std::filesystem::copy_file(whole, cut, std::filesystem::copy_options::overwrite_existing);
    std::filesystem::resize_file(cut, static_cast<std::uintmax_t>(part * static_cast<double>(size)));
    CAPTURE(part);
    CHECK_THAT(error_of_reading(cut), contains("cut.h5"));
  }
}

TEST_CASE("all-to-alls of ranks that share samples are columns of their runs") {
  const TemporaryFolder folder;
  const auto path = folder.path() / "shared.h5";
  RunInfo info = samples::info(4);
  info.sequence_ranks = 2;
  Writer writer(path, info);
  for (int n = 1; n <= 20; ++n) {
    StepRecord record = samples::step(n);
    record.exchange_s = 1e-3 * n;
    record.exchanged_bytes = 1000 * n;
    writer.step(record);
  }
  writer.close();
  const Run run = read(path);
  CHECK(run.info.sequence_ranks == 2);
  CHECK(run.info.sequence_share == 1);
  CHECK(run.steps[4].exchange_s == Approx(5e-3));
  CHECK(run.steps[4].exchanged_bytes == 5000);
  CHECK(samples::same(run.steps[19], samples::step(20)));
  const auto file = hdf5::File::open(path);
  CHECK(file.names("/steps").size() == 19);
  CHECK(file.text_attribute("/steps/exchanged_bytes", "unit") == "B");
  CHECK_THAT(shared_samples_text(run), contains("2 ranks share each sample") && contains("MB sent by each rank"));
}

TEST_CASE("the log of one rank's share is read where it is asked for, and refused elsewhere") {
  const TemporaryFolder folder;
  const auto path = folder.path() / "share.h5";
  RunInfo info = samples::info();
  info.sequence_share = 8;
  Writer(path, info).close();
  CHECK_THROWS_WITH(read(path), contains("one of 8 ranks' share") && contains("no whole training"));
  CHECK_THROWS_WITH(read(path, Kind::any), contains("one of 8 ranks' share"));
  const Run run = read(path, Kind::shares_too);
  CHECK(run.info.sequence_share == 8);
  CHECK_THAT(shared_samples_text(run), contains("one of 8 ranks' share") && contains("losses mean nothing"));
  CHECK(shared_samples_text(Run{}).empty());
}
