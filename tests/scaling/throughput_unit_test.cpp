#include "scaling/throughput_unit.h"

#include <fstream>

#include "scaling/curve_csv.h"
#include "scaling/curve_units.h"
#include "tests/budget/samples.h"
#include "tests/catch.h"

using namespace gpumonth;
using namespace gpumonth::scaling;
using namespace gpumonth::scaling;
using tests::contains;
using Kind = ThroughputUnit::Kind;

TEST_CASE("units of throughput, and what only looks like one", "[units]") {
  struct Row {
    const char* unit;
    Kind kind;
    const char* total;
    double factor;
  };
  for (const auto& row : std::vector<Row>{{"samples/s", Kind::total, "samples/s", 1},
                                          {"sequences(2048 tok)/s", Kind::total, "sequences(2048 tok)/s", 1},
                                          {"model TFLOP/s", Kind::total, "model TFLOP/s", 1},
                                          {"Images per Second", Kind::total, "Images/s", 1},
                                          {"tokens s^-1", Kind::total, "tokens/s", 1},
                                          {"img/min", Kind::total, "img/s", 1.0 / 60},
                                          {"TFLOPS", Kind::total, "TFLOPS", 1},
                                          {"fps", Kind::total, "frames/s", 1},
                                          {"tokens/s/GPU", Kind::per_rank, "tokens/s", 1},
                                          {"tokens/GPU/s", Kind::per_rank, "tokens/s", 1},
                                          {"samples/s per device", Kind::per_rank, "samples/s", 1},
                                          {"img/sec/gpu", Kind::per_rank, "img/s", 1},
                                          {"tokens/s (per GPU)", Kind::per_rank, "tokens/s", 1},
                                          {"per-GPU tokens/s", Kind::per_rank, "tokens/s", 1},
                                          {"tokens/(s GPU)", Kind::per_rank, "tokens/s", 1},
                                          {"tokens/(s*GPU)", Kind::per_rank, "tokens/s", 1},
                                          {"tokens s^-1 GPU^-1", Kind::per_rank, "tokens/s", 1},
                                          {"TFLOP/s/GPU", Kind::per_rank, "TFLOP/s", 1},
                                          {"TFLOPS/GPU", Kind::per_rank, "TFLOPS", 1},
                                          {"model TFLOPs per H100", Kind::per_rank, "TFLOPs", 1},
                                          {"samples_per_hour_per_chip", Kind::per_rank, "samples/s", 1.0 / 3600},
                                          {"TGS", Kind::per_rank, "tokens/s", 1},
                                          {"it/s", Kind::step_rate, "", 1},
                                          {"steps per second", Kind::step_rate, "", 1},
                                          {"s/step", Kind::step_time, "", 1},
                                          {"ms per iteration", Kind::step_time, "", 1e-3},
                                          {"step time (ms)", Kind::step_time, "", 1e-3},
                                          {"step_time_s", Kind::step_time, "", 1},
                                          {"s", Kind::time, "", 1},
                                          {"ms/image", Kind::time, "", 1e-3},
                                          {"hours", Kind::time, "", 3600},
                                          {"time to train", Kind::time, "", 1},
                                          {"GPU-hours", Kind::time, "", 3600},
                                          {"GB/s", Kind::bytes, "", 1},
                                          {"busbw GB/s (derived)", Kind::bytes, "", 1},
                                          {"Gbit/s", Kind::bytes, "", 1},
                                          {"Gbps", Kind::bytes, "", 1},
                                          {"samples/s/node", Kind::other, "", 1},
                                          {"images", Kind::other, "", 1},
                                          {"tokens/GPU", Kind::other, "", 1},
                                          {"%", Kind::other, "", 1},
                                          {"", Kind::other, "", 1}}) {
    INFO(row.unit);
    const auto unit = parse_unit(row.unit);
    CHECK(unit.kind == row.kind);
    CHECK((row.kind == Kind::step_rate || unit.total == row.total));
    CHECK(unit.factor == Approx(row.factor));
    CHECK(is_throughput(row.unit) == (row.kind == Kind::total && row.factor == 1));
    CHECK(why_no_throughput(row.unit).empty() == is_throughput(row.unit));
  }
}

TEST_CASE("every published unit is what its table says", "[units]") {
  for (const char* file : {"scaling.csv", "scaling-fresh-1.csv", "scaling-fresh-2.csv"})
    for (const auto& curve : read_scaling_csv(tests::source_path(std::string("configs/published/") + file))) {
      INFO(curve.name << " " << curve.unit);
      CHECK(is_throughput(curve.unit) == (curve.unit.find("busbw") == std::string::npos));
      for (const auto& note : curve.notes) CHECK(note.find("multiplied") == std::string::npos);
    }
}

namespace {

ScalingCurve curve_of(const std::string& table) { return parse_scaling_csv(table, "t.csv").front(); }

}  // namespace

TEST_CASE("what is per rank, of steps or per minute becomes the total per second", "[units]") {
  const std::vector<std::pair<std::string, std::string>> tables = {
      {"ranks,samples_per_s,unit\n1,100,tokens/s/GPU\n8,93,tokens/s/GPU\n", "tokens/s"},
      {"ranks,throughput per GPU,unit\n1,100,tokens/s\n8,93,tokens/s\n", "tokens/s"},
      {"ranks,throughput (tokens/s/GPU)\n1,100\n8,93\n", "tokens/s"},
      {"GPUs,tokens/s/GPU\n1,100\n8,93\n", "tokens/s"},
      {"ranks,samples_per_s (per GPU)\n1,100\n8,93\n", "samples/s"},
      {"ranks,tokens_per_s_per_gpu\n1,100\n8,93\n", "tokens/s"},
      {"ranks,tokens_per_min\n1,6000\n8,44640\n", "tokens/s"},
      {"ranks,it/s,batch_per_rank\n1,10,10\n8,9.3,10\n", "samples/s"},
      {"ranks,samples_per_s,unit,batch_per_rank\n1,100,ms/step,10\n8,107.52688172,ms/step,10\n", "samples/s"}};
  for (const auto& [table, unit] : tables) {
    INFO(table);
    const auto curve = curve_of(table);
    check(curve);
    CHECK(curve.unit == unit);
    CHECK(curve.points[0].samples_per_s == Approx(100));
    CHECK(curve.points[1].samples_per_s == Approx(744));
    REQUIRE(curve.notes.size() == 1);
    CHECK_THAT(curve.notes[0], contains("the table's ") && contains(" of all ranks"));
    CHECK(curve_of(to_csv(curve)).points[1].samples_per_s == curve.points[1].samples_per_s);
  }
}

TEST_CASE("a total goes before one rank's where a table has both", "[units]") {
  const auto curve = curve_of("ranks,tokens/s/GPU,tokens/s\n1,100,100\n8,93,744\n");
  CHECK(curve.points[1].samples_per_s == 744);
  CHECK(curve.notes.empty());
}

TEST_CASE("what is no throughput is refused with a way out that works", "[units]") {
  const std::pair<std::string, std::string> refused[] = {{"s/step", "batch of every row as batch_per_rank"},
                                                         {"hours", "is a time"},
                                                         {"ms/image", "is a time"},
                                                         {"GB/s", "bandwidth"},
                                                         {"%", "no throughput"},
                                                         {"tokens/s/node", "no throughput"}};
  for (const auto& [unit, message] : refused) {
    INFO(unit);
    const auto curve = curve_of("ranks,samples_per_s,unit\n1,100," + unit + "\n8,90," + unit + "\n");
    CHECK_THROWS_WITH(check(curve), contains(message));
  }
  check(curve_of("ranks,samples_per_s,unit,batch_per_rank\n1,.1,s/step,4\n8,.2,s/step,4\n"));  // as the first says
}

TEST_CASE("a total that does not grow, and swapped columns, get a note that leads out", "[units]") {
  for (const auto& [last, word] : std::vector<std::pair<std::string, std::string>>{{"93", "falls"}, {"101", "stays"}}) {
    const auto curve = curve_of("ranks,samples_per_s\n1,100\n2,98\n8," + last + "\n");
    REQUIRE(curve.notes.size() == 1);
    CHECK_THAT(curve.notes[0], contains(word) && contains("add a column unit with samples/s/GPU"));
  }
  const auto followed = curve_of("ranks,samples_per_s,unit\n1,100,samples/s/GPU\n8,93,samples/s/GPU\n");
  CHECK(followed.notes.size() == 1);
  CHECK(followed.points.back().samples_per_s == 744);
  CHECK(curve_of("ranks,samples_per_s\n1,100\n8,160\n").notes.empty());
  CHECK(curve_of("ranks,samples_per_s\n64,100\n72,101\n").notes.empty());
  const auto swapped = curve_of("ranks,samples_per_s\n100,1\n196,2\n384,4\n744,8\n");
  REQUIRE(swapped.notes.size() == 1);
  CHECK_THAT(swapped.notes[0], contains("swap their names"));
  CHECK(curve_of("samples_per_s,ranks\n100,1\n196,2\n384,4\n744,8\n").notes.empty());
  CHECK(curve_of("ranks,samples_per_s\n1,1\n2,2\n4,4\n").notes.empty());
}

TEST_CASE("an export keeps its unit and is read back", "[units]") {
  auto curve = curve_of("ranks,samples_per_s,batch_per_rank,run,unit\n1,10.25,2,\"a;b, c\",sequences(2048 tok)/s\n");
  const auto again = curve_of(to_csv(curve));
  CHECK(again.unit == "sequences(2048 tok)/s");
  CHECK(again.points.front().run == "a;b, c");
  CHECK(again.points.front().samples_per_s == 10.25);
  CHECK(to_csv(again) == to_csv(curve));
  CHECK_THAT(to_extrap(curve), contains("METRIC seconds_per_sequence_and_rank"));
}
