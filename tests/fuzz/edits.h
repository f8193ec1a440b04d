// Edits of an HDF5 file, one a line: what the fuzzers of binary inputs mutate, and what their corpus is made of. Words
// are separated by spaces, or stand in "quotes" with \" \\ and \x1b.
//
//   base NAME                              which valid file; the first line, else the first one there is
//   set DATASET PLACE VALUE                one element, in row-major order; a number, nan, inf
//   fill DATASET VALUE                     all elements
//   rows DATASET N                         another length of an extendible dataset; new rows are never written
//   dataset DATASET [type=T] [shape=N,M] [layout=L] [filter=F] [written=no]
//                                          made anew with its old values where these fit, also where there was none.
//     T: float32 float64 float16 int8 ... uint64, be-float32 be-int64, text, vlen-text, compound, enum, opaque, reference
//     L: contiguous compact chunked, virtual (of a file that is missing), external (missing), short-external (empty)
//     F: gzip shuffle fletcher32, lzf: as h5py writes it, no such filter here; corrupt: gzip over what is no gzip
//   group NAME | remove OBJECT | link NAME hard|soft OBJECT | link NAME external FILE OBJECT
//   attribute OBJECT NAME number V... | text V... | fixed-text V | null | compound
//   no-attribute OBJECT NAME
//   truncate BYTES | byte OFFSET VALUE     of the file, after all other edits
//
// An edit that HDF5 refuses, or that is none, does nothing.
#pragma once

#include <filesystem>
#include <random>
#include <string>
#include <vector>

namespace gpumonth::fuzz {

using Words = std::vector<std::string>;
std::vector<Words> parse_edits(const std::string& text);
std::string to_text(const std::vector<Words>& edits);

/// A valid file.
struct Base {
  std::string name;
  std::string image;  ///< the file's bytes
};

/// The base that the edits name, edited, as the scratch file `name`.
std::filesystem::path edited_file(const std::string& name, const std::vector<Base>& bases,
                                  const std::vector<Words>& edits);

/// Whether the edits state other values, so that the result need not be the base's.
bool may_change_values(const std::vector<Words>& edits);

/// Adds, removes or changes a line or two; objects and attributes are mostly those of the bases.
std::string mutate_edits(const std::vector<Base>& bases, const std::string& text, std::mt19937& random);

}  // namespace gpumonth::fuzz
