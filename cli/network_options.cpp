#include "cli/network_options.h"

#include "comm/launch.h"

namespace gpumonth::cli {

void add_weights_option(Command command, trainer::NetworkOptions& o) {
  command.add_option("--weights", o.weights, "ema: their moving average; model: as training left them")
      .type_name("NAME")
      .is_member({"ema", "model"})
      .show_default();
}

void add_network_options(Command command, trainer::NetworkOptions& o, comm::CommOptions& comm) {
  command.add_option("--batch", o.batch, "samples that go through the network together")
      .type_name("B")
      .range(1, 1 << 20)
      .show_default();
  command.add_option("--dtype", o.dtype, "compute type; auto: bf16 where hardware has it")
      .type_name("TYPE")
      .is_member({"auto", "fp32", "bf16"})
      .show_default();
  command.add_option("--backend", o.backend, "where the model runs; auto: a GPU where there is one")
      .type_name("BACKEND")
      .is_member({"auto", "cpu", "cuda"})
      .show_default();
  command.add_option("--threads", o.threads, "per rank; 0: this host's cores / ranks on it")
      .type_name("THREADS")
      .range(0, 4096)
      .show_default();
  command.add_option("--transport", comm.transport, "between ranks; nccl: one GPU each")
      .type_name("NAME")
      .is_member(comm::transport_names())
      .show_default();
}

}  // namespace gpumonth::cli
