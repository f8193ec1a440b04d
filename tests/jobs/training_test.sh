#!/usr/bin/env bash
# jobs/training.sh against launchers that do not tell the truth: a run is finished only where it said so itself.
#   training_test.sh SOURCE
set -euo pipefail
cd "$1"
source jobs/mpi_env.sh
source jobs/training.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "training_test.sh: $*"; exit 1; }

# An srun that says on each call what $work/script says in that line: EXIT-CODE TEXT
cat >"$work/srun" <<'SRUN'
#!/usr/bin/env bash
here=$(dirname "$0")
[[ $* != --mpi=list ]] || { echo pmix; exit 0; }
echo call >>"$here/calls"
line=$(sed -n "$(wc -l <"$here/calls")p" "$here/script")
echo "${line#* }"
exit "${line%% *}"
SRUN
chmod +x "$work/srun"
PATH=$work:$PATH SLURM_JOB_ID=1 SLURM_JOB_NUM_NODES=2
sleep() { :; }  # between attempts

# try NAME CODE CALLS FINISHED(yes|no) LINE...: what train_to_end makes of a launcher that says these lines in turn
try() {
  local name=$1 expected=$2 calls=$3 finished=$4 code=0 is=no
  shift 4
  rm -rf "$work/run" "$work/calls"
  : >"$work/calls"
  printf '%s\n' "$@" >"$work/script"
  train_to_end /bin/false 2 "$work/run" x.toml 2>"$work/said" || code=$?
  [[ -e $work/run/finished ]] && is=yes
  [[ $code == "$expected" ]] || fail "$name: code $code instead of $expected"
  [[ $(wc -l <"$work/calls") == "$calls" ]] || fail "$name: $(wc -l <"$work/calls") launches instead of $calls"
  [[ $is == "$finished" ]] || fail "$name: finished is $is"
}
lost='srun: error: task 1 launch failed: Unspecified error'
try 'a run that ends' 0 1 yes '0 done: 400 steps, loss 1.0'
try 'one that is stopped' 3 1 no '3 stopped by SIGUSR1 after step 53'
try 'one that is stopped and killed by srun' 3 1 no '137 stopped by SIGUSR1 after step 53'
try 'one that fails' 2 1 no '2 gpumonth train: error: no'
try 'not launched, then it is' 0 2 yes "1 $lost" '0 done: 400 steps'
try 'not launched, and srun gives 0' 0 3 yes "0 $lost" "0 $lost" '0 done: 400 steps'
try 'never launched, and srun gives 0' 1 4 no "0 $lost" "0 $lost" "0 $lost" "0 $lost"
try 'never launched' 1 4 no "1 $lost" "1 $lost" "1 $lost" "1 $lost"
try 'nothing was started, and the launcher gives 0' 1 1 no '0 '
grep -q 'did not say that it was done' "$work/said" || fail "it does not say why: $(cat "$work/said")"

# A replay that was stopped begins anew, and its log is the only one there.
replay() {  # what the launcher says
  local code=0
  : >"$work/calls"
  printf '%s\n' "$1" >"$work/script"
  replay_to_end /bin/false 2 "$work/run" x.h5 --steps 5 2>"$work/said" || code=$?
  echo "$code"
}
rm -rf "$work/run" && mkdir -p "$work/run" && : >"$work/run/run.h5"
[[ $(replay '3 stopped by SIGUSR1 after step 4') == 3 ]] || fail "a stopped replay is not 3"
[[ ! -e $work/run/run.h5 && ! -e $work/run/finished ]] || fail "a stopped replay left its log"
: >"$work/run/run.h5"
[[ $(replay '0 done: 5 steps replayed') == 0 && -e $work/run/finished ]] || fail "a replay that ends is not finished"
: >"$work/run/run.h5"
[[ $(replay '1 never called') == 0 && -e $work/run/run.h5 && ! -s $work/calls ]] || fail "a finished replay is repeated"
echo "all as expected"
