# For sourcing, by bash, in a batch job: a sweep that survives preemption and time limits.
#
#   run_or_requeue NAME COMMAND...   passes signals on to COMMAND as USR1; where it ends with 3, stopped, the job goes back
#                                    into the queue. Exits with COMMAND's code. NAME: the batch file, for its one line.

run_or_requeue() {
  local name=$1 child code
  shift
  "$@" &
  child=$!
  # shellcheck disable=SC2064  # this child
  trap "kill -USR1 $child 2>/dev/null" USR1 USR2 TERM
  while :; do
    code=0
    wait "$child" || code=$?
    kill -0 "$child" 2>/dev/null || break
  done
  if [[ $code == 3 ]]; then
    echo "$name: back into the queue, started $((${SLURM_RESTART_COUNT:-0} + 1)) times so far"
    scontrol requeue "$SLURM_JOB_ID" 2>/dev/null || true  # a requeue that stopped it has done so
  fi
  exit "$code"
}
