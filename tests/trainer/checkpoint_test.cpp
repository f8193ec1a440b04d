// Checkpoints: bit-exact, atomic, readable without the rest, and refused where they are of another model.
#include "trainer/state/checkpoint.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>

#include "base/error.h"
#include "base/hdf5.h"
#include "tests/catch.h"
#include "tests/command.h"

using namespace gpumonth;
using namespace gpumonth::trainer;
using gpumonth::tests::contains;
using gpumonth::tests::TemporaryFolder;

namespace {

model::ModelConfig small_model() {
  model::ModelConfig model;
  model.input_size = 8;
  model.hidden_size = 12;
  model.depth = 2;
  model.num_heads = 2;
  model.num_classes = 5;
  return model;
}

using Buffer = std::vector<float>;

/// Every finite bit pattern is allowed in a buffer, denormals and negative zeros too; in second moments, which are sums
/// of squares, none below zero.
Buffer bits(std::int64_t size, std::uint32_t seed, bool non_negative = false) {
  Buffer values(static_cast<std::size_t>(size));
  for (auto& value : values) {
    do {
      value = std::bit_cast<float>(seed = seed * 1664525u + 1013904223u);
    } while (!std::isfinite(value));
    if (non_negative) value = std::abs(value);
  }
  return values;
}

bool same_tensors(const model::ParameterTable& table, const Buffer& a, const Buffer& b) {
  for (const auto& p : table.all()) {
    const auto bytes = static_cast<std::size_t>(p.count) * sizeof(float);
    if (std::memcmp(a.data() + p.offset, b.data() + p.offset, bytes) != 0) return false;
  }
  return true;
}

struct State {
  explicit State(const model::ParameterTable& table, std::uint32_t seed = 0)
      : weights(bits(table.flat_size(), seed)), ema(bits(table.flat_size(), seed + 1)),
        exp_avg(bits(table.flat_size(), seed + 2)), exp_avg_sq(bits(table.flat_size(), seed + 3, true)) {}
  TrainingState pointers() { return {weights.data(), ema.data(), exp_avg.data(), exp_avg_sq.data()}; }
  Buffer weights, ema, exp_avg, exp_avg_sq;
};

const CheckpointInfo kInfo{1234, 0xfedcba9876543210ull, "[model]\ndepth = 2\n", {2000, "crc32 0123abcd"}};

void write(const std::filesystem::path& file, const model::ParameterTable& table, State& state) {
  write_checkpoint(file, table, state.pointers(), Buffer(16 * 12, 0.5f), {1, 16, 12}, kInfo);
}

std::ptrdiff_t entries(const std::filesystem::path& folder) {
  return std::distance(std::filesystem::directory_iterator(folder), {});
}

std::string error_of_reading(const std::filesystem::path& file, const model::ParameterTable& table) {
  State state(table, 50), before(table, 50);
  try {
    read_checkpoint(file, table, {.parameters = state.weights.data()});
  } catch (const UserError& error) {
    CHECK(same_tensors(table, state.weights, before.weights));  // untouched
    CHECK(std::string(error.what()).find('\n') == std::string::npos);
    return error.what();
  }
  return "no error";
}

}  // namespace

TEST_CASE("a checkpoint reads back bit for bit") {
  const TemporaryFolder folder;
  const auto file = folder.path() / "step-1234.h5";
  const model::ParameterTable table(small_model());
  State written(table, 1), seen(table, 100);
  write(file, table, written);
  const CheckpointInfo info = read_checkpoint(file, table, seen.pointers());
  CHECK(same_tensors(table, seen.weights, written.weights));
  CHECK(same_tensors(table, seen.ema, written.ema));
  CHECK(same_tensors(table, seen.exp_avg, written.exp_avg));
  CHECK(same_tensors(table, seen.exp_avg_sq, written.exp_avg_sq));
  CHECK(info.step == kInfo.step);
  CHECK(info.seed == kInfo.seed);
  CHECK(info.config_toml == kInfo.config_toml);
  CHECK(info.dataset == kInfo.dataset);
  CHECK(read_checkpoint_info(file).step == kInfo.step);
  CHECK(entries(folder.path()) == 1);

  const auto hdf5 = hdf5::File::open(file);
  CHECK(hdf5.dataset("/model/blocks.1.attn.qkv.weight").shape() == hdf5::Shape{36, 12});
  CHECK(hdf5.dataset("/model/x_embedder.proj.weight").shape() == hdf5::Shape{12, 4, 2, 2});
  CHECK(hdf5.dataset("/model/pos_embed").shape() == hdf5::Shape{1, 16, 12});
  CHECK(hdf5.dataset("/ema/pos_embed").shape() == hdf5::Shape{1, 16, 12});
}

TEST_CASE("writing again replaces the checkpoint") {
  const TemporaryFolder folder;
  const auto file = folder.path() / "last.h5";
  const model::ParameterTable table(small_model());
  State first(table, 1), second(table, 2), seen(table, 3);
  write(file, table, first);
  write(file, table, second);
  read_checkpoint(file, table, seen.pointers());
  CHECK(same_tensors(table, seen.weights, second.weights));
  CHECK(entries(folder.path()) == 1);
}

TEST_CASE("a file with /model alone gives weights, whatever its layout") {
  const TemporaryFolder folder;
  const auto path = folder.path() / "weights.h5";
  const model::ParameterTable table(small_model());
  Buffer weights(static_cast<std::size_t>(table.flat_size()));
  for (std::size_t i = 0; i < weights.size(); ++i) weights[i] = 0.25f * static_cast<float>(i);
  {
    // As h5py may write it: big-endian float64, chunked, compressed.
    auto file = hdf5::File::create(path);
    file.create_group("/model");
    for (const auto& p : table.all()) {
      std::vector<hsize_t> dims(p.shape.begin(), p.shape.end());
      const hid_t space = H5Screate_simple(static_cast<int>(dims.size()), dims.data(), nullptr);
      const hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
      H5Pset_chunk(creation, static_cast<int>(dims.size()), dims.data());
      H5Pset_deflate(creation, 4);
      const hid_t dataset = H5Dcreate2(file.id(), ("/model/" + p.name).c_str(), H5T_IEEE_F64BE, space, H5P_DEFAULT,
                                       creation, H5P_DEFAULT);
      H5Dwrite(dataset, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, weights.data() + p.offset);
      H5Dclose(dataset), H5Pclose(creation), H5Sclose(space);
    }
  }
  State seen(table, 3);
  const auto info = read_checkpoint(path, table, {.parameters = seen.weights.data()});
  CHECK(same_tensors(table, seen.weights, weights));
  CHECK(info.step == 0);
  CHECK_THROWS_WITH(read_checkpoint(path, table, seen.pointers()), contains("weights.h5") && contains("/ema"));
}

TEST_CASE("checkpoints of another model are refused by name and shape") {
  const TemporaryFolder folder;
  const auto path = folder.path() / "ck.h5";
  const model::ParameterTable table(small_model());
  const auto reading_as = [&](auto&& change) {
    model::ModelConfig model = small_model();
    change(model);
    return error_of_reading(path, model::ParameterTable(model));
  };
  State state(table);
  write(path, table, state);
  CHECK_THAT(reading_as([](auto& m) { m.hidden_size = 24; }),
             contains("the model needs (32, 24)") && contains("width 12, depth 2") && contains("patch 2"));
  CHECK_THAT(reading_as([](auto& m) { m.depth = 3; }), contains("blocks.2.") && contains("is missing"));
  CHECK_THAT(reading_as([](auto& m) { m.depth = 1; }), contains("blocks.1.") && contains("is no tensor of the model"));
  CHECK_THAT(reading_as([](auto& m) { m.num_classes = 7; }),
             contains("y_embedder.embedding_table.weight has shape (6, 12), the model needs (8, 12)"));
  CHECK(reading_as([](auto&) {}) == "no error");

  model::ModelConfig s2;
  s2.hidden_size = 384, s2.depth = 12, s2.num_heads = 6;
  const model::ParameterTable big(s2);
  State large(big);
  write_checkpoint(folder.path() / "s2.h5", big, {.parameters = large.weights.data()}, {}, {0}, kInfo);
  CHECK_THAT(error_of_reading(folder.path() / "s2.h5", table), contains("the file looks like DiT-S/2"));
}

TEST_CASE("files that are no checkpoint are refused") {
  const TemporaryFolder folder;
  const model::ParameterTable table(small_model());
  CHECK_THAT(error_of_reading(folder.path() / "none.h5", table), contains("no such file"));
  CHECK_THAT(error_of_reading(folder.write("text.h5", "weights"), table), contains("not an HDF5 file"));
  hdf5::File::create(folder.path() / "other.h5").create_group("/data");
  CHECK_THAT(error_of_reading(folder.path() / "other.h5", table), contains("not a checkpoint"));
  State state(table);
  write(folder.path() / "cut.h5", table, state);
  std::filesystem::resize_file(folder.path() / "cut.h5", 9000);
  CHECK_THAT(error_of_reading(folder.path() / "cut.h5", table), contains("cut.h5") && contains("truncated"));

  write(folder.path() / "pos.h5", table, state);
  {
    const hid_t file = H5Fopen((folder.path() / "pos.h5").c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
    H5Ldelete(file, "/model/pos_embed", H5P_DEFAULT);
    const hsize_t dims[] = {1, 16, 13};
    const hid_t space = H5Screate_simple(3, dims, nullptr);
    const hid_t written = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_alloc_time(written, H5D_ALLOC_TIME_EARLY);
    H5Dclose(H5Dcreate2(file, "/model/pos_embed", H5T_IEEE_F32LE, space, H5P_DEFAULT, written, H5P_DEFAULT));
    H5Pclose(written), H5Sclose(space), H5Fclose(file);
  }
  CHECK_THAT(error_of_reading(folder.path() / "pos.h5", table), contains("pos_embed") && contains("(1, 16, 13)"));
}

TEST_CASE("a failed write leaves the old checkpoint and no other file") {
  const TemporaryFolder folder;
  const auto file = folder.path() / "last.h5";
  const model::ParameterTable table(small_model());
  State first(table, 1), second(table, 2), seen(table, 3);
  write(file, table, first);
  const pid_t child = ::fork();
  if (child == 0) {
    // No file may grow beyond 20,000 bytes: writes fail inside HDF5, after it has begun.
    ::alarm(60);
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{20'000, 20'000};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    int code = 1;
    try {
      write(file, table, second);
    } catch (const UserError& error) {
      const std::string text = error.what();
      code = text.find("last.h5") != text.npos && text.find("no space left") != text.npos ? 0 : 2;
    }
    ::_exit(code);
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  CHECK(status == 0);
  CHECK(entries(folder.path()) == 1);
  read_checkpoint(file, table, seen.pointers());
  CHECK(same_tensors(table, seen.weights, first.weights));
  CHECK_THROWS_WITH(write(folder.path() / "none" / "ck.h5", table, first), contains("there is no folder"));
  CHECK_THROWS_WITH(write(folder.path(), table, first), contains("is a folder"));
}

namespace {

const std::vector<std::string> kGroups = {"/model", "/ema", "/optimizer/exp_avg", "/optimizer/exp_avg_sq"};

/// Where the values of a contiguous dataset begin in its file.
std::streamoff place_of(const std::filesystem::path& path, const std::string& name) {
  const auto file = hdf5::File::open(path);
  return static_cast<std::streamoff>(H5Dget_offset(file.dataset(name).id()));
}

/// A copy of `file` with the float at `place` replaced by f(float).
template <class F>
std::filesystem::path changed(const std::filesystem::path& file, std::streamoff place, F&& f) {
  const auto copy = file.parent_path() / "changed.h5";
  std::filesystem::copy_file(file, copy, std::filesystem::copy_options::overwrite_existing);
  std::fstream stream(copy, std::ios::in | std::ios::out | std::ios::binary);
  float value = 0;
  stream.seekg(place).read(reinterpret_cast<char*>(&value), sizeof value);
  value = f(value);
  stream.seekp(place).write(reinterpret_cast<const char*>(&value), sizeof value);
  return copy;
}

std::string error_of_reading_all(const std::filesystem::path& file, const model::ParameterTable& table) {
  State state(table, 50);
  try {
    read_checkpoint(file, table, state.pointers());
  } catch (const UserError& error) {
    CHECK(std::string(error.what()).find('\n') == std::string::npos);
    return error.what();
  }
  return "no error";
}

}  // namespace

TEST_CASE("every dataset carries zlib's checksum of its bytes") {
  const TemporaryFolder folder;
  const model::ParameterTable table(small_model());
  State state(table, 1);
  for (std::int64_t i = 0; i < table.at("final_layer.linear.bias").count; ++i)
    state.weights[static_cast<std::size_t>(table.at("final_layer.linear.bias").offset + i)] = static_cast<float>(i);
  write(folder.path() / "ck.h5", table, state);
  const auto file = hdf5::File::open(folder.path() / "ck.h5");
  // zlib.crc32(numpy.arange(32, dtype="<f4")) and zlib.crc32(numpy.full(192, 0.5, "<f4"))
  REQUIRE(table.at("final_layer.linear.bias").count == 32);
  CHECK(file.text_attribute("/model/final_layer.linear.bias", "crc32") == "bb6524e8");
  CHECK(file.text_attribute("/model/pos_embed", "crc32") == "a294e4c1");
  CHECK(file.text_attribute("/ema/pos_embed", "crc32") == "a294e4c1");
  for (const auto& group : kGroups)
    for (const auto& parameter : table.all()) CHECK(file.has_attribute(group + "/" + parameter.name, "crc32"));
}

TEST_CASE("one bit that is another is noticed, in every group") {
  const TemporaryFolder folder;
  const auto path = folder.path() / "ck.h5";
  const model::ParameterTable table(small_model());
  State state(table, 1);
  write(path, table, state);
  CHECK(error_of_reading_all(path, table) == "no error");
  std::vector<std::string> names = {"/model/pos_embed"};
  for (const auto& group : kGroups) {
    names.push_back(group + "/" + table.all().front().name);
    names.push_back(group + "/" + table.all().back().name);
  }
  for (const std::string& name : names) {
    const auto flip = [](float value) { return std::bit_cast<float>(std::bit_cast<std::uint32_t>(value) ^ 1u); };
    const auto copy = changed(path, place_of(path, name) + 4, flip);
    INFO(name);
    CHECK_THAT(error_of_reading_all(copy, table), contains("changed.h5: " + name + " has the checksum "));
    {
      const hid_t file = H5Fopen(copy.c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
      H5Adelete_by_name(file, name.c_str(), "crc32", H5P_DEFAULT);
      H5Fclose(file);
    }
    CHECK(error_of_reading_all(copy, table) == "no error");  // changed on purpose
  }
}

TEST_CASE("values that training cannot go on from are refused, before the checksum is looked at") {
  const TemporaryFolder folder;
  const auto path = folder.path() / "ck.h5";
  const model::ParameterTable table(small_model());
  State state(table, 1);
  write(path, table, state);
  const float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
  for (const auto& group : kGroups) {
    const std::string name = group + "/" + table.all().back().name;
    const auto place = place_of(path, name) + 8;
    CHECK_THAT(error_of_reading_all(changed(path, place, [&](float) { return nan; }), table),
               contains(name + " holds NaN (element 2)"));
    CHECK_THAT(error_of_reading_all(changed(path, place, [&](float) { return -inf; }), table),
               contains(name + " holds infinity (element 2)"));
  }
  const std::string second = "/optimizer/exp_avg_sq/" + table.all().front().name;
  CHECK_THAT(error_of_reading_all(changed(path, place_of(path, second), [](float) { return -0.5f; }), table),
             contains(second + " holds -0.5 (element 0)"));
  CHECK_THAT(error_of_reading_all(changed(path, place_of(path, "/model/pos_embed"), [&](float) { return nan; }), table),
             contains("/model/pos_embed holds NaN"));
}

TEST_CASE("values that training cannot go on from are not written") {
  const TemporaryFolder folder;
  const auto path = folder.path() / "ck.h5";
  const model::ParameterTable table(small_model());
  State good(table, 1), seen(table, 3);
  write(path, table, good);
  const auto at = static_cast<std::size_t>(table.all().back().offset);
  for (Buffer State::*buffer : {&State::weights, &State::ema, &State::exp_avg, &State::exp_avg_sq}) {
    State bad(table, 2);
    (bad.*buffer)[at] = std::numeric_limits<float>::quiet_NaN();
    CHECK_THROWS_WITH(write(path, table, bad), contains(table.all().back().name + " holds NaN"));
  }
  State negative(table, 2);
  negative.exp_avg_sq[at] = -1e-30f;
  CHECK_THROWS_WITH(write(path, table, negative), contains("/optimizer/exp_avg_sq/") && contains("-1e-30"));
  CHECK(entries(folder.path()) == 1);
  read_checkpoint(path, table, seen.pointers());
  CHECK(same_tensors(table, seen.weights, good.weights));
}
