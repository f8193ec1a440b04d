// The shipped model files, and shapes that cannot be.
#include "base/error.h"
#include "model/config.h"
#include "tests/catch.h"
#include "tests/command.h"

using namespace gpumonth;
using model::ModelConfig;

namespace {

const std::filesystem::path kModels = std::filesystem::path(GPUMONTH_SOURCE_DIR) / "configs" / "models";

std::string error_of(const std::vector<std::string>& overrides) {
  try {
    model::load_model(kModels / "dit-s-2.toml", overrides);
  } catch (const UserError& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace

TEST_CASE("every shipped model file is valid") {
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(kModels)) {
    INFO(entry.path());
    CHECK(model::load_model(entry.path()).tokens() > 0);
    ++files;
  }
  CHECK(files >= 12);
}

TEST_CASE("derived sizes") {
  const ModelConfig image = model::load_model(kModels / "dit-xl-2.toml");
  CHECK(image.tokens() == 256);
  CHECK(image.head_dim() == 72);
  CHECK(image.mlp_hidden() == 4608);
  CHECK(image.out_channels() == 8);
  CHECK(image.patch_in() == 16);
  CHECK(image.patch_out() == 32);
  CHECK(image.label_rows() == 1001);
  CHECK_FALSE(image.is_video());
  const ModelConfig sora = model::load_model(kModels / "dit-20b-video.toml");
  CHECK(sora.tokens() == 184320);
  CHECK(sora.is_video());
  const ModelConfig clip = model::load_model(kModels / "dit-s-2-video.toml");
  CHECK(clip.tokens() == 8 * 16 * 16);
  CHECK(clip.patch_in() == 2 * 2 * 2 * 4);
  CHECK(clip.latent_size() == 4 * 16 * 32 * 32);
  CHECK(model::load_model(kModels / "dit-s-2.toml", {"model.class_dropout_prob=0"}).label_rows() == 1000);
}

TEST_CASE("shapes that cannot be get one line") {
  CHECK(error_of({"model.num_heads=5"}) ==
        "model: hidden_size 384 is not a multiple of num_heads 5: change one of them");
  CHECK(error_of({"model.patch_size=3"}) ==
        "model: input_size 32 is not a multiple of patch_size 3: change one of them");
  CHECK(error_of({"model.frames=5", "model.temporal_patch_size=2"}) ==
        "model: frames 5 is not a multiple of temporal_patch_size 2: change one of them");
  CHECK(error_of({"model.hidden_size=390", "model.num_heads=6"}) ==
        "model: hidden_size 390 is not a multiple of 4, which the sin-cos positions need: round it");
  CHECK(error_of({"model.class_dropout_prob=1.5"}) ==
        "--set model.class_dropout_prob=1.5: 'model.class_dropout_prob' = 1.5 is too large: at most 1");
  CHECK(error_of({"model.mlp_ratio=0.01", "model.hidden_size=48"}) ==
        "model: mlp_ratio 0.01 gives an MLP of width 0: make it larger");
  CHECK_THAT(error_of({"model.depth=16384", "model.hidden_size=393216", "model.input_size=1024"}),
             tests::contains("model: too large to count"));
  CHECK_THAT(error_of({"model.patch_size=65536", "model.input_size=65536"}),
             tests::contains("model: too large to count"));
  CHECK(error_of({"model.depth=0"}) == "--set model.depth=0: 'model.depth' = 0 is too small: at least 1");
  CHECK(error_of({"model.dephts=2"}) ==
        "--set model.dephts=2: unknown key 'model.dephts' (did you mean 'model.depth'?)");
}
