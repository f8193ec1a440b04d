#!/usr/bin/env bash
# A Slurm over the hosts of tests/netlab.sh, which must be up. Root; Debian's slurm-wlm and munge. Nothing of the system's own
# Slurm or munge is touched: key, sockets, state and logs lie in one folder of their own.
#   slurm.sh can            exit 0 where it can work, else 1 and one line why not
#   slurm.sh up N           munged, slurmctld on host 1, slurmd on hosts 1..N; waits until all are idle
#   slurm.sh run CMD...     a command on host 1 that finds this Slurm: sbatch, squeue, scontrol ...
#   slurm.sh down
set -euo pipefail
me=$(readlink -f "$0") lab=$(dirname "$(readlink -f "$0")")/netlab.sh
dir=${TMPDIR:-/tmp}/gpumonth-slurm net=10.91.0 prefix=gpumonth-h
export SLURM_CONF=$dir/slurm.conf PATH=$PATH:/usr/sbin

write_conf() {
  local n=$1 i
  cat >"$SLURM_CONF" <<CONF
ClusterName=gpumonth
SlurmctldHost=${prefix}1($net.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$dir/munge.socket
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
MpiDefault=pmix
KillWait=60
SlurmctldPort=26917
SlurmdPort=26918
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/%n.pid
SlurmctldLogFile=$dir/slurmctld.log
SlurmdLogFile=$dir/%n.log
SlurmdSpoolDir=$dir/spool-%n
TmpFS=$dir/tmp-%n
StateSaveLocation=$dir/state
PartitionName=all Nodes=ALL Default=YES State=UP
CONF
  for i in $(seq 1 "$n"); do
    echo "NodeName=$prefix$i NodeAddr=$net.$i CPUs=1 State=UNKNOWN" >>"$SLURM_CONF"
    mkdir -p "$dir/spool-$prefix$i" "$dir/tmp-$prefix$i"
  done
}

case ${1:-} in
can)
  "$lab" can || exit 1
  for tool in slurmctld slurmd sbatch munged mungekey; do
    command -v $tool >/dev/null || { echo "no '$tool' (slurm-wlm, munge)"; exit 1; }
  done
  compgen -G '/usr/lib/*/slurm*/mpi_pmix*.so' >/dev/null || { echo "this Slurm has no PMIx plugin"; exit 1; } ;;
up)
  n=$2
  mkdir -p "$dir/state"
  chmod 755 "$dir"
  write_conf "$n"
  mungekey --create --keyfile="$dir/munge.key" --force
  munged --key-file="$dir/munge.key" --socket="$dir/munge.socket" --pid-file="$dir/munged.pid" \
    --log-file="$dir/munged.log" --seed-file="$dir/munged.seed" --force >/dev/null 2>&1
  ("$lab" on 1 setsid slurmctld -D </dev/null >/dev/null 2>&1 &)
  for i in $(seq 1 "$n"); do ("$lab" on "$i" setsid slurmd -D </dev/null >/dev/null 2>&1 &); done
  for _ in $(seq 60); do
    [ "$("$me" run sinfo -h -t idle -o %D 2>/dev/null)" = "$n" ] && exit 0
    sleep 1
  done
  echo "slurm.sh: the nodes are not idle after 60 s; last lines of the logs:" >&2
  tail -n 3 "$dir"/*.log >&2
  exit 1 ;;
run)
  shift
  exec "$lab" on 1 "$@" ;;
down)
  for file in "$dir"/*.pid; do [ -e "$file" ] && kill "$(cat "$file")" 2>/dev/null || true; done
  sleep 1
  for file in "$dir"/*.pid; do [ -e "$file" ] && kill -9 "$(cat "$file")" 2>/dev/null || true; done
  rm -rf "$dir" ;;
*) sed -n 2,9p "$0"; exit 2 ;;
esac
