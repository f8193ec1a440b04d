#!/usr/bin/env bash
# jobs/sweep.sbatch and jobs/train.sbatch on a real Slurm of two nodes (network namespaces on this machine): a sweep that
# is requeued in the middle and goes on, the same sweep through jobs/sweep.sh, a training job that is signalled and resumes
# without losing a step, and a sweep of replays that is signalled, requeued and completed. Exit 77 where namespaces or Slurm are missing.
#   slurm_test.sh GPUMONTH
set -euo pipefail
gpumonth=$(readlink -f "$1")
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
root=$PWD lab=$PWD/tests/netlab.sh slurm=$PWD/tests/slurm.sh
why=$("$slurm" can) || { echo "skipped: $why"; exit 77; }
work=$(mktemp -d)
cleanup() {
  "$slurm" down || true
  "$lab" down || true
  rm -rf "$work"
}
trap cleanup EXIT
"$slurm" down
"$lab" down
"$lab" up 2 1gbit
"$slurm" up 2

fail() {
  echo "FAILED: $*" >&2
  tail -n 20 "$work"/*.out >&2 || true
  exit 1
}
on_slurm() { "$slurm" run "$@"; }
submit() { on_slurm sbatch --parsable --nodes=2 --ntasks-per-node=1 -o "$work/$1.out" "${@:2}"; }
state() { on_slurm scontrol -o show job "$1" 2>/dev/null | grep -o 'JobState=[A-Z]*' | cut -d= -f2 || true; }
wait_for() {  # SECONDS WHAT COMMAND...
  local limit=$1 what=$2
  shift 2
  for ((i = 0; i < limit * 5; ++i)); do
    "$@" && return 0
    sleep 0.2
  done
  fail "$what: not within $limit s"
}
is_complete() {  # or fails at once where it no longer can be
  case $(state "$1") in
    COMPLETED) ;;
    FAILED | CANCELLED | TIMEOUT | NODE_FAIL) on_slurm scontrol -o show job "$1" >&2; fail "job $1 did not complete" ;;
    *) return 1 ;;
  esac
}
is_pending() { [[ $(state "$1") == PENDING ]]; }
# Slurm lets a requeued job wait for two minutes. Not at once, though: the batch script of the first start ends first, and
# a node refuses a start in the second in which the job was killed there ("credential revoked").
start_now() { sleep 3; on_slurm scontrol update jobid="$1" StartTime=now; }
steps_of() {  # FOLDER: every step in its logs, each once
  local log
  for log in "$1"/run*.h5; do h5dump -d /steps/step -y -w 1 "$log" | grep -oE '^ *[0-9]+' ; done | tr -d ' ' | sort -nu
}
exists() { [[ -e $1 ]]; }
newest() { find "$1" -name 'checkpoint-*.h5' 2>/dev/null | grep -q .; }

export OMPI_MCA_btl=tcp,self OMPI_MCA_btl_tcp_if_include=10.91.0.0/24 GPUMONTH_ROOT=$root GPUMONTH=$gpumonth

echo "== a sweep, requeued in its first run"
sweep=(configs/runs/tiny.toml --ranks "1 2" --batch 8 --repeats 2 --steps 120 --checkpoint-every 10 --gpumonth "$gpumonth")
job=$(submit sweep jobs/sweep.sbatch "${sweep[@]}" --out "$work/slurm")
wait_for 60 "a first checkpoint" newest "$work/slurm/weak-b8-n1-r1"
on_slurm scontrol requeue "$job"
wait_for 60 "the job back in the queue" is_pending "$job"
! exists "$work/slurm/weak-b8-n2-r2/finished" || fail "the sweep was over before it was requeued"
start_now "$job"
wait_for 180 "the end of the sweep" is_complete "$job"
for run in weak-b8-n1-r1 weak-b8-n2-r1 weak-b8-n1-r2 weak-b8-n2-r2; do
  exists "$work/slurm/$run/finished" || fail "$run is not finished"
  [[ $(steps_of "$work/slurm/$run" | wc -l) == 120 ]] || fail "$run: its logs hold $(steps_of "$work/slurm/$run" | wc -l) of 120 steps"
done
[[ $(find "$work/slurm/weak-b8-n1-r1" -name 'run-from-*.h5' | wc -l) -ge 1 ]] || fail "the requeued run did not resume"

echo "== the same sweep through jobs/sweep.sh"
env -u OMPI_MCA_btl -u OMPI_MCA_btl_tcp_if_include jobs/sweep.sh "${sweep[@]}" --out "$work/local" >"$work/local.out" 2>&1 || fail "jobs/sweep.sh"
points() { cut -d, -f1,3 "$1" | sort; }  # ranks and batch per rank of every run: all but the speed
grep -q '^ranks,samples_per_s,batch_per_rank' "$work/local/curve.csv" || fail "curve.csv has other columns: $(head -n1 "$work/local/curve.csv")"
diff <(points "$work/slurm/curve.csv" | sort -u) <(points "$work/local/curve.csv" | sort -u) || fail "the two sweeps have different tables"
cat "$work/slurm/curve.csv"

echo "== a training job, signalled as before a preemption"
job=$(submit train jobs/train.sbatch "$work/train" configs/runs/tiny.toml --set run.steps=400 --set run.threads=1 \
  --set checkpoint.every_steps=50)
wait_for 60 "a first checkpoint" newest "$work/train"
on_slurm scancel --signal=USR1 --batch "$job"
wait_for 60 "the job back in the queue" is_pending "$job"
! exists "$work/train/finished" || fail "the run was over before the signal"
start_now "$job"
wait_for 300 "the end of the run" is_complete "$job"
exists "$work/train/finished" || fail "the run is not finished"
[[ $(steps_of "$work/train") == "$(seq 400)" ]] || fail "steps are missing from its logs"
grep -q '^stopped by SIGUSR1' "$work/train.out" || fail "it did not say that it was stopped"
grep -q '^done: 400 steps' "$work/train.out" || fail "it did not say that it was done"

echo "== replays of its log, signalled as before a preemption"
# Of steps six times as long as the recorded 30 ms: a sleep ends up to 0.6 ms late here, and above 2 % of a step a replay is refused.
job=$(submit replay jobs/replay.sbatch "$work/local/weak-b8-n1-r1/run.h5" --ranks "1 2" --repeats 2 --steps 30 --gpumonth "$gpumonth" \
  --out "$work/replay" -- --compute-scale 6)
wait_for 60 "the second replay" exists "$work/replay/n2-r1/run.h5"
exists "$work/replay/n1-r1/finished" || fail "the second replay began before the first was over"
on_slurm scancel --signal=USR1 --batch "$job"
wait_for 60 "the job back in the queue" is_pending "$job"
! exists "$work/replay/n2-r2/finished" || fail "the replays were over before the signal"
start_now "$job"
wait_for 180 "the end of the replays" is_complete "$job"
grep -q 'back into the queue' "$work/replay.out" || fail "it did not say that it was stopped"
grep -q '1 ranks repeat 1, was there' "$work/replay.out" || fail "a finished replay was repeated"
for run in n1-r1 n2-r1 n1-r2 n2-r2; do
  [[ $(steps_of "$work/replay/$run") == "$(seq 30)" ]] || fail "$run: steps are missing from its log"
  h5dump -a /origin "$work/replay/$run/run.h5" | grep -q '"replayed"' || fail "$run does not say that it was replayed"
done
[[ $(cut -d, -f1 "$work/replay/curve.csv" | tail -n +2 | sort -n | xargs) == "1 1 2 2" ]] || fail "the curve: $(cat "$work/replay/curve.csv")"
echo "all as expected"
