# For sourcing, by bash: one run, taken to its end over interruptions. Needs jobs/mpi_env.sh sourced first.
#
#   launch=auto|mpirun|srun          auto: srun inside a Slurm allocation that has PMIx, else mpirun; 1 rank alone: neither
#   train_to_end GPUMONTH RANKS FOLDER ARGUMENTS...   `gpumonth train ARGUMENTS`, writing into FOLDER; goes on from the
#       newest checkpoint there, does nothing where FOLDER/finished exists. Returns 0 finished, 3 stopped by a
#       signal (a checkpoint was written: call again to go on), else the exit code of the failure.
#   replay_to_end GPUMONTH RANKS FOLDER ARGUMENTS...  the same of `gpumonth replay ARGUMENTS`, which begins anew when it is
#       called again after a 3: a replay has no state to go on from.
#   stop_training SIGNAL             for a trap: passes a signal on to the run in progress

training_pid=

# The words in front of the program that start RANKS ranks.
set_launcher() {
  local ranks=$1 how=${launch:-auto}
  if [[ $how == auto ]]; then
    if [[ -n ${SLURM_JOB_ID:-} ]] && srun --mpi=list 2>&1 | grep -q pmix; then how=srun; else how=mpirun; fi
  fi
  case $how in
    srun) launcher=(srun --mpi=pmix --kill-on-bad-exit=1 --ntasks="$ranks"
      --nodes="$((ranks < ${SLURM_JOB_NUM_NODES:-1} ? ranks : ${SLURM_JOB_NUM_NODES:-1}))"
      --cpu-bind=none --overlap) ;;
    mpirun) launcher=(mpirun "${mpi_options[@]}" -n "$ranks") ;;
    *) echo "launch=$how: use auto, mpirun or srun" >&2; return 2 ;;
  esac
  if [[ $how == mpirun && $ranks == 1 && -z ${SLURM_JOB_ID:-} ]]; then launcher=(); fi
}

newest_checkpoint() {  # of FOLDER, by step; nothing where there is none
  find "$1" -maxdepth 1 -name 'checkpoint-*.h5' 2>/dev/null | sed 's/.*checkpoint-\([0-9]*\)\.h5$/\1 &/' | sort -n |
    tail -n1 | cut -d' ' -f2-
}

stop_training() {
  if [[ -n $training_pid ]]; then kill -s "$1" "$training_pid" 2>/dev/null || true; fi
}

said_its_end() { grep -qE '^(done: |stopped by )' "$1/output"; }

train_to_end() {
  local gpumonth=$1 ranks=$2 folder=$3 checkpoint arguments
  shift 3
  arguments=("$@")
  if [[ -e $folder/finished ]]; then return 0; fi
  checkpoint=$(newest_checkpoint "$folder")
  if [[ -n $checkpoint ]]; then
    local step=${checkpoint##*checkpoint-}
    # of an attempt that wrote no newer checkpoint: its steps come again
    rm -f "$folder/run-from-${step%.h5}.h5"
    arguments+=(--set "run.resume=$checkpoint")
  else
    rm -f "$folder"/run*.h5
  fi
  run_to_end "$ranks" "$folder" "$gpumonth" train "${arguments[@]}" --set "run.directory=$folder"
}

replay_to_end() {
  local gpumonth=$1 ranks=$2 folder=$3
  shift 3
  if [[ -e $folder/finished ]]; then return 0; fi
  rm -f "$folder"/run*.h5
  run_to_end "$ranks" "$folder" "$gpumonth" replay "$@" --directory "$folder"
}

run_to_end() {  # RANKS FOLDER COMMAND...
  local ranks=$1 folder=$2 attempt code=0
  shift 2
  mkdir -p "$folder"
  set_launcher "$ranks" || return
  # mpirun hands SIGUSR1 and SIGTERM on to its ranks; srun does with SIGTERM through scancel, so ranks get SIGUSR1
  for attempt in 1 2 3 4; do
    "${launcher[@]}" "$@" </dev/null >"$folder/output" 2>&1 &
    training_pid=$!
    while :; do  # `wait` ends at each trapped signal
      code=0
      wait "$training_pid" || code=$?
      kill -0 "$training_pid" 2>/dev/null || break
    done
    training_pid=
    # A requeued job can start before the step that it was stopped in has left a node: its PMIx socket is still there.
    grep -q '^srun: error: .*launch failed' "$folder/output" && ! said_its_end "$folder" || break
    ((attempt == 4)) || sleep 10
  done
  # What the run said counts beside the launcher's exit code: srun gives 0 for ranks that it could not launch, and
  # --kill-on-bad-exit may kill ranks that were about to end, and gives their code.
  if [[ $code == 3 ]] || grep -q '^stopped by ' "$folder/output"; then return 3; fi
  if [[ $code == 0 ]] && ! said_its_end "$folder"; then
    echo "training.sh: ${launcher[0]:-the run} ended with 0, but the run did not say that it was done" >&2
    code=1
  fi
  if [[ $code != 0 ]]; then
    tail -n 3 "$folder/output" >&2
    return "$code"
  fi
  : >"$folder/finished"
}
