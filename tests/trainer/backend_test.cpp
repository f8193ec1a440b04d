// run.backend = "cuda" where there is no GPU: refused in one line that says why. GPUs of this machine are hidden.
#include "trainer/backend.h"

#include <cstdlib>

#include "base/error.h"
#include "comm/host/host_transport.h"
#include "machine/cuda_devices.h"
#include "tests/catch.h"
#include "tests/trainer/runs.h"
#include "trainer/run_info.h"

using namespace gpumonth;
using namespace gpumonth::tests;
using namespace gpumonth::trainer;
using namespace gpumonth::machine;

namespace {

/// Before the first call into CUDA: this program makes none before.
const bool hidden = setenv("CUDA_VISIBLE_DEVICES", "", 1) == 0;

/// Ranks and a transport that only say what they are.
class Ranks final : public comm::SelfCommunicator {
 public:
  explicit Ranks(int size) : size_(size) {}
  int size() const override { return size_; }

 private:
  int size_;
};

class Over final : public comm::HostTransport {
 public:
  Over(int size, std::string name, int gpu)
      : HostTransport(std::move(name), std::make_unique<Ranks>(size)), gpu_(gpu) {}
  int gpu() const override { return gpu_; }

 private:
  int gpu_;
};

std::string refusal(const std::string& asked, const comm::Transport& over) {
  try {
    choose_backend(asked, over);
  } catch (const UserError& error) {
    return error.what();
  }
  return "no error";
}

TEST_CASE("auto and cpu are the CPU where there is no GPU") {
  REQUIRE(hidden);
  REQUIRE(machine::cuda_devices().devices.empty());
  CHECK(choose_backend("auto", comm::SelfTransport()).name == "cpu");
  CHECK(choose_backend("cpu", comm::SelfTransport()).name == "cpu");
  CHECK(choose_backend("auto", Over(2, "mpi", -1)).name == "cpu");
  RunConfig config;
  CHECK(resolve(config, comm::SelfTransport()).backend == "cpu");
}

TEST_CASE("cuda without a GPU is refused in one line with the reason") {
  for (const std::string& message : {refusal("cuda", comm::SelfTransport()), refusal("cuda", Over(2, "mpi", -1))}) {
    INFO(message);
    CHECK_THAT(message, contains("run.backend = \"cuda\": " + machine::cuda_devices().why_none));
    CHECK_THAT(message, contains("set run.backend = \"cpu\""));
    CHECK(message.find('\n') == std::string::npos);
  }
}

TEST_CASE("ranks over NCCL compute where their transport has its GPU") {
  const Backend backend = choose_backend("auto", Over(4, "nccl", 3));
  CHECK(backend.name == "cuda");
  CHECK(backend.device == 3);
  CHECK(choose_backend("cuda", Over(4, "nccl", 1)).device == 1);
  CHECK_THAT(refusal("cpu", Over(4, "nccl", 3)), contains("comm.transport = \"mpi\""));
}

TEST_CASE("train and probe say it and leave nothing behind") {
  const TemporaryFolder folder;
  const auto file = write_run_file(folder);
  const auto out = folder.path() / "out";
  check_refused(run_command(train_command(0, file, {"run.backend=cuda"})),
                {"run.backend = \"cuda\"", machine::cuda_devices().why_none, "run.backend = \"cpu\""}, out);
  const auto ranks = run_command(train_command(2, file, {"run.backend=cuda"}));
  CHECK(ranks.exit_code == 2);
  CHECK_THAT(ranks.err, contains("run.backend = \"cuda\": " + machine::cuda_devices().why_none));
  CHECK_FALSE(std::filesystem::exists(out));
  const std::filesystem::path golden = std::filesystem::path(GPUMONTH_SOURCE_DIR) / "tests/golden/image";
  const auto result =
      run_command(std::string(GPUMONTH_BINARY) + " probe " + (golden / "checkpoint.h5").string() + " --model " +
                  (golden / "model.toml").string() + " --batch " + (golden / "batch.h5").string() + " --out " +
                  (folder.path() / "o.h5").string() + " --backend cuda");
  CHECK(result.exit_code == 2);
  CHECK_THAT(result.err, contains(machine::cuda_devices().why_none));
  CHECK_FALSE(std::filesystem::exists(folder.path() / "o.h5"));
}

}  // namespace
