// HDF5's fill value is not data: whatever a read would not find is refused when the dataset is opened.
#include "base/hdf5.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <ctime>
#include <numeric>

#include "tests/catch.h"
#include "tests/command.h"

using namespace gpumonth;
using gpumonth::hdf5::Handle;
using gpumonth::tests::contains;
using gpumonth::tests::TemporaryFolder;
namespace fs = std::filesystem;

namespace {

using Extent = std::vector<hsize_t>;

Handle space_of(const Extent& extent, const Extent& limit = {}) {
  return {H5Screate_simple(static_cast<int>(extent.size()), extent.data(), limit.empty() ? nullptr : limit.data()),
          H5Sclose};
}

/// Rows [first, first + count) of a space.
Handle rows_of(const Extent& extent, hsize_t first, hsize_t count, const Extent& limit = {}, hsize_t block = 1) {
  Handle space = space_of(extent, limit);
  Extent start(extent.size(), 0), number(extent.size(), 1), blocks = extent, stride(extent.size(), 1);
  start[0] = first, number[0] = count, blocks[0] = stride[0] = block;
  for (std::size_t d = 1; d < extent.size(); ++d) stride[d] = extent[d];
  REQUIRE(H5Sselect_hyperslab(space.get(), H5S_SELECT_SET, start.data(), stride.data(), number.data(), blocks.data()) >=
          0);
  return space;
}

/// `rows` rows of 3 floats: 1, 2, 3, ...
void write_rows(const fs::path& path, hsize_t rows, const char* name = "/data") {
  auto file = hdf5::File::create(path);
  std::vector<float> values(rows * 3);
  std::iota(values.begin(), values.end(), 1.0f);
  file.create_dataset<float>(name, {static_cast<std::int64_t>(rows), 3}).write(values.data());
  file.close();
}

/// /data of `extent`, created with `creation` (closed here), and what `write` puts there.
template <class F>
void create(const fs::path& path, const Extent& extent, hid_t creation, F&& write, const Extent& limit = {}) {
  auto file = hdf5::File::create(path, !limit.empty());
  const Handle list(creation, H5Pclose), space = space_of(extent, limit);
  const Handle dataset(
      H5Dcreate2(file.id(), "/data", H5T_IEEE_F32LE, space.get(), H5P_DEFAULT, list.get(), H5P_DEFAULT), H5Dclose);
  REQUIRE(dataset);
  write(dataset.get());
}
void create(const fs::path& path, const Extent& extent, hid_t creation, const Extent& limit = {}) {
  create(
      path, extent, creation, [](hid_t) {}, limit);
}

void write_slab(hid_t dataset, const Extent& start, const Extent& count) {
  const Handle file_space(H5Dget_space(dataset), H5Sclose), memory = space_of(count);
  H5Sselect_hyperslab(file_space.get(), H5S_SELECT_SET, start.data(), nullptr, count.data(), nullptr);
  const std::vector<float> ones(static_cast<std::size_t>(H5Sget_select_npoints(memory.get())), 1.0f);
  REQUIRE(H5Dwrite(dataset, H5T_NATIVE_FLOAT, memory.get(), file_space.get(), H5P_DEFAULT, ones.data()) >= 0);
}

std::string error_of_opening(const fs::path& path, const char* name = "/data") {
  try {
    const auto file = hdf5::File::open(path);
    file.dataset(name);
  } catch (const UserError& error) {
    const std::string text = error.what();
    CHECK_THAT(text, contains(path.filename().string()) && contains(name));
    CHECK(text.find('\n') == text.npos);
    return text;
  }
  return "no error";
}

std::vector<float> values_of(const fs::path& path) {
  const auto file = hdf5::File::open(path);
  const auto dataset = file.dataset("/data");
  std::vector<float> values(static_cast<std::size_t>(hdf5::element_count(dataset.shape())));
  dataset.read(values.data());
  return values;
}

hid_t chunked(const Extent& chunk) {
  const hid_t list = H5Pcreate(H5P_DATASET_CREATE);
  H5Pset_chunk(list, static_cast<int>(chunk.size()), chunk.data());
  return list;
}

/// A virtual dataset whose rows come, 4 by 4, from `sources` of 4 rows each.
hid_t joined(const std::vector<std::string>& sources, hsize_t from_each = 4) {
  const hid_t list = H5Pcreate(H5P_DATASET_CREATE);
  const hsize_t rows = 4 * sources.size();
  for (std::size_t i = 0; i < sources.size(); ++i) {
    const Handle here = rows_of({rows, 3}, 4 * i, from_each), there = rows_of({4, 3}, 0, from_each);
    H5Pset_virtual(list, here.get(), sources[i].c_str(), "/data", there.get());
  }
  return list;
}

/// A virtual dataset that grows with its sources src-0.h5, src-1.h5, ... of 4 rows each.
hid_t numbered() {
  const hid_t list = H5Pcreate(H5P_DATASET_CREATE);
  const Handle here = rows_of({4, 3}, 0, H5S_UNLIMITED, {H5S_UNLIMITED, 3}, 4), there = rows_of({4, 3}, 0, 4);
  REQUIRE(H5Pset_virtual(list, here.get(), "src-%b.h5", "/data", there.get()) >= 0);
  return list;
}

}  // namespace

TEST_CASE("elements are counted, and more than can be counted are the most there are") {
  CHECK(hdf5::element_count({}) == 1);
  CHECK(hdf5::element_count({3, 4, 5}) == 60);
  const std::int64_t most = std::numeric_limits<std::int64_t>::max();
  CHECK(hdf5::element_count({11, 12, 5, std::int64_t{1} << 62}) == most);  // found by the fuzzer of run logs
  CHECK(hdf5::element_count({std::int64_t{1} << 32, std::int64_t{1} << 32, 0}) == 0);
  CHECK(hdf5::element_count({std::int64_t{1} << 32, std::int64_t{1} << 32, 2}) == most);
}

TEST_CASE("what was never written is refused, what was is read") {
  const TemporaryFolder folder;
  const auto path = [&](const char* name) { return folder.path() / name; };
  create(path("contiguous.h5"), {5, 3}, H5Pcreate(H5P_DATASET_CREATE));
  CHECK_THAT(error_of_opening(path("contiguous.h5")), contains("never written"));
  create(path("none.h5"), {5, 3}, chunked({2, 3}));
  CHECK_THAT(error_of_opening(path("none.h5")), contains("never written"));

  create(path("tail.h5"), {50, 3}, chunked({2, 3}), [](hid_t id) { write_slab(id, {0, 0}, {37, 3}); });
  CHECK_THAT(error_of_opening(path("tail.h5")), contains("6 of 25 chunks") && contains("first at row 38"));
  create(path("middle.h5"), {50, 3}, chunked({2, 2}), [](hid_t id) {
    write_slab(id, {0, 0}, {20, 3});
    write_slab(id, {22, 0}, {28, 3});
  });
  CHECK_THAT(error_of_opening(path("middle.h5")), contains("2 of 50 chunks") && contains("first at row 20"));

  create(path("whole.h5"), {50, 3}, chunked({7, 2}), [](hid_t id) { write_slab(id, {0, 0}, {50, 3}); });
  CHECK(values_of(path("whole.h5")) == std::vector<float>(150, 1.0f));
  create(path("empty.h5"), {0, 3}, chunked({2, 3}), {H5S_UNLIMITED, 3});
  CHECK(error_of_opening(path("empty.h5")) == "no error");
}

TEST_CASE("a million chunks are looked at in well under a second") {
  const TemporaryFolder folder;
  // Room for all chunks is taken at once, so that making the file takes no longer than looking at it.
  const hid_t list = chunked({1});
  H5Pset_alloc_time(list, H5D_ALLOC_TIME_EARLY);
  H5Pset_fill_time(list, H5D_FILL_TIME_NEVER);
  create(folder.path() / "many.h5", {1'000'000}, list);
  const std::clock_t start = std::clock();
  CHECK(error_of_opening(folder.path() / "many.h5") == "no error");
  CHECK(std::clock() - start < CLOCKS_PER_SEC);  // processor time
}

TEST_CASE("rows at the end of a growing log may be missing, others not") {
  const TemporaryFolder folder;
  const auto rows_of_growing = [&](const char* name) {
    const auto file = hdf5::File::open_growing(folder.path() / name);
    const auto dataset = file.dataset("/data");
    std::vector<float> values(static_cast<std::size_t>(dataset.shape()[0]));
    dataset.read(values.data());
    return std::pair(dataset.shape()[0], std::count(values.begin(), values.end(), 1.0f));
  };
  const Extent endless = {H5S_UNLIMITED};
  const auto written_at = [](hsize_t first, hsize_t count) {
    return [=](hid_t id) { write_slab(id, {first}, {count}); };
  };
  create(folder.path() / "whole.h5", {50}, chunked({4}), written_at(0, 50), endless);
  CHECK(rows_of_growing("whole.h5") == std::pair<std::int64_t, std::ptrdiff_t>(50, 50));
  create(folder.path() / "killed.h5", {50}, chunked({4}), written_at(0, 40), endless);
  CHECK(rows_of_growing("killed.h5") == std::pair<std::int64_t, std::ptrdiff_t>(40, 40));
  create(folder.path() / "begun.h5", {50}, chunked({4}), endless);
  CHECK(rows_of_growing("begun.h5") == std::pair<std::int64_t, std::ptrdiff_t>(0, 0));
  create(folder.path() / "damaged.h5", {50}, chunked({4}), written_at(8, 42), endless);
  CHECK_THROWS_WITH(rows_of_growing("damaged.h5"), contains("2 of 13 chunks were never written, the first at row 0"));
}

TEST_CASE("filters that this HDF5 lacks are named") {
  const TemporaryFolder folder;
  for (const auto& [id, name] : {std::pair{32000, "lzf (32000)"},
                                 {32001, "blosc (32001)"},
                                 {32015, "zstd (32015)"},
                                 {32008, "bitshuffle (32008)"},
                                 {32004, "lz4 (32004)"},
                                 {307, "bzip2 (307)"},
                                 {31999, "unknown (31999)"}}) {
    const fs::path path = folder.path() / fmt::format("{}.h5", id);
    const hid_t list = chunked({2, 3});
    H5Pset_filter(list, id, H5Z_FLAG_OPTIONAL, 0, nullptr);
    create(path, {4, 3}, list, [](hid_t dataset) { write_slab(dataset, {0, 0}, {4, 3}); });
    CHECK_THAT(error_of_opening(path), contains(name) && contains("gzip"));
  }
  const hid_t list = chunked({2, 3});
  H5Pset_shuffle(list), H5Pset_deflate(list, 4), H5Pset_fletcher32(list);
  create(folder.path() / "gzip.h5", {4, 3}, list, [](hid_t dataset) { write_slab(dataset, {0, 0}, {4, 3}); });
  CHECK(error_of_opening(folder.path() / "gzip.h5") == "no error");
}

TEST_CASE("external files are there in full") {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / "data.h5", raw = folder.path() / "raw.bin",
                 second = folder.path() / "second.bin";
  const hid_t list = H5Pcreate(H5P_DATASET_CREATE);
  H5Pset_external(list, raw.c_str(), 16, 24);
  H5Pset_external(list, second.c_str(), 0, H5F_UNLIMITED);
  create(path, {4, 3}, list, [](hid_t dataset) { write_slab(dataset, {0, 0}, {4, 3}); });
  CHECK(values_of(path) == std::vector<float>(12, 1.0f));
  fs::resize_file(second, 23);
  CHECK_THAT(error_of_opening(path), contains("second.bin ends after 23 of 24 bytes"));
  fs::resize_file(second, 24);
  fs::resize_file(raw, 39);
  CHECK_THAT(error_of_opening(path), contains("raw.bin ends after 39 of 40 bytes"));
  fs::remove(raw);
  CHECK_THAT(error_of_opening(path), contains("raw.bin, which does not exist"));
}

TEST_CASE("sources of a virtual dataset are there, and long enough") {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / "all.h5";
  write_rows(folder.path() / "a.h5", 4);
  write_rows(folder.path() / "b.h5", 4);
  create(path, {8, 3}, joined({"a.h5", "b.h5"}));
  const auto values = values_of(path);
  CHECK(std::accumulate(values.begin(), values.end(), 0.0f) == 2 * 78);

  fs::rename(folder.path() / "b.h5", folder.path() / "c.h5");
  CHECK_THAT(error_of_opening(path), contains("source b.h5 does not exist") && contains("rows 4 to 7"));
  write_rows(folder.path() / "b.h5", 3);
  CHECK_THAT(error_of_opening(path),
             contains("b.h5: /data of shape (3, 3) is too short") && contains("3 of 12 values"));
  fs::remove(folder.path() / "b.h5");
  write_rows(folder.path() / "b.h5", 4, "/other");
  CHECK_THAT(error_of_opening(path), contains("source b.h5 has no dataset /data"));
  folder.write("b.h5", "something else");
  CHECK_THAT(error_of_opening(path), contains("b.h5 cannot be opened"));
  fs::remove(folder.path() / "b.h5");
  create(folder.path() / "b.h5", {4, 3}, chunked({1, 3}), [](hid_t id) { write_slab(id, {0, 0}, {3, 3}); });
  CHECK_THAT(error_of_opening(path), contains("source b.h5: /data: 1 of 4 chunks were never written"));
}

TEST_CASE("sources are looked for where HDF5 looks for them") {
  const TemporaryFolder folder;
  fs::create_directories(folder.path() / "elsewhere");
  const fs::path path = folder.path() / "all.h5";
  write_rows(folder.path() / "elsewhere/a.h5", 4);
  create(path, {4, 3}, joined({"a.h5"}));
  CHECK_THAT(error_of_opening(path), contains("a.h5 does not exist"));
  ::setenv("HDF5_VDS_PREFIX", (folder.path() / "none:").string().append(folder.path() / "elsewhere").c_str(), 1);
  CHECK(values_of(path)[11] == 12.0f);
  ::unsetenv("HDF5_VDS_PREFIX");
  // An absolute name that leads nowhere any more: beside the virtual dataset.
  create(folder.path() / "elsewhere/moved.h5", {4, 3}, joined({"/no/such/folder/a.h5"}));
  CHECK(values_of(folder.path() / "elsewhere/moved.h5")[11] == 12.0f);
  fs::create_symlink(folder.path() / "elsewhere/moved.h5", folder.path() / "link.h5");
  CHECK(values_of(folder.path() / "link.h5")[11] == 12.0f);
}

TEST_CASE("virtual datasets without a source for every row are refused") {
  const TemporaryFolder folder;
  write_rows(folder.path() / "a.h5", 4);
  write_rows(folder.path() / "b.h5", 4);
  create(folder.path() / "hole.h5", {8, 3}, joined({"a.h5", "b.h5"}, 3));
  CHECK_THAT(error_of_opening(folder.path() / "hole.h5"), contains("without a source for row 3"));
  // Rows 0 to 3 and 3 to 6 of 8: as many values as there should be, less one row twice.
  const hid_t overlapping = H5Pcreate(H5P_DATASET_CREATE);
  const Handle first = rows_of({8, 3}, 0, 4), second = rows_of({8, 3}, 3, 4), there = rows_of({4, 3}, 0, 4);
  H5Pset_virtual(overlapping, first.get(), "a.h5", "/data", there.get());
  H5Pset_virtual(overlapping, second.get(), "b.h5", "/data", there.get());
  create(folder.path() / "overlap.h5", {8, 3}, overlapping);
  CHECK_THAT(error_of_opening(folder.path() / "overlap.h5"), contains("without a source for row 7"));
  // Two of three columns.
  const hid_t columns = H5Pcreate(H5P_DATASET_CREATE);
  const Handle here = space_of({4, 3}), source = space_of({4, 3});
  const hsize_t start[] = {0, 0}, count[] = {4, 2};
  H5Sselect_hyperslab(here.get(), H5S_SELECT_SET, start, nullptr, count, nullptr);
  H5Sselect_hyperslab(source.get(), H5S_SELECT_SET, start, nullptr, count, nullptr);
  H5Pset_virtual(columns, here.get(), "a.h5", "/data", source.get());
  create(folder.path() / "columns.h5", {4, 3}, columns);
  CHECK_THAT(error_of_opening(folder.path() / "columns.h5"), contains("without a source for 4 of 12 values"));
}

TEST_CASE("numbered sources: a gap is no end") {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / "all.h5";
  create(path, {0, 3}, numbered(), {H5S_UNLIMITED, 3});
  const auto source = [&](int i) { return folder.path() / fmt::format("src-{}.h5", i); };
  for (const int i : {0, 1, 2}) write_rows(source(i), 4);
  CHECK(values_of(path).size() == 36);
  fs::remove(source(2));
  CHECK(values_of(path).size() == 24);  // the end
  CHECK_THAT(hdf5::File::open(path).dataset("/data").why_it_ends(), contains("ends before its source src-2.h5"));
  write_rows(source(4), 4);
  CHECK_THAT(error_of_opening(path), contains("src-2.h5 does not exist") && contains("though later ones exist"));
  fs::remove(source(4));
  fs::rename(source(0), folder.path() / "kept.h5");
  CHECK_THAT(error_of_opening(path), contains("src-0.h5 does not exist"));
  fs::rename(folder.path() / "kept.h5", source(0));
  fs::remove(source(1));
  write_rows(source(1), 2);
  CHECK_THAT(error_of_opening(path), contains("src-1.h5: /data of shape (2, 3) is too short"));
}

TEST_CASE("virtual datasets of virtual datasets, to their end") {
  const TemporaryFolder folder;
  write_rows(folder.path() / "a.h5", 4);
  create(folder.path() / "b.h5", {4, 3}, joined({"a.h5"}));
  create(folder.path() / "c.h5", {8, 3}, joined({"a.h5", "b.h5"}));
  CHECK(values_of(folder.path() / "c.h5").size() == 24);
  fs::remove(folder.path() / "a.h5");
  CHECK_THAT(error_of_opening(folder.path() / "c.h5"), contains("a.h5 does not exist"));
  create(folder.path() / "a.h5", {4, 3}, joined({"b.h5"}));
  CHECK_THAT(error_of_opening(folder.path() / "c.h5"), contains("in a circle"));
}

TEST_CASE("more sources than descriptors are refused, as HDF5 would give its fill value") {
  const TemporaryFolder folder;
  std::vector<std::string> names;
  for (int i = 0; i < 80; ++i) {
    names.push_back(fmt::format("s{}.h5", i));
    write_rows(folder.path() / names.back(), 4);
  }
  create(folder.path() / "all.h5", {320, 3}, joined(names));
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  const rlimit soft{64, before.rlim_max};
  ::setrlimit(RLIMIT_NOFILE, &soft);
  const auto values = values_of(folder.path() / "all.h5");  // raises the soft limit
  CHECK(std::count(values.begin(), values.end(), 0.0f) == 0);
  ::setrlimit(RLIMIT_NOFILE, &before);
}

TEST_CASE("a file that goes or is written to while it is read is noticed") {
  const TemporaryFolder folder;
  const fs::path a = folder.path() / "a.h5", b = folder.path() / "b.h5", all = folder.path() / "all.h5";
  write_rows(a, 4);
  write_rows(b, 4);
  create(all, {8, 3}, joined({"a.h5", "b.h5"}));
  std::vector<float> values(24);
  {
    const auto file = hdf5::File::open(all);
    const auto dataset = file.dataset("/data");
    dataset.read_rows(0, 4, values.data());
    fs::remove(b);
    dataset.read_rows(0, 4, values.data());
    CHECK_THROWS_WITH(dataset.read_rows(2, 4, values.data()), contains("b.h5 has gone since"));
  }
  const auto whole_file = hdf5::File::open(a);
  const auto whole = whole_file.dataset("/data");
  whole.read(values.data());
  fs::remove(a);  // still open, so still whole
  whole.read(values.data());
  CHECK(values[11] == 12.0f);

  write_rows(b, 4);
  const auto cut_file = hdf5::File::open(b);
  const auto cut = cut_file.dataset("/data");
  REQUIRE(::truncate(b.c_str(), 1000) == 0);  // HDF5 reads zeros behind the end of a file
  CHECK_THROWS_WITH(cut.read(values.data()), contains("was written to after it was opened"));
}
