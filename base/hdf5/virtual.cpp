// Virtual datasets: every source is there, as long as what is mapped from it, and together they give every element.
#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <set>
#include <sstream>

#include "base/hdf5/selection.h"
#include "base/hdf5/storage.h"

namespace gpumonth::hdf5::detail {

namespace fs = std::filesystem;

namespace {

constexpr int kDeepest = 8;                ///< virtual datasets of virtual datasets: more is a circle
constexpr hsize_t kLookAhead = 1000;       ///< sources "%b" that are looked for behind the first that is missing
constexpr rlim_t kOtherDescriptors = 256;  ///< what a rank has open besides its data

std::string text_of(hid_t creation, std::size_t mapping, ssize_t (*get)(hid_t, std::size_t, char*, std::size_t)) {
  const ssize_t length = get(creation, mapping, nullptr, 0);
  if (length < 0) fail("H5Pget_virtual");
  std::string text(static_cast<std::size_t>(length) + 1, '\0');
  get(creation, mapping, text.data(), text.size());
  text.resize(static_cast<std::size_t>(length));
  return text;
}

/// "%b" is the block's number, "%%" a percent sign.
std::string with_block(const std::string& name, hsize_t block) {
  std::string text;
  for (std::size_t i = 0; i < name.size(); ++i) {
    const char next = name[i] == '%' && i + 1 < name.size() ? name[i + 1] : '\0';
    if (next == 'b')
      text += std::to_string(block);
    else
      text += name[i];
    if (next == 'b' || next == '%') ++i;
  }
  return text;
}

/// Where HDF5 looks for a source, in this order (H5Pset_virtual_prefix and H5F_prefix_open_file).
std::vector<fs::path> candidates(const fs::path& virtual_file, const std::string& name) {
  std::vector<fs::path> paths;
  fs::path file = name;
  if (file.is_absolute()) {
    paths.push_back(file);
    file = file.filename();
  }
  const fs::path folder = fs::absolute(virtual_file).parent_path();
  if (const char* variable = std::getenv("HDF5_VDS_PREFIX")) {
    std::istringstream prefixes(variable);
    for (std::string prefix; std::getline(prefixes, prefix, ':');)
      if (!prefix.empty()) paths.push_back(fs::path(prefix) / file);
    const std::string origin = "${ORIGIN}", whole = variable;
    if (whole.starts_with(origin)) paths.push_back(fs::path(folder.string() + whole.substr(origin.size())) / file);
  }
  paths.push_back(folder / file);
  paths.push_back(file);
  std::error_code error;
  if (const fs::path real = fs::canonical(virtual_file, error); !error) paths.push_back(real.parent_path() / file);
  return paths;
}

/// A source of the virtual dataset, and the file that it stands in.
struct Source {
  std::string file_name, dataset_name;
  Handle dataset;
  StoredFile stored;
};

class Sources {
 public:
  Sources(const StoredDataset& dataset, hid_t creation) : virtual_(dataset), creation_(creation) {}

  /// "src-3.h5", the file of block `k` of mapping `i`.
  std::string name(std::size_t i, hsize_t k) const {
    return with_block(text_of(creation_, i, H5Pget_virtual_filename), k);
  }
  /// Whether block `k` of mapping `i` is there at all.
  bool has(std::size_t i, hsize_t k) { return static_cast<bool>(find(i, k).dataset); }

  /// Error where it is not; `else_hdf5` says what HDF5 would do.
  Source open(std::size_t i, hsize_t k, const std::string& else_hdf5) {
    Source found = find(i, k);
    if (found.dataset) return found;
    if (file_) {
      user_error("{} is a virtual dataset whose source {} has no dataset {}: HDF5 would {}. Write that file again",
                 virtual_.name, found.file_name, found.dataset_name, else_hdf5);
    }
    std::error_code ignored;
    if (fs::exists(path_, ignored)) {
      user_error("{} is a virtual dataset whose source {} cannot be opened: {}. HDF5 would {}", virtual_.name,
                 path_.string(), reason_, else_hdf5);
    }
    user_error(
        "{} is a virtual dataset whose source {} does not exist: HDF5 would {}. Put it where its name leads from "
        "the folder of the virtual dataset, or name its folder in HDF5_VDS_PREFIX",
        virtual_.name, found.file_name, else_hdf5);
  }

 private:
  Source find(std::size_t i, hsize_t k) {
    Source source;
    source.file_name = name(i, k);
    source.dataset_name = with_block(text_of(creation_, i, H5Pget_virtual_dsetname), k);
    if (source.file_name != file_name_) open_file(source.file_name);
    if (file_) {
      source.dataset = Handle(H5Dopen2(file_.get(), source.dataset_name.c_str(), H5P_DEFAULT), H5Dclose);
      source.stored.path = path_;
      ::stat(path_.c_str(), &source.stored.opened);
    }
    H5Eclear2(H5E_DEFAULT);
    return source;
  }

  void open_file(const std::string& name) {
    const Handle own(H5Iget_file_id(virtual_.id), H5Fclose);
    const Handle access = property(H5Fget_access_plist(own.get()));
    file_name_ = name;
    path_.clear();
    file_.reset();
    const auto paths = name == "." ? std::vector<fs::path>{virtual_.path} : candidates(virtual_.path, name);
    for (const fs::path& path : paths) {
      file_ = Handle(H5Fopen(path.c_str(), H5F_ACC_RDONLY, access.get()), H5Fclose);
      std::error_code ignored;
      if (!file_ && (!path_.empty() || !fs::exists(path, ignored))) continue;
      path_ = path;
      if (file_) return;
      reason_ = innermost_reason();
    }
  }

  static std::string innermost_reason() {
    std::string text;
    const auto first = [](unsigned level, const H5E_error2_t* error, void* data) -> herr_t {
      if (level == 0 && error->desc) *static_cast<std::string*>(data) = error->desc;
      return 0;
    };
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, first, &text);
    std::replace(text.begin(), text.end(), '\n', ' ');
    return text.empty() ? "not an HDF5 file" : text;
  }

  const StoredDataset& virtual_;
  hid_t creation_;
  std::string file_name_, reason_;  ///< of the source that was looked for last, as are the next two
  fs::path path_;                   ///< where it is; empty: nowhere
  Handle file_;
};

using Rows = std::pair<std::int64_t, std::int64_t>;

std::string text(const Rows& rows) {
  if (rows.first == rows.second) return fmt::format("row {}", rows.first);
  return fmt::format("rows {} to {}", rows.first, rows.second);
}

class VirtualDataset {
 public:
  VirtualDataset(const StoredDataset& dataset, hid_t creation, Storage& storage)
      : dataset_(dataset), creation_(creation), storage_(storage), sources_(dataset, creation) {
    const Handle whole = space(H5Dget_space(dataset.id));
    dims_ = extents(whole.get());
  }

  void collect_sources() {
    std::size_t mappings = 0;
    if (H5Pget_virtual_count(creation_, &mappings) < 0) fail(dataset_.name + ": cannot read its sources");
    for (std::size_t i = 0; i < mappings; ++i) add_mapping(i);
    require_coverage();
  }

 private:
  void add_mapping(std::size_t i) {
    const Handle here = space(H5Pget_virtual_vspace(creation_, i)),
                 there = space(H5Pget_virtual_srcspace(creation_, i));
    const Selection selected(here, dims_);
    const auto unlimited = selected.unlimited();
    covered_ += selected.inside();
    if (selected.is_row_range())
      ranges_.push_back(selected.rows());
    else
      only_rows_ = false;
    const bool in_blocks = unlimited && !Selection(there, extents(there.get())).unlimited();
    if (!in_blocks) return add_source(i, 0, there, selected.inside(), selected.rows());
    const hsize_t blocks = selected.blocks(*unlimited), points = selected.points_of_block(*unlimited);
    for (hsize_t k = 0; k < blocks; ++k)
      add_source(i, k, there, points, *unlimited == 0 ? selected.rows_of_block(k) : selected.rows());
    for (hsize_t k = blocks + 1; k < blocks + kLookAhead; ++k) {
      if (!sources_.has(i, k)) continue;
      static_cast<void>(sources_.open(i, blocks, "end the dataset there, though later ones exist"));
    }
    if (dataset_.depth == 0) storage_.first_missing = sources_.name(i, blocks);
  }

  /// `needed`: elements that the virtual dataset takes from it.
  void add_source(std::size_t i, hsize_t k, const Handle& there, hsize_t needed, const Rows& rows) {
    Source source = sources_.open(i, k, "give its fill value for " + text(rows));
    const Handle whole = space(H5Dget_space(source.dataset.get()));
    const auto dims = extents(whole.get());
    const Selection selected(there, dims);
    if (selected.inside() < needed) {
      user_error(
          "{} is a virtual dataset whose source {}: {} of shape {} is too short for what it should give: {} of {} "
          "values are missing in {}, where HDF5 would give its fill value. Write that file again",
          dataset_.name, source.file_name, source.dataset_name, to_string(Shape(dims.begin(), dims.end())),
          needed - selected.inside(), needed, text(rows));
    }
    const std::string name = fmt::format("{}, source {}: {}", dataset_.name, source.file_name, source.dataset_name);
    if (dataset_.depth >= kDeepest) user_error("{}: virtual datasets lead to each other in a circle", dataset_.name);
    const Rows outer = dataset_.depth == 0 ? rows : Rows{dataset_.first_row, dataset_.last_row};
    collect({source.dataset.get(), name, source.stored.path, outer.first, outer.second, dataset_.depth + 1}, storage_);
    if (source.file_name == ".") return;
    source.stored.first_row = outer.first;
    source.stored.last_row = outer.second;
    storage_.files.push_back(std::move(source.stored));
  }

  void require_coverage() {
    const auto all = static_cast<hsize_t>(element_count(Shape(dims_.begin(), dims_.end())));
    if (only_rows_) {
      std::sort(ranges_.begin(), ranges_.end());
      std::int64_t next = 0;
      for (const auto& [first, last] : ranges_) {
        if (first > next) refuse_hole(text({next, first - 1}));
        next = std::max(next, last + 1);
      }
      if (next < static_cast<std::int64_t>(dims_[0]))
        refuse_hole(text({next, static_cast<std::int64_t>(dims_[0]) - 1}));
    } else if (covered_ < all) {
      refuse_hole(fmt::format("{} of {} values", all - covered_, all));
    }
  }

  [[noreturn]] void refuse_hole(const std::string& what) const {
    user_error("{} is a virtual dataset without a source for {}: HDF5 would give its fill value there. Write it again",
               dataset_.name, what);
  }

  const StoredDataset& dataset_;
  hid_t creation_;
  Storage& storage_;
  Sources sources_;
  std::vector<hsize_t> dims_;
  hsize_t covered_ = 0;       ///< elements that mappings select
  bool only_rows_ = true;     ///< every mapping is a range of whole rows
  std::vector<Rows> ranges_;  ///< these
};

/// HDF5 keeps every source open, and where it cannot open one more it gives the fill value.
void require_descriptors(const StoredDataset& dataset, const Storage& storage) {
  std::set<fs::path> files;
  for (const StoredFile& file : storage.files) files.insert(file.path);
  const rlim_t needed = files.size() + kOtherDescriptors;
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur >= needed) return;
  const rlim_t had = limit.rlim_cur;
  limit.rlim_cur = std::min(needed, limit.rlim_max);
  if (limit.rlim_cur >= needed && ::setrlimit(RLIMIT_NOFILE, &limit) == 0) return;
  user_error(
      "{} is a virtual dataset of {} files, and this process may open {}: ulimit -n {}, or store it in fewer "
      "files",
      dataset.name, files.size(), std::max(had, limit.rlim_max), needed);
}

}  // namespace

void collect_virtual(const StoredDataset& dataset, hid_t creation, Storage& storage) {
  VirtualDataset(dataset, creation, storage).collect_sources();
  if (dataset.depth == 0) require_descriptors(dataset, storage);
}

}  // namespace gpumonth::hdf5::detail
