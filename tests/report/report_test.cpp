#include "report/report.h"

#include <sys/resource.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>

#include "base/clean_text.h"
#include "base/error.h"
#include "base/text_file.h"
#include "report/figures.h"
#include "report/svg.h"
#include "scaling/fit/fit.h"
#include "scaling/run_groups.h"
#include "tests/budget/samples.h"
#include "tests/catch.h"
#include "tests/command.h"

using namespace gpumonth;
using tests::contains;

namespace {

std::vector<runlog::Run> two_runs() { return {tests::make_run(0.4, 1), tests::make_run(0.35, 2)}; }

std::string page_of(const std::vector<runlog::Run>& runs) {
  std::vector<budget::Efficiency> efficiencies;
  for (const auto& run : runs) efficiencies.push_back(budget::efficiency_of(run));
  const auto b = budget::make_budget(tests::sora(), efficiencies);
  return report::report_html(runs, &b);
}

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t n = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
  return n;
}

/// The environment variable `name` has `value` as long as this lives.
class Environment {
 public:
  Environment(const char* name, const std::string& value) : name_(name), old_(std::getenv(name)) {
    setenv(name, value.c_str(), 1);
  }
  ~Environment() { setenv(name_, old_.c_str(), 1); }

 private:
  const char* name_;
  std::string old_;
};

}  // namespace

TEST_CASE("the page has every figure with something in it", "[report]") {
  const std::string page = page_of(two_runs());
  for (const char* id : {"fig-loss", "fig-breakdown", "fig-throughput", "fig-efficiency", "fig-stragglers",
                         "fig-buckets", "fig-ladder", "fig-outputs", "fig-tornado", "fig-fit-runs", "fig-fit-curve"}) {
    INFO(id);
    const auto begin = page.find("<svg id=\"" + std::string(id) + "\"");
    REQUIRE(begin != std::string::npos);
    const std::string svg = page.substr(begin, page.find("</svg>", begin) - begin);
    CHECK(count(svg, "<path") + count(svg, "<polygon") > 5);
    CHECK(count(svg, "<text") > 3);
  }
  for (const char* text : {"4,211 – 10,528", "90 % of the draws", "as-published", "measured-mfu", "Sora 1-min video",
                           "run-2.h5", "Some CPU"})
    CHECK_THAT(page, contains(text));
}

TEST_CASE("energy and clock have a table where a GPU's driver told them, and none where not", "[report]") {
  CHECK_THAT(page_of(two_runs()), !contains("Energy and clock"));
  auto runs = two_runs();
  runs[1].info.peak_flops_per_s = 100e9;
  runs[1].info.peak_sm_clock_mhz = 1830;
  for (auto& step : runs[1].steps) {
    step.energy_j = 140.6;
    step.power_w = 691;
    step.sm_clock_mhz = 1500;
    step.clock_limit = step.step % 2 == 0 ? 1 : 0;
  }
  const std::string page = page_of(runs);
  const auto begin = page.find("Energy and clock");
  REQUIRE(begin != std::string::npos);
  const std::string table = page.substr(begin, page.find("</table>", begin) - begin);
  for (const char* cell : {"140.6", "691", "1500", "35.0 %", "42.7 %", "power-limited 50 % of the time"})
    CHECK_THAT(table, contains(cell));
  CHECK(count(table, "<tr") == 2);  // the head, and the one run
}

TEST_CASE("the first screen has its numbers with their tags, and both assumptions side by side", "[report]") {
  const std::string page = page_of(two_runs());
  const std::string first = page.substr(page.find("<header>"), page.find("<svg") - page.find("<header>"));
  for (const char* text :
       {"GPU-months of the H100 SXM", "with 90 % probability", "It hangs on", "of the variance", "on 4,096 GPUs",
        "US dollars", "MWh", "is carried over to the H100 SXM", "100 % of the peak is reached",
        "<i class=\"tag published\">published</i>", "<i class=\"tag assumed\">assumed</i>"}) {
    INFO(text);
    CHECK_THAT(first, contains(text));
  }
  CHECK(count(first, "<tr>") == 8);  // a head and seven rungs
  std::smatch word;
  const bool has_unknown = std::regex_search(page, word, std::regex("\\b(nan|inf|unknown)\\b"));
  INFO(word.str());
  CHECK_FALSE(has_unknown);
}

TEST_CASE("one rank count alone has no figure of scaling", "[report]") {
  const std::string page = page_of({tests::make_run(0.4, 1), tests::make_run(0.41, 1)});
  for (const char* id : {"<svg id=\"fig-throughput", "<svg id=\"fig-efficiency", "<svg id=\"fig-fit-runs"})
    CHECK(page.find(id) == std::string::npos);
}

TEST_CASE("repeats stand together", "[report]") {
  std::vector<runlog::Run> runs = {tests::make_run(0.4, 1), tests::make_run(0.35, 2), tests::make_run(0.41, 1)};
  const auto groups = scaling::group_runs(runs);
  REQUIRE(groups.size() == 2);
  CHECK(groups[0].runs == std::vector<std::size_t>{0, 2});
  CHECK(scaling::label_with_count(groups[0]) == "dit-s-2, 1 rank, fp32 (2 runs)");
  CHECK(scaling::run_labels(groups) ==
        std::vector<std::string>{"dit-s-2, 1 rank, fp32 #1", "dit-s-2, 2 ranks, fp32", "dit-s-2, 1 rank, fp32 #2"});
  for (auto& step : runs[2].steps) step.samples = 32, step.tokens = 32 * 256;
  const auto apart = scaling::group_runs(runs);
  CHECK(apart.size() == 3);
  CHECK(scaling::run_labels(apart)[2] == "dit-s-2, 1 rank, batch 32, fp32");
  runs.push_back(runs[0]);  // another model: what differs within the first does not concern its label
  runs[3].info.model_name = "dit-b-2";
  CHECK(scaling::run_labels(scaling::group_runs(runs))[3] == "dit-b-2, 1 rank, fp32");
}

TEST_CASE("runs with small gradients have their noise scale below the loss", "[report]") {
  auto runs = two_runs();
  runs[1].info.small_batch = 2;
  for (auto& step : runs[1].steps) {
    step.samples = 8;
    step.grad_norm = 1;
    step.small_grad_norm = 2;  // |G|^2 = (8 - 2 x 4) / 6 = 0: it drowns
  }
  CHECK_THAT(page_of(runs), contains("gradient noise scale not known"));
  for (auto& step : runs[1].steps) step.small_grad_norm = 1.5;  // S = 1.25 / (3 / 8), |G|^2 = (8 - 4.5) / 6
  CHECK_THAT(page_of(runs), contains("gradient noise scale 5.71 samples (90 % interval 5.71 to 5.71)"));
  CHECK(page_of(two_runs()).find("noise scale") == std::string::npos);
}

TEST_CASE("every host is named once, also one whose name starts another's", "[report]") {
  auto run = tests::make_run(0.4, 4);
  run.info.hostnames = {"node12", "node1", "node12", "node2"};
  CHECK_THAT(report::report_html({run}, nullptr), contains("<td>node12, node1, node2</td>"));
}

TEST_CASE("the fit's figure reaches the planned GPUs and needs two rank counts", "[report]") {
  scaling::ScalingCurve curve;
  for (const std::int64_t ranks : {8, 16, 32}) {
    scaling::ScalingPoint& point = curve.points.emplace_back();
    point.ranks = ranks;
    point.samples_per_s = 100.0 * static_cast<double>(ranks);
  }
  const std::string svg = report::fit_figure(scaling::fit_curve(curve), 512, 0, "fig-x", "GPU");
  CHECK(count(svg, "<polygon") > 0);  // the band
  for (const char* text : {">512<", "planned", "measured"}) CHECK_THAT(svg, contains(text));
  const std::string near = report::fit_figure(scaling::fit_curve(curve), 512, 256, "fig-z", "GPU");
  CHECK_THAT(near, contains(">256<"));
  for (const char* text : {">512<", "planned"}) CHECK_THAT(near, !contains(text));
  curve.points.resize(1);
  CHECK(report::fit_figure(scaling::fit_curve(curve), 64, 0, "fig-y", "GPU").empty());
}

TEST_CASE("the fit's figure tells measured, replayed, simulated and forecast points apart", "[report]") {
  std::vector<runlog::Run> runs;
  for (const int ranks : {1, 2, 4, 8, 16}) runs.push_back(tests::make_run(0.4, ranks));
  runs[2].info.origin = runs[3].info.origin = runlog::Origin::replayed;
  runs[4].info.origin = runlog::Origin::simulated;
  const std::string page = page_of(runs);
  const std::size_t begin = page.find("<svg id=\"fig-fit-runs\"");
  REQUIRE(begin != std::string::npos);
  const std::string figure = page.substr(begin, page.find("</figure>", begin) - begin);
  for (const char* text :
       {">measured, 8 samples per rank<", ">replayed, ", ">simulated, ", "replayed from 4", "simulated from 16",
        "forecast alone from 16", "measured from 1, replayed from 4, simulated from 16 ranks on",
        "above 16 the forecast stands alone"}) {
    INFO(text);
    CHECK_THAT(figure, contains(text));
  }
  const std::string measured = page_of(two_runs());
  CHECK_THAT(measured, !contains("stands alone") && !contains("replayed from"));
}

TEST_CASE("the page loads nothing and holds no foreign markup", "[report]") {
  const std::string page = page_of(two_runs());
  for (const char* bad : {"<script", "<link", "@import", "<img", "<iframe", "src=", "http-equiv", "<b>not markup"})
    CHECK(page.find(bad) == std::string::npos);
  CHECK_THAT(page, contains("&lt;b&gt;not markup&lt;/b&gt; &amp; &quot;quoted&quot;"));
  const std::regex reference("(href|url)\\s*[=(]\\s*['\"]?([^'\")]*)");
  for (auto it = std::sregex_iterator(page.begin(), page.end(), reference); it != std::sregex_iterator(); ++it)
    CHECK((*it)[2].str().substr(0, 1) == "#");
  const std::regex id("\\sid=['\"]([^'\"]*)");
  std::vector<std::string> ids;
  for (auto it = std::sregex_iterator(page.begin(), page.end(), id); it != std::sregex_iterator(); ++it)
    ids.push_back((*it)[1].str());
  std::sort(ids.begin(), ids.end());
  CHECK(ids.size() > 8);
  CHECK(std::adjacent_find(ids.begin(), ids.end()) == ids.end());
}

TEST_CASE("names with escape sequences, bytes that are no UTF-8 and markup reach neither page nor figures",
          "[report]") {
  const std::string hostile = "n\xff\x1b[31m\xC2\x9B\xE2\x80\xAE<b>\n'\"$`";
  auto runs = two_runs();
  for (auto& run : runs) {
    run.path += hostile;
    for (auto& host : run.info.hostnames) host += hostile;
    run.info.device_name += hostile;
    run.info.model_name += hostile;
    run.info.config_toml += "# " + hostile;
  }
  const tests::TemporaryFolder folder;
  const auto file = folder.path() / "page.html";
  write_text_file(file, page_of(runs), false);
  std::ifstream in(file, std::ios::binary);
  const std::string page{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  CHECK(clean_text(page) == page);
  CHECK_THAT(page, contains("n\xEF\xBF\xBD"));
  CHECK(page.find("<b>\n") == std::string::npos);
  CHECK(count(page, "<svg") == count(page_of(two_runs()), "<svg"));  // gnuplot took the names as they are shown
}

TEST_CASE("one rank, no steady step, no scenario: a page that says so", "[report]") {
  const std::string alone = report::report_html({tests::make_run(0.4, 1, 3)}, nullptr);
  CHECK_THAT(alone, contains("none of them steady"));
  CHECK_THAT(alone, contains("--scenario"));
  CHECK(alone.find("nan") == std::string::npos);
  CHECK(alone.find("fig-buckets") == std::string::npos);
}

TEST_CASE("one rank's buckets are ready and go nowhere: no figure of communication", "[report]") {
  runlog::Run run = tests::make_run(0.4, 1);
  run.buckets.push_back({10, 0, 1 << 20, 0.04, 0.04, 0.04});
  CHECK(report::report_html({run}, nullptr).find("fig-buckets") == std::string::npos);
}

TEST_CASE("a log cut off by a kill still makes a page", "[report]") {
  auto run = tests::make_run(0.4, 2);
  run.rank_step_time_s.pop_back();  // the last row of rank times is not whole
  run.steps.resize(25);
  run.steps.back().loss = NAN;
  CHECK_THAT(report::report_html({run}, nullptr), contains("fig-stragglers"));
  run.steps.clear();
  run.buckets.clear();
  CHECK_THAT(report::report_html({run}, nullptr), contains("0 steps"));
}

TEST_CASE("without gnuplot there is one clear line", "[report]") {
  const tests::TemporaryFolder empty;
  const Environment path("PATH", empty.path().string());
  CHECK_THROWS_WITH(page_of(two_runs()), contains("gnuplot was not found"));
}

TEST_CASE("a script that gnuplot refuses is reported with gnuplot's words", "[report]") {
  CHECK_THROWS_WITH(report::Plot(100, 100).line("plot nonsense(").svg("fig-x", "x"), contains("fig-x"));
}

TEST_CASE("an existing page is kept unless --force", "[report]") {
  const tests::TemporaryFolder folder;
  const auto file = folder.write("report.html", "mine");
  CHECK_THROWS_WITH(write_text_file(file, "new", false), contains("--force"));
  write_text_file(file, "new", true);
  std::ifstream in(file);
  CHECK(std::string(std::istreambuf_iterator<char>(in), {}) == "new");
  CHECK_THROWS_WITH(write_text_file(folder.path(), "new", true), contains("is a folder"));
  CHECK_THROWS_WITH(write_text_file(folder.path() / "no" / "r.html", "new", true), contains("does not exist"));
}

TEST_CASE("a full disk leaves nothing behind", "[report]") {
  const tests::TemporaryFolder folder;
  rlimit old{};
  getrlimit(RLIMIT_FSIZE, &old);
  const rlimit small{4096, old.rlim_max};
  const auto previous = std::signal(SIGXFSZ, SIG_IGN);
  setrlimit(RLIMIT_FSIZE, &small);
  std::string message;
  try {
    write_text_file(folder.path() / "report.html", std::string(100000, 'x'), false);
  } catch (const UserError& error) {
    message = error.what();
  }
  setrlimit(RLIMIT_FSIZE, &old);
  std::signal(SIGXFSZ, previous);
  CHECK_THAT(message, contains("cannot be written"));
  CHECK(std::filesystem::is_empty(folder.path()));
}
