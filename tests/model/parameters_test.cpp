// Names, shapes and counts of the reference's state_dict, and the layout of the flat buffer.
#include "model/parameters.h"

#include <set>

#include "tests/catch.h"

using namespace gpumonth::model;
using Shape = std::vector<std::int64_t>;

namespace {

ModelConfig load(const std::string& name) {
  return load_model(std::string(GPUMONTH_SOURCE_DIR) + "/configs/models/" + name + ".toml");
}

bool is_modulation(const Parameter& p) { return p.name.find("adaLN_modulation") != std::string::npos; }

}  // namespace

TEST_CASE("the DiT paper's parameter counts: 33, 130, 458, 675 M") {
  const std::vector<std::pair<std::string, double>> paper = {{"s", 33}, {"b", 130}, {"l", 458}, {"xl", 675}};
  for (const auto& [size, millions] : paper) {
    const double count = static_cast<double>(ParameterTable(load("dit-" + size + "-2")).count());
    INFO("dit-" << size << "-2: " << count);
    CHECK(std::fabs(count / 1e6 - millions) < 0.5 + 0.002 * millions);
  }
  // The reference, without its fixed pos_embed (256, 1152).
  CHECK(ParameterTable(load("dit-xl-2")).count() == 674834720);
}

TEST_CASE("names and shapes are the reference's") {
  const ParameterTable table(load("dit-s-2"));
  CHECK(table.at("x_embedder.proj.weight").shape == Shape{384, 4, 2, 2});
  CHECK(table.at("x_embedder.proj.bias").shape == Shape{384});
  CHECK(table.at("t_embedder.mlp.0.weight").shape == Shape{384, 256});
  CHECK(table.at("t_embedder.mlp.2.weight").shape == Shape{384, 384});
  CHECK(table.at("y_embedder.embedding_table.weight").shape == Shape{1001, 384});
  CHECK(table.at("blocks.0.attn.qkv.weight").shape == Shape{1152, 384});
  CHECK(table.at("blocks.0.attn.qkv.bias").shape == Shape{1152});
  CHECK(table.at("blocks.11.attn.proj.weight").shape == Shape{384, 384});
  CHECK(table.at("blocks.5.mlp.fc1.weight").shape == Shape{1536, 384});
  CHECK(table.at("blocks.5.mlp.fc2.weight").shape == Shape{384, 1536});
  CHECK(table.at("blocks.5.adaLN_modulation.1.weight").shape == Shape{2304, 384});
  CHECK(table.at("final_layer.adaLN_modulation.1.weight").shape == Shape{768, 384});
  CHECK(table.at("final_layer.linear.weight").shape == Shape{32, 384});
  CHECK(table.at("final_layer.linear.bias").shape == Shape{32});
  CHECK(table.all().size() == 12 * 10 + 7 + 4);
  CHECK(table.at("blocks.3.mlp.fc1.bias").layer == 3);
  CHECK(table.at("final_layer.linear.bias").layer == 12);
  CHECK(table.at("t_embedder.mlp.0.bias").layer == -1);
  CHECK_THROWS_AS(table.at("blocks.12.attn.qkv.weight"), std::out_of_range);
  CHECK(ParameterTable(load("dit-s-2-video")).at("x_embedder.proj.weight").shape == Shape{384, 4, 2, 2, 2});
}

TEST_CASE("the flat buffer holds every tensor once, in the order of backward, aligned") {
  ModelConfig model;
  model.hidden_size = GENERATE(64, 100);  // 100: not a multiple of the alignment
  model.num_heads = 4;
  model.depth = 3;
  const ParameterTable table(model);
  std::int64_t end = 0, count = 0;
  std::set<std::string> names;
  for (const auto& p : table.all()) {
    INFO(p.name);
    CHECK(p.offset >= end);
    CHECK(p.offset - end < kParameterAlignment);
    if (!is_modulation(p)) CHECK(p.offset % kParameterAlignment == 0);
    end = p.offset + p.count;
    count += p.count;
    names.insert(p.name);
  }
  CHECK(names.size() == table.all().size());
  CHECK(count == table.count());
  CHECK(table.flat_size() >= end);
  CHECK(table.flat_size() % kParameterAlignment == 0);

  std::vector<std::string> order;
  for (const auto& p : table.all()) {
    if (p.name.ends_with(".weight")) order.push_back(p.name.substr(0, p.name.size() - 7));
  }
  CHECK(order == std::vector<std::string>{"final_layer.linear",
                                          "blocks.2.mlp.fc2",
                                          "blocks.2.mlp.fc1",
                                          "blocks.2.attn.proj",
                                          "blocks.2.attn.qkv",
                                          "blocks.1.mlp.fc2",
                                          "blocks.1.mlp.fc1",
                                          "blocks.1.attn.proj",
                                          "blocks.1.attn.qkv",
                                          "blocks.0.mlp.fc2",
                                          "blocks.0.mlp.fc1",
                                          "blocks.0.attn.proj",
                                          "blocks.0.attn.qkv",
                                          "x_embedder.proj",
                                          "t_embedder.mlp.2",
                                          "t_embedder.mlp.0",
                                          "y_embedder.embedding_table",
                                          "final_layer.adaLN_modulation.1",
                                          "blocks.2.adaLN_modulation.1",
                                          "blocks.1.adaLN_modulation.1",
                                          "blocks.0.adaLN_modulation.1"});
}

TEST_CASE("all modulations are one matrix and one bias vector") {
  ModelConfig model;
  model.hidden_size = 100;
  model.num_heads = 4;
  model.depth = 3;
  const ParameterTable table(model);
  const std::int64_t h = model.hidden_size;
  const auto& weight = table.at("final_layer.adaLN_modulation.1.weight");
  const auto& bias = table.at("final_layer.adaLN_modulation.1.bias");
  CHECK(weight.offset % kParameterAlignment == 0);
  CHECK(bias.offset % kParameterAlignment == 0);
  for (int block = 0; block < model.depth; ++block) {
    const std::int64_t row = 2 * h + 6 * h * (model.depth - 1 - block);
    const std::string name = "blocks." + std::to_string(block) + ".adaLN_modulation.1";
    CHECK(table.at(name + ".weight").offset == weight.offset + row * h);
    CHECK(table.at(name + ".bias").offset == bias.offset + row);
  }
  CHECK(bias.offset >= weight.offset + (2 + 6 * model.depth) * h * h);
}
