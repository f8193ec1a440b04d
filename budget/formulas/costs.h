// Days, money and energy of GPU-months, over the value V as in quantities.h.
#pragma once

#include <type_traits>

#include "budget/formulas/inputs.h"

namespace gpumonth::budget {

constexpr double kWattHoursPerMwh = 1e6;

template <class V>
V gpu_days(const Inputs<V>& in, const std::type_identity_t<V>& months) {
  return months * in.at("time.days_per_month");
}

template <class V>
V gpu_hours(const Inputs<V>& in, const std::type_identity_t<V>& months) {
  return named(gpu_days(in, months) * kHoursPerDay, "GPU-hour", "GPU-months x days per month x 24");
}

/// On so many GPUs at the same time.
template <class V>
V days_on(const Inputs<V>& in, const std::type_identity_t<V>& months, const std::type_identity_t<V>& gpus) {
  return named(gpu_days(in, months) / gpus, "day", "GPU-days / GPUs");
}

/// Needs cost.price.
template <class V>
V usd(const Inputs<V>& in, const std::type_identity_t<V>& months) {
  return named(gpu_hours(in, months) * in.at("cost.price"), "USD", "GPU-hours x price");
}

/// The key of the power per GPU: of the scenario, else of its device; nullptr where neither is known.
inline const char* power_key(const Scenario& s) {
  return s.has("cost.power") ? "cost.power" : s.has("hardware.power_w") ? "hardware.power_w" : nullptr;
}

/// Of the machines; needs a power_key.
template <class V>
V board_energy(const Inputs<V>& in, const std::type_identity_t<V>& months) {
  return named(gpu_hours(in, months) * in.at(power_key(in.scenario())) / kWattHoursPerMwh, "MWh", "GPU-hours x power");
}

/// With the building's cooling; needs cost.pue too.
template <class V>
V building_energy(const Inputs<V>& in, const std::type_identity_t<V>& months) {
  return named(board_energy(in, months) * in.at("cost.pue"), "MWh", "GPU-hours x power x PUE");
}

}  // namespace gpumonth::budget
