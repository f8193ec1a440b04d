// Run logs as other programs, failing disks and careless hands leave them: written whole, then changed in one place.
#pragma once

#include <hdf5.h>

#include <cstdint>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/hdf5.h"
#include "runlog/writer.h"

namespace gpumonth::runlog::samples {

/// An open file that checks every call of HDF5.
class Changed {
 public:
  explicit Changed(const std::filesystem::path& file)
      : file_(H5Fopen(file.c_str(), H5F_ACC_RDWR, H5P_DEFAULT), H5Fclose) {
    require(file_.get());
  }

  /// One element of a dataset, by its row-major place.
  void element(const std::string& dataset, hsize_t place, double value) {
    const hdf5::Handle d(H5Dopen2(file_.get(), dataset.c_str(), H5P_DEFAULT), H5Dclose);
    const hdf5::Handle space(H5Dget_space(d.get()), H5Sclose);
    hsize_t shape[2] = {1, 1};
    const int rank = H5Sget_simple_extent_dims(space.get(), shape, nullptr);
    require(rank);
    const hsize_t at[2] = {rank == 2 ? place / shape[1] : place, rank == 2 ? place % shape[1] : 0};
    require(H5Sselect_elements(space.get(), H5S_SELECT_SET, 1, at));
    const hsize_t one = 1;
    const hdf5::Handle memory(H5Screate_simple(1, &one, nullptr), H5Sclose);
    const hdf5::Handle type(H5Dget_type(d.get()), H5Tclose);
    const bool is_enum = H5Tget_class(type.get()) == H5T_ENUM;  // HDF5 converts no float to an enumeration
    const std::uint8_t raw = is_enum ? static_cast<std::uint8_t>(value) : 0;
    require(H5Dwrite(d.get(), is_enum ? type.get() : H5T_NATIVE_DOUBLE, memory.get(), space.get(), H5P_DEFAULT,
                     is_enum ? static_cast<const void*>(&raw) : &value));
  }

  /// The dataset again with other values of another type.
  template <class T>
  void column(const std::string& dataset, const std::vector<T>& values) {
    require(H5Ldelete(file_.get(), dataset.c_str(), H5P_DEFAULT));
    const hsize_t n = values.size();
    const hdf5::Handle space(H5Screate_simple(1, &n, nullptr), H5Sclose);
    const hdf5::Handle d(H5Dcreate2(file_.get(), dataset.c_str(), hdf5::native_type<T>(), space.get(), H5P_DEFAULT,
                                    H5P_DEFAULT, H5P_DEFAULT),
                         H5Dclose);
    require(H5Dwrite(d.get(), hdf5::native_type<T>(), H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()));
  }

  void without(const std::string& attribute, const std::string& object = "/") {
    require(H5Adelete_by_name(file_.get(), object.c_str(), attribute.c_str(), H5P_DEFAULT));
  }

  template <class T>
  void attribute(const std::string& name, const std::vector<T>& values) {
    without(name);
    const hsize_t n = values.size();
    const hdf5::Handle space(n == 1 ? H5Screate(H5S_SCALAR) : H5Screate_simple(1, &n, nullptr), H5Sclose);
    write_attribute(name, hdf5::native_type<T>(), space.get(), values.data());
  }

  void attribute(const std::string& name, const std::string& text) {
    without(name);
    const hdf5::Handle type(H5Tcopy(H5T_C_S1), H5Tclose), space(H5Screate(H5S_SCALAR), H5Sclose);
    require(H5Tset_size(type.get(), H5T_VARIABLE));
    const char* raw = text.c_str();
    write_attribute(name, type.get(), space.get(), static_cast<const void*>(&raw));
  }

 private:
  static void require(std::int64_t result) {
    if (result < 0) throw std::runtime_error("HDF5 refused to change a test's log");
  }
  void write_attribute(const std::string& name, hid_t type, hid_t space, const void* values) {
    const hdf5::Handle a(H5Acreate2(file_.get(), name.c_str(), type, space, H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
    require(H5Awrite(a.get(), type, values));
  }

  hdf5::Handle file_;
};

}  // namespace gpumonth::runlog::samples
