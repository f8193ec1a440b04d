// Reading configuration: values, `from`, --set, and the one line that every kind of mistake gets.
#include "base/config.h"

#include "base/error.h"
#include "tests/catch.h"
#include "tests/command.h"

using namespace gpumonth;
using Strings = std::vector<std::string>;

namespace {

struct Sample {
  struct Inner {
    std::string from;
    int count = 3;
    double rate = 0.5;
    std::string kind = "auto";
    std::string text = "plain";
    bool on = true;
    std::int64_t big = 7;
    std::uint64_t seed = 1;
  } inner;
  double top = 2;
  double deep = 1;

  config::Table declare() {
    config::Table root;
    root.field("top", top);
    config::Table& t = root.table("inner");
    t.field("from", inner.from);
    t.field("count", inner.count, {.unit = "samples", .min = 1, .max = 100, .help = "how many"});
    t.field("rate", inner.rate, {.unit = "s", .min = 0, .max = 1});
    t.field("kind", inner.kind, {.one_of = {"auto", "fp32", "bf16"}});
    t.field("text", inner.text);
    t.field("on", inner.on);
    t.field("big", inner.big);
    t.field("seed", inner.seed);
    root.table("outer").table("nested").field("deep", deep);
    return root;
  }
};

Sample read(const std::string& text, const Strings& overrides = {}) {
  Sample sample;
  auto root = sample.declare();
  config::load_text(root, text, "run.toml", overrides);
  return sample;
}

std::string error_of(const std::string& text, const Strings& overrides = {}) {
  try {
    read(text, overrides);
  } catch (const UserError& error) {
    return error.what();
  }
  return "no error";
}

std::string load_error(const std::filesystem::path& file, const Strings& overrides = {}) {
  Sample sample;
  auto root = sample.declare();
  try {
    config::load(root, file, overrides);
  } catch (const UserError& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace

TEST_CASE("absent keys keep their defaults, present ones are read") {
  const auto defaults = read("");
  CHECK(defaults.inner.count == 3);
  CHECK(defaults.inner.seed == 1);
  const auto s = read(
      "top = 1\n[inner]\ncount = 9\nrate = 1e-3\nkind = \"bf16\"\ntext = 'a\\b'\non = false\nbig = -5\nseed "
      "= 42\n"
      "[outer.nested]\ndeep = -0.25\n");
  CHECK(s.top == 1.0);  // an integer is a number
  CHECK(s.inner.count == 9);
  CHECK(s.inner.rate == 1e-3);
  CHECK(s.inner.kind == "bf16");
  CHECK(s.inner.text == "a\\b");
  CHECK_FALSE(s.inner.on);
  CHECK(s.inner.big == -5);
  CHECK(s.inner.seed == 42);
  CHECK(s.deep == -0.25);
}

TEST_CASE("an unknown key or table names the nearest one, with file and line") {
  CHECK(error_of("[inner]\n\ncuont = 1\n") == "run.toml:3: unknown key 'inner.cuont' (did you mean 'inner.count'?)");
  CHECK(error_of("\n[iner]\ncount = 1\n") == "run.toml:2: unknown table 'iner' (did you mean 'inner'?)");
  CHECK(error_of("[outer.nestde]\ndeep = 1\n") ==
        "run.toml:1: unknown table 'outer.nestde' (did you mean 'outer.nested'?)");
  CHECK(error_of("rate = 1\n") == "run.toml:1: unknown key 'rate' (did you mean 'inner.rate'?)");
  CHECK(error_of("[outer]\nxyzzy = 1\n") == "run.toml:2: unknown key 'outer.xyzzy' (known: [outer.nested])");
  CHECK(error_of("[outer.nested]\nquality = 1\n") == "run.toml:2: unknown key 'outer.nested.quality' (known: deep)");
}

TEST_CASE("a wrong type says what is expected and what stands there") {
  CHECK(error_of("[inner]\nrate = \"fast\"\n") ==
        "run.toml:2: 'inner.rate' expects a number (s), got a string \"fast\"");
  CHECK(error_of("[inner]\ncount = 2.5\n") ==
        "run.toml:2: 'inner.count' expects an integer (samples), got a float 2.5");
  CHECK(error_of("[inner]\ncount = 2.0\n") ==
        "run.toml:2: 'inner.count' expects an integer (samples), got a float 2.0");
  CHECK(error_of("[inner]\non = 1\n") == "run.toml:2: 'inner.on' expects true or false, got an integer");
  CHECK(error_of("[inner]\ntext = 3\n") == "run.toml:2: 'inner.text' expects a string, got an integer");
  CHECK(error_of("[inner]\ntext = []\n") == "run.toml:2: 'inner.text' expects a string, got an array");
  CHECK(error_of("[inner]\nrate = 1979-05-27\n") ==
        "run.toml:2: 'inner.rate' expects a number (s), got a date or time");
  CHECK(error_of("[inner.text]\nx = 3\n") == "run.toml:1: 'inner.text' expects a string, got a table");
  CHECK(error_of("inner = 3\n") == "run.toml:1: 'inner' is a table: write [inner] and its keys below");
  CHECK(error_of("[inner]\nfrom = 3\n") == "run.toml:2: 'inner.from' expects a string, got an integer");
}

TEST_CASE("a word that a key once held, a boolean included, stands for one of its choices") {
  std::string kind = "none";
  config::Table root;
  root.field("kind", kind, {.one_of = {"none", "all"}, .same_as = {{"true", "all"}, {"false", "none"}}});
  for (const auto& [text, expected] : std::vector<std::pair<std::string, std::string>>{
           {"kind = true", "all"}, {"kind = false", "none"}, {"kind = \"all\"", "all"}, {"kind = \"true\"", "all"}}) {
    config::load_text(root, text, "run.toml");
    CHECK(kind == expected);
  }
  config::load_text(root, "", "run.toml", {"kind=true"});
  CHECK(kind == "all");
  CHECK_THROWS_WITH(config::load_text(root, "kind = 1", "run.toml"),
                    tests::contains("expects a string, got an integer"));
  CHECK_THROWS_WITH(config::load_text(root, "kind = \"some\"", "run.toml"),
                    tests::contains("is not one of: none, all"));
}

TEST_CASE("a number out of range says the bound and the unit") {
  CHECK(error_of("[inner]\ncount = 0\n") == "run.toml:2: 'inner.count' = 0 samples is too small: at least 1 samples");
  CHECK(error_of("[inner]\nrate = 1.5\n") == "run.toml:2: 'inner.rate' = 1.5 s is too large: at most 1 s");
  CHECK(error_of("top = nan\n") == "run.toml:1: 'top' = nan is not a finite number");
  CHECK(error_of("top = inf\n") == "run.toml:1: 'top' = inf is not a finite number");
  CHECK(error_of("[inner]\nseed = -1\n") == "run.toml:2: 'inner.seed' = -1 is out of range: 0 .. 18446744073709551615");
  CHECK_THAT(error_of("[inner]\nbig = 9223372036854775808\n"), tests::contains("run.toml:2: not valid TOML: "));
  CHECK(error_of("[inner]\nkind = \"bf61\"\n") ==
        "run.toml:2: 'inner.kind' = \"bf61\" is not one of: auto, fp32, bf16 (did you mean 'bf16'?)");
  CHECK(error_of("[inner]\nkind = \"double\"\n") ==
        "run.toml:2: 'inner.kind' = \"double\" is not one of: auto, fp32, bf16");
}

TEST_CASE("an int that its field cannot hold is refused") {
  int value = 0;
  config::Table root;
  root.field("value", value);
  CHECK_THROWS_WITH(config::load_text(root, "value = 3000000000\n", "x.toml"),
                    "x.toml:1: 'value' = 3000000000 is out of range: -2147483648 .. 2147483647");
  CHECK(value == 0);
}

TEST_CASE("text that is not TOML, and a key given twice, name the line") {
  CHECK_THAT(error_of("top = 1\ninner = = 2\n"), tests::contains("run.toml:2: not valid TOML: "));
  CHECK_THAT(error_of("top = 1\ntop = 2\n"), tests::contains("run.toml:2: not valid TOML: "));
  CHECK(error_of("top = 1\ntop = 2\n").find('\n') == std::string::npos);
}

TEST_CASE("--set takes TOML values, and bare words as strings") {
  const auto s = read("[inner]\ncount = 2\n",
                      {"inner.count=5", "inner.rate=1e-2", "inner.kind=bf16", "inner.text=runs/a b=c", "inner.on=false",
                       "outer.nested.deep=4", "top=-1", "inner.seed=18446744073709551615"});
  CHECK(s.inner.count == 5);
  CHECK(s.inner.rate == 0.01);
  CHECK(s.inner.kind == "bf16");
  CHECK(s.inner.text == "runs/a b=c");
  CHECK_FALSE(s.inner.on);
  CHECK(s.deep == 4);
  CHECK(s.top == -1);
  CHECK(s.inner.seed == 18446744073709551615u);
  CHECK(read("", {"inner.text=12"}).inner.text == "12");
  CHECK(read("", {"inner.text=\"12\""}).inner.text == "12");
  CHECK(read("", {"inner.text="}).inner.text.empty());
  CHECK(read("", {"inner.count=4", "inner.count=6"}).inner.count == 6);
}

TEST_CASE("mistakes in --set quote it") {
  CHECK(error_of("", {"inner.cuont=1"}) ==
        "--set inner.cuont=1: unknown key 'inner.cuont' (did you mean 'inner.count'?)");
  CHECK(error_of("", {"iner.count=1"}) == "--set iner.count=1: unknown table 'iner' (did you mean 'inner'?)");
  CHECK(error_of("", {"inner.rate=fast"}) ==
        "--set inner.rate=fast: 'inner.rate' expects a number (s), got a string \"fast\"");
  CHECK(error_of("", {"inner.count=101"}) ==
        "--set inner.count=101: 'inner.count' = 101 samples is too large: at most 100 samples");
  CHECK(error_of("", {"inner=1"}) == "--set inner=1: 'inner' is a table: name a key in it, inner.key=value");
  CHECK(error_of("", {"inner.count"}) == "--set inner.count: write --set table.key=value, e.g. --set model.depth=2");
  CHECK(error_of("", {"inner.seed=12x"}) ==
        "--set inner.seed=12x: 'inner.seed' expects an integer >= 0, got a string \"12x\"");
  CHECK(error_of("", {"inner.seed=18446744073709551616"}) ==
        "--set inner.seed=18446744073709551616: 'inner.seed' = 18446744073709551616 is out of range: 0 .. "
        "18446744073709551615");
  CHECK(error_of("", {"inner.text=a\nb = 3"}) == "no error");
}

TEST_CASE("`from` is read first, keys beside it win, paths are relative to the file they stand in") {
  const tests::TemporaryFolder folder;
  folder.write("base/first.toml", "[inner]\ncount = 10\nrate = 0.25\ntext = \"first\"\n[ignored]\nx = 1\n");
  folder.write("base/second.toml", "[inner]\nfrom = \"first.toml\"\nrate = 0.75\n");
  const auto file = folder.write("run/run.toml", "[inner]\ntext = \"run\"\nfrom = \"../base/second.toml\"\n");
  Sample s;
  auto root = s.declare();
  config::load(root, file);
  CHECK(s.inner.count == 10);
  CHECK(s.inner.rate == 0.75);
  CHECK(s.inner.text == "run");
  CHECK(s.inner.from == "../base/second.toml");

  SECTION("a `from` override takes the place of the file's, keys beside it still win") {
    const auto other = folder.write("other.toml", "[inner]\ncount = 77\ntext = \"other\"\n");
    Sample t;
    auto table = t.declare();
    config::load(table, file, {"inner.rate=1", "inner.from=" + other.string()});
    CHECK(t.inner.count == 77);
    CHECK(t.inner.text == "run");
    CHECK(t.inner.rate == 1);
  }
  SECTION("and works where the file has no such table") {
    const auto empty = folder.write("empty.toml", "");
    Sample t;
    auto table = t.declare();
    config::load(table, empty, {"inner.count=1", "inner.from=" + file.string()});
    CHECK(t.inner.count == 1);
    CHECK(t.inner.rate == 0.75);
  }
}

TEST_CASE("mistakes around `from`") {
  const tests::TemporaryFolder folder;
  const std::string dir = folder.path().string();
  const auto missing = folder.write("a.toml", "[inner]\nfrom = \"none.toml\"\n");
  CHECK(load_error(missing) == dir + "/a.toml:2: " + dir + "/none.toml: no such file");
  folder.write("circle1.toml", "[inner]\nfrom = \"circle2.toml\"\n");
  const auto circle = folder.write("circle2.toml", "[inner]\nfrom = \"circle1.toml\"\n");
  CHECK_THAT(load_error(circle), tests::contains("'from' goes in a circle"));
  folder.write("table.toml", "[other]\n");
  const auto no_table = folder.write("b.toml", "[inner]\nfrom = \"table.toml\"\n");
  CHECK(load_error(no_table) == dir + "/b.toml:2: " + dir + "/table.toml has no table [inner]");
  folder.write("bad.toml", "[inner]\n\ncuont = 1\n");
  const auto bad = folder.write("c.toml", "[inner]\nfrom = \"bad.toml\"\n");
  CHECK(load_error(bad) == dir + "/bad.toml:3: unknown key 'inner.cuont' (did you mean 'inner.count'?)");
  CHECK_THAT(error_of("", {"iner.from=x.toml"}), tests::contains("unknown table 'iner'"));
  CHECK(load_error(bad, {"inner.from=none.toml"}) == "--set inner.from=none.toml: none.toml: no such file");
}

TEST_CASE("a missing file and a folder are told apart") {
  const tests::TemporaryFolder folder;
  const std::string dir = folder.path().string();
  CHECK(load_error(folder.path() / "none.toml") == dir + "/none.toml: no such file");
  CHECK(load_error(folder.path()) == dir + ": is a folder, not a TOML file");
  CHECK(load_error(folder.write("empty.toml", "")) == "no error");
}
