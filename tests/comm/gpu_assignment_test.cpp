// Which ranks may use which GPUs, on hosts that exist only here.
#include "comm/nccl/gpu_assignment.h"

#include "base/error.h"
#include "tests/catch.h"

using namespace gpumonth::comm;
using gpumonth::tests::contains;

namespace {

const std::string kH100 = "NVIDIA H100 80GB HBM3", kA100 = "NVIDIA A100-SXM4-80GB";

RankGpu rank(const std::string& host, const std::string& uuid, int visible, const std::string& name = kH100) {
  return {.host = host, .why_none = "", .name = name, .uuid = uuid, .visible = visible};
}

RankGpu without(const std::string& host, const std::string& why) {
  return {.host = host, .why_none = why, .name = "", .uuid = "", .visible = 0};
}

std::string error_of(const std::vector<RankGpu>& ranks, bool allow_shared_gpu = false) {
  try {
    check_gpus(ranks, allow_shared_gpu);
  } catch (const gpumonth::UserError& error) {
    const std::string text = error.what();
    REQUIRE(text.find('\n') == std::string::npos);
    return text;
  }
  return "";
}

}  // namespace

TEST_CASE("one GPU per rank is fine, on one host and on two") {
  REQUIRE(error_of({rank("a", "G0", 2), rank("a", "G1", 2)}).empty());
  REQUIRE(error_of({rank("a", "G0", 1), rank("a", "G1", 1)}).empty());  // each rank is shown its own
  REQUIRE(error_of({rank("a", "G0", 1), rank("b", "G0", 1)}).empty());  // cloned virtual machines
}

TEST_CASE("a rank takes the GPU of its local rank") {
  REQUIRE(choose_gpu(0, 8) == 0);
  REQUIRE(choose_gpu(5, 8) == 5);
  REQUIRE(choose_gpu(3, 1) == 0);
  REQUIRE(choose_gpu(5, 4) == 1);
}

TEST_CASE("more ranks than GPUs are refused, and the message says how many fit") {
  const std::vector<RankGpu> ranks = {rank("a", "G0", 2), rank("a", "G1", 2), rank("a", "G0", 2)};
  REQUIRE(shares_gpu(ranks));
  const std::string error = error_of(ranks);
  REQUIRE_THAT(error, contains("3 ranks on a, which has 2 GPUs"));
  REQUIRE_THAT(error, contains("comm.allow_shared_gpu = true"));
  REQUIRE(error_of(ranks, true).empty());
}

TEST_CASE("two ranks on one GPU are refused by name") {
  const std::vector<RankGpu> ranks = {rank("a", "G0", 1), rank("b", "G9", 1), rank("a", "G0", 1)};
  const std::string error = error_of(ranks);
  REQUIRE_THAT(error, contains("ranks 0, 2 on a use the same GPU (G0)"));
  REQUIRE_THAT(error, contains("CUDA_VISIBLE_DEVICES"));
  REQUIRE(error_of(ranks, true).empty());
}

TEST_CASE("different models are refused, also where GPUs may be shared") {
  const std::vector<RankGpu> ranks = {rank("a", "G0", 1), rank("b", "G1", 1, kA100)};
  for (const bool shared : {false, true}) {
    const std::string error = error_of(ranks, shared);
    REQUIRE_THAT(error, contains("rank 0 on a has a NVIDIA H100"));
    REQUIRE_THAT(error, contains("rank 1 on b a NVIDIA A100"));
  }
}

TEST_CASE("a rank without a GPU is named with the reason") {
  std::vector<RankGpu> ranks(6, without("b", "no GPU used: no NVIDIA driver here"));
  ranks[0] = rank("a", "G0", 1);
  const std::string error = error_of(ranks);
  REQUIRE_THAT(error, contains("rank 1, 2, 3, 4, ... (5 ranks) on b: no GPU used: no NVIDIA driver here"));
}

TEST_CASE("what a rank says of itself survives the way to the others") {
  for (const RankGpu& said : {rank("node07", "GPU-5b6c", 8), without("b", "none here")}) {
    const RankGpu heard = RankGpu::from_text(said.to_text());
    REQUIRE(heard.host == said.host);
    REQUIRE(heard.why_none == said.why_none);
    REQUIRE(heard.name == said.name);
    REQUIRE(heard.uuid == said.uuid);
    REQUIRE(heard.visible == said.visible);
  }
}
