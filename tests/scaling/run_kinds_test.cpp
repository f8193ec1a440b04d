// Which of several runs at one place of a curve counts, by hand.
#include "scaling/run_kinds.h"

#include "tests/catch.h"

using namespace gpumonth;
using namespace gpumonth::scaling;
using runlog::Origin;

namespace {

using Kept = std::vector<std::optional<std::size_t>>;

}  // namespace

TEST_CASE("measured before replayed before simulated, at the same ranks and batch") {
  const std::vector<PlacedRun> runs = {{"s2", 2, 8, Origin::simulated}, {"r2", 2, 8, Origin::replayed},
                                       {"m2", 2, 8, Origin::measured},  {"m2b", 2, 8, Origin::measured},
                                       {"r4", 4, 8, Origin::replayed},  {"s4", 4, 8, Origin::simulated},
                                       {"s8", 8, 8, Origin::simulated}, {"s8b", 8, 8, Origin::simulated}};
  CHECK(superseding(runs) == Kept{2, 2, std::nullopt, std::nullopt, std::nullopt, 4, std::nullopt, std::nullopt});
  const std::string note = superseded_note(runs);
  CHECK_THAT(note, tests::contains("measured before replayed before simulated"));
  CHECK_THAT(note, tests::contains(": s2 (simulated, for m2), r2 (replayed, for m2), s4 (simulated, for r4)"));
  CHECK(kinds_text(runs) == "2 measured, 2 replayed, 4 simulated");
}

TEST_CASE("another batch per rank is another place") {
  const std::vector<PlacedRun> runs = {{"m", 2, 8, Origin::measured}, {"s", 2, 16, Origin::simulated}};
  CHECK(superseding(runs) == Kept{std::nullopt, std::nullopt});
  CHECK(superseded_note(runs).empty());
  const std::vector<PlacedRun> same = {{"m", 3, 8.0, Origin::measured}, {"s", 3, 8 * (1 + 1e-15), Origin::simulated}};
  CHECK(superseding(same)[1] == 0);
}

TEST_CASE("nothing is said where all were measured, or there is no run") {
  const std::vector<PlacedRun> runs = {{"a", 2, 8, Origin::measured}, {"b", 2, 8, Origin::measured}};
  CHECK(superseding(runs) == Kept{std::nullopt, std::nullopt});
  CHECK(superseded_note(runs).empty());
  CHECK(kinds_text(runs).empty());
  CHECK(superseding({}).empty());
}
