#include "budget/plan/goodput.h"

namespace gpumonth::budget {

Column mean_time_between_failures_s(const Column& failures_per_gpu_hour, double gpus) {
  return 3600 / (failures_per_gpu_hour * gpus);
}

Column young_interval_s(const Column& write_s, const Column& mtbf_s) { return (2 * write_s * mtbf_s).sqrt(); }

Column daly_interval_s(const Column& write_s, const Column& mtbf_s) {
  const Column x = write_s / (2 * mtbf_s);
  const Column series = young_interval_s(write_s, mtbf_s) * (1 + x.sqrt() / 3 + x / 9) - write_s;
  return (write_s < 2 * mtbf_s).select(series, mtbf_s).max(1e-6);
}

Column first_order_loss(const Column& interval_s, const Column& write_s, const Column& restart_s,
                        const Column& mtbf_s) {
  return write_s / interval_s + interval_s / (2 * mtbf_s) + restart_s / mtbf_s;
}

Column forward_share(const Column& interval_s, const Column& write_s, const Column& restart_s, const Column& mtbf_s) {
  const Column lost = ((interval_s + write_s) / mtbf_s).unaryExpr([](double x) { return std::expm1(x); });
  const Column share = interval_s / (mtbf_s * (restart_s / mtbf_s).exp() * lost);
  return mtbf_s.isInf().select(1.0, share);
}

Column samples_over_minimum(double batch, const Column& critical_batch) { return 1 + batch / critical_batch; }

}  // namespace gpumonth::budget
