// Files that cannot be read are one line that says why, wherever a whole file is read.
#include "base/text_file.h"

#include <filesystem>

#include "base/error.h"
#include "tests/catch.h"
#include "tests/command.h"

using namespace gpumonth;
using tests::contains;

TEST_CASE("every byte of a file, or why not") {
  const tests::TemporaryFolder folder;
  const std::string bytes("a\0\r\nb", 5);
  const auto file = folder.write("x", bytes);
  CHECK(read_bytes(file) == bytes);
  CHECK(bytes_of_file(file) == bytes);
  CHECK(read_bytes(folder.write("empty", "")).empty());
  const std::filesystem::path none = folder.path() / "none";
  CHECK_THROWS_WITH(read_bytes(none), contains(none.string()) && contains("No such file"));
  CHECK_THROWS_WITH(read_bytes(folder.path()), contains("is a folder"));
  CHECK_THROWS_AS(read_bytes("/proc/self/mem"), UserError);  // opens, and gives an I/O error
  CHECK_THROWS_WITH(read_bytes("/proc/self/mem"), contains("cannot be read: Input/output error"));
  for (const auto& nothing : {none, folder.path(), std::filesystem::path("/proc/self/mem")})
    CHECK(bytes_of_file(nothing).empty());
}
