#!/usr/bin/env bash
# Hosts out of network namespaces on this machine, joined by a bridge, every link shaped to RATE. Root, iproute2.
#   netlab.sh can               exit 0 where namespaces work here, else 1 and one line why not
#   netlab.sh up N RATE [BURST [MTU]]   e.g. netlab.sh up 3 2gbit. BURST, 256kb, passes at once after a pause: on slow links
#                               that stand for fast ones a packet or two, or small buckets never meet the rate. MTU: 1500
#   netlab.sh mpirun N CMD...   one rank on each of hosts 1..N, TCP over the shaped links; extra options in MPIRUN_ARGS
#   netlab.sh on H CMD...       a command on host H
#   netlab.sh link H up|down    pulls or plugs the cable of host H
#   netlab.sh down
set -euo pipefail
me=$(readlink -f "$0") prefix=gpumonth-h switch=gpumonth-sw net=10.91.0 state=${TMPDIR:-/tmp}/gpumonth-netlab

hosts() { ip netns list | sed -n "s/^$prefix\([0-9]*\).*/\1/p" | sort -n; }
# nsenter, as `ip netns exec` mounts a fresh /sys; a UTS namespace, as Open MPI tells hosts apart by name
on() { local h=$1; shift; exec nsenter --net=/run/netns/$prefix$h unshare -u bash -c 'hostname "$0"; exec "$@"' $prefix$h "$@"; }

case ${1:-} in
can)
  [ "$(id -u)" = 0 ] || { echo "network namespaces need root"; exit 1; }
  for tool in ip tc nsenter; do command -v $tool >/dev/null || { echo "no '$tool' (iproute2, util-linux)"; exit 1; }; done
  ip netns add gpumonth-try 2>/dev/null || { echo "the kernel refuses network namespaces"; exit 1; }
  ok=0
  ip -n gpumonth-try link add try0 type veth peer name try1 2>/dev/null &&
    tc -n gpumonth-try qdisc add dev try0 root tbf rate 1gbit burst 256kb latency 100ms 2>/dev/null || ok=1
  ip netns del gpumonth-try
  [ $ok = 0 ] || { echo "the kernel refuses veth links or tc tbf"; exit 1; } ;;
up)
  n=$2 rate=$3 burst=${4:-256kb} mtu=${5:-1500}
  ip netns add $switch
  ip -n $switch link add br0 type bridge; ip -n $switch link set br0 up
  for i in $(seq 1 "$n"); do
    ip netns add $prefix$i
    ip link add eth0 netns $prefix$i type veth peer name p$i netns $switch
    ip -n $prefix$i addr add $net.$i/24 dev eth0
    ip -n $prefix$i link set eth0 mtu "$mtu"; ip -n $switch link set p$i mtu "$mtu"
    ip -n $prefix$i link set eth0 up; ip -n $prefix$i link set lo up
    ip -n $switch link set p$i master br0 up
    tc -n $prefix$i qdisc add dev eth0 root tbf rate "$rate" burst "$burst" latency 100ms  # outgoing
    tc -n $switch qdisc add dev p$i root tbf rate "$rate" burst "$burst" latency 100ms     # incoming
  done ;;
agent)  # mpirun's "ssh": HOST COMMAND...
  h=${2##*.}; shift 2
  nsenter --net=/run/netns/$prefix$h unshare -u bash -c "hostname $prefix$h; $*" ;;
mpirun)
  n=$2; shift 2
  mkdir -p "$state"; printf '#!/bin/sh\nexec %s agent "$@"\n' "$me" >"$state/agent"; chmod +x "$state/agent"
  export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
  # shellcheck disable=SC2086  # MPIRUN_ARGS is a list
  on 1 mpirun -n "$n" --host "$(seq -s, -f "$net.%g:1" 1 "$n")" --bind-to none --mca plm_rsh_agent "$state/agent" \
    --mca btl tcp,self --mca btl_tcp_if_include $net.0/24 --mca oob_tcp_if_include $net.0/24 ${MPIRUN_ARGS:-} "$@" ;;
on) h=$2; shift 2; on "$h" "$@" ;;
link) ip -n $prefix"$2" link set eth0 "$3" ;;
down)
  for h in $(hosts); do ip netns pids $prefix"$h" | xargs -r kill -9 2>/dev/null || true; ip netns del $prefix"$h"; done
  ip netns del $switch 2>/dev/null || true
  rm -rf "$state" ;;
*) sed -n 2,9p "$0"; exit 2 ;;
esac
