// What keeps run logs off one curve.
#include "scaling/measured_run.h"

#include "tests/catch.h"

using namespace gpumonth;
using namespace gpumonth::scaling;

namespace {

RunFacts facts_with(const std::string& config_toml) {
  runlog::Run log;
  log.info.config_toml = config_toml;
  return facts_of(log);
}

}  // namespace

TEST_CASE("logs of another objective are apart, those that name none are of diffusion") {
  const RunFacts old = facts_with("[model]\ndepth = 2\n"),
                 diffusion = facts_with("[objective]\nkind = \"diffusion\"\n"),
                 guided = facts_with("[objective]\nkind = \"consistency\"\nguidance = 4.0\n"),
                 alone = facts_with("[objective]\nkind = \"consistency\"\nguidance = 1.0\n");
  CHECK_FALSE(difference(old, diffusion));
  CHECK_FALSE(difference(guided, guided));
  REQUIRE(difference(old, guided));
  CHECK(to_text(*difference(old, guided)) ==
        "the objective is 'diffusion' in one and 'consistency, guidance 4.0' in the other");
  CHECK(difference(guided, alone));
  CHECK_FALSE(model_difference(old, guided));  // it is the same model
}
