#include "cli/what_if.h"

namespace gpumonth::cli {

void add_what_if_options(Command& command, replay::WhatIf& changes, std::string& stragglers) {
  command
      .add_option("--compute-scale", changes.compute_scale,
                  "times forward, backward and update; 0.5: a GPU twice as fast")
      .type_name("FACTOR")
      .show_default();
  command.add_option("--batch-per-rank", changes.batch_per_rank, "samples; without it as recorded")
      .type_name("N")
      .range(1, 1 << 24);
  command.add_option("--bucket-mib", changes.bucket_mib, "size of a gradient bucket, MiB; without it as recorded")
      .type_name("MIB")
      .range(0.001, 16384.0);
  command.add_option("--reduce-dtype", changes.reduce_dtype, "type of gradients on their way; without it as recorded")
      .type_name("NAME")
      .is_member({"fp32", "bf16"});
  command
      .add_option(
          "--sharding", changes.sharding,
          "optimizer: every rank updates its share; full: and holds weights and gradients in shares, too; without "
          "it as recorded")
      .type_name("NAME")
      .is_member({"none", "optimizer", "full"});
  const auto add_count = [&](const char* option, int& value, const char* type, const char* help) {
    command.add_option(option, value, help).type_name(type).range(1, 1 << 20);
  };
  add_count(
      "--shard-group", changes.shard_group, "RANKS",
      "of sharding full: consecutive ranks that hold the whole together, as comm.shard_group; without it all, or as recorded");
  add_count("--accumulate", changes.accumulate, "N",
            "micro-batches of a step, as batch.accumulate, in the recorded compute time; without it as recorded");
  add_count("--sequence-parallel", changes.sequence_parallel, "RANKS",
            "consecutive ranks that share each sample, as run.sequence_parallel; --batch-per-rank are theirs together");
  command
      .add_option("--byte-scale", changes.byte_scale,
                  "times the bytes that ranks send: 0.001 with links 1,000 times as slow")
      .type_name("FACTOR")
      .show_default();
  command
      .add_option("--stragglers", stragglers,
                  "on: as recorded; off: every rank takes the recorded rank's time; 0.02,0.01: shares of a step, "
                  "between ranks and from step to step")
      .type_name("on|off|SHARE,SHARE")
      .show_default();
}

}  // namespace gpumonth::cli
