#!/usr/bin/env bash
# What a training step costs where other programs run on the same cores, and what the way threads wait for each other
# (trainer/shared_cores.h) has to do with it. Settings are taken in turn, so that a machine that grows slower does not look
# like a difference; printed are medians over all steady steps and their ratios.
#
#   tests/bench/shared_machine.sh [GPUMONTH [PAIRS [STEPS]]]       default: build/cpu/gpumonth 5 150, about 5 minutes
#   POLICIES="GOMP_SPINCOUNT=2000 OMP_WAIT_POLICY=passive" ...     other settings to compare, instead of gpumonth's own
#
# quiet: nothing else runs; busy: as many endless loops as cores. "libgomp" is what libgomp does by itself (it spins
# 300,000 times), "own" is gpumonth's choice. Bounds of issue 11: own at most 1 % above libgomp when quiet, and at most
# 2.3 x its own quiet time when busy, for one rank on all cores as for a rank per core.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source jobs/mpi_env.sh
gpumonth=${1:-build/cpu/gpumonth} pairs=${2:-5} steps=${3:-150}
[[ -x $gpumonth ]] || { echo "shared_machine.sh: $gpumonth is not built" >&2; exit 2; }
cores=$(nproc)
work=$(mktemp -d)
busy=()
quiet_down() {
  if ((${#busy[@]})); then kill "${busy[@]}" && wait "${busy[@]}" || true; fi 2>/dev/null
  busy=()
}
trap 'quiet_down; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
unset OMP_WAIT_POLICY GOMP_SPINCOUNT

# one RANKS NAME [VARIABLE=VALUE]: a run; its steady step times, in ms, are appended to $work/NAME
one() {
  local ranks=$1 name=$2 launch=() threads=$((cores / $1))
  shift 2
  if ((ranks > 1)); then launch=(mpirun "${mpi_options[@]}" -n "$ranks"); fi
  rm -rf "$work/run"
  env "$@" "${launch[@]}" "$gpumonth" train configs/runs/tiny.toml --set "run.directory=$work/run" \
    --set "run.steps=$steps" --set "run.threads=$((threads > 0 ? threads : 1))" --set log.measure_gemm_peak=false \
    --set checkpoint.at_end=false >"$work/said" 2>&1 || { tail -n 5 "$work/said" >&2; exit 1; }
  h5dump -d /steps/step_time_s -y -w 1 "$work/run/run.h5" | grep -oE '^ *[0-9][0-9.e-]*' | tail -n +6 |
    awk '{print 1000 * $1}' >>"$work/$name"
}
median() { sort -g "$1" | awk '{v[NR] = $1} END {print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2}'; }

settings=(libgomp "${POLICIES:-own}")
[[ -z ${POLICIES:-} ]] || read -ra settings <<<"libgomp $POLICIES"
printf '%-6s %-28s %12s %12s %14s %14s\n' ranks waiting "quiet ms" "busy ms" "quiet/libgomp" "busy/quiet"
for ranks in 1 "$cores"; do
  ((ranks > 1)) || [[ $ranks == 1 ]] || continue
  for ((pair = 0; pair < pairs; ++pair)); do
    for load in quiet busy; do
      if [[ $load == busy ]]; then
        # they end with this script, however it ends
        for ((i = 0; i < cores; ++i)); do (while kill -0 $$ 2>/dev/null; do :; done) & busy+=($!); done
      fi
      for setting in "${settings[@]}"; do
        case $setting in
          libgomp) one "$ranks" "$ranks-$load-$setting" GOMP_SPINCOUNT=300000 ;;
          own) one "$ranks" "$ranks-$load-$setting" ;;
          *) one "$ranks" "$ranks-$load-$setting" "$setting" ;;
        esac
      done
      quiet_down
    done
  done
  reference=$(median "$work/$ranks-quiet-libgomp")
  for setting in "${settings[@]}"; do
    awk -v ranks="$ranks" -v setting="$setting" -v quiet="$(median "$work/$ranks-quiet-$setting")" \
      -v busy="$(median "$work/$ranks-busy-$setting")" -v reference="$reference" \
      'BEGIN {printf "%-6s %-28s %12.1f %12.1f %14.3f %14.2f\n", ranks, setting, quiet, busy, quiet / reference, busy / quiet}'
  done
done
