#!/usr/bin/env bash
# Installs the packages that gpumonth needs and this machine lacks. Debian 12 and Ubuntu 24.04; root or sudo.
#
#   jobs/install.sh build      what building and running needs (about 170 MB of downloads on a bare system)
#   jobs/install.sh test       that, and what the tests need besides
#   jobs/install.sh packages build|test   only prints the names of these packages
#
# Where everything is there it does nothing, so it also works without root and on other systems. The names of the
# packages are only right for the two systems above: elsewhere it ends and lists what is missing.
#
# Where nvcc is found (PATH or CUDA_HOME, by default /usr/local/cuda) it also fetches the headers of cudnn-frontend, 2 MB
# from PyPI, into build/deps; pip's own settings say from where. Without them training on GPUs works, but slower.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# Package, the command that makes it unnecessary ("-": only the package itself counts), what it is for.
build_packages='
g++                   g++      compiler (C++20)
cmake                 cmake    build system, 3.25 or newer
ninja-build           ninja    runs the build
git                   git      the commit that is written into run logs
pkg-config            pkg-config  finds toml++
openmpi-bin           -        mpirun: starts ranks
libopenmpi-dev        -        MPI between ranks
libdnnl-dev           -        oneDNN: matrix products on the CPU
ocl-icd-opencl-dev    -        OpenCL, which the CMake package of oneDNN asks for
libhdf5-dev           -        run logs, checkpoints, datasets
zlib1g-dev            -        checksums of checkpoints
librandom123-dev      -        random numbers that do not depend on the number of ranks
libtomlplusplus-dev   -        configuration files
libcli11-dev          -        command line
nlohmann-json3-dev    -        JSON output
libfmt-dev            -        text
libpng-dev            -        contact sheets of gpumonth sample
libceres-dev          -        bounded least squares of scaling curves
libeigen3-dev         -        its matrices, and ours
libboost-math-dev     -        distributions of probability theory
catch2                -        test programs
gnuplot-nox           gnuplot  plots of the report
hdf5-tools            h5dump   looks into run logs and checkpoints
'
test_packages='
libboost-context-dev  -        kernels of the emulated GPU run as fibers
libsimgrid-dev        -        gpumonth simulate: clusters of thousands of ranks on its engine
clang-format-14       clang-format-14  every source file is formatted
xz-utils              xz       packs the bundle of jobs/bundle.sh
patchelf              patchelf  makes the bundle of jobs/bundle.sh relocatable
slurm-wlm             -        a Slurm of two nodes for the tests of jobs/*.sbatch
munge                 -        what Slurm checks its users with
iproute2              tc       hosts and slow links for the network tests
util-linux            nsenter  commands on such a host
'

fail() {
  echo "install.sh: $*" >&2
  exit 2
}

is_installed() {
  local package=$1 command=$2
  if [[ $command != - ]] && command -v "$command" >/dev/null; then return 0; fi
  [[ $(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null) == installed ]]
}

# Lines of the table whose package is missing.
missing_of() {
  local package command reason
  while read -r package command reason; do
    [[ -z $package ]] || is_installed "$package" "$command" || printf '%s %s %s\n' "$package" "$command" "$reason"
  done <<<"$1"
}

check_system() {
  local names=$1 id='' version='' pretty='an unknown system'
  if [[ -r ${OS_RELEASE:-/etc/os-release} ]]; then
    # shellcheck disable=SC1090
    read -r id version pretty < <(. "${OS_RELEASE:-/etc/os-release}" && echo "${ID:-?} ${VERSION_ID:-?} ${PRETTY_NAME:-$ID}")
  fi
  case "$id $version" in 'debian 12' | 'ubuntu 24.04') return 0 ;; esac
  fail "this is $pretty, and only Debian 12 and Ubuntu 24.04 are known here: install what corresponds to these" \
    "packages yourself, then set GPUMONTH_SKIP_INSTALL=1: $names"
}

# Sets as_root: the words before a command that needs root.
find_root() {
  local names=$1
  as_root=()
  if [[ $(id -u) == 0 ]]; then return 0; fi
  command -v sudo >/dev/null || fail "not root and no sudo: ask your administrator for: apt-get install $names"
  [[ -t 0 ]] || sudo -n true 2>/dev/null ||
    fail "sudo wants a password and there is no terminal to ask on: run first: sudo apt-get install $names"
  as_root=(sudo)
}

install_packages() {
  local log=$root/build/${install_log:-install.log} names=$*
  mkdir -p "$root/build" 2>/dev/null && : >"$log" 2>/dev/null || fail "$root/build cannot be written: use a checkout of your own"
  local apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -o Dpkg::Use-Pty=0)
  "${apt[@]}" update >>"$log" 2>&1 || echo "install.sh: apt-get update failed (see $log); trying with the old lists" >&2
  "${apt[@]}" install -y --no-install-recommends "$@" >>"$log" 2>&1 || {
    grep -E '^E: ' "$log" | tail -3 >&2 || true
    fail "apt-get install failed, see $log; on Ubuntu the component 'universe' must be enabled (sudo add-apt-repository" \
      "universe); by hand: apt-get install $names"
  }
}

frontend_version=1.18.0
frontend_sha256=382ea063b92cbfd5b442cb75ff8422932d78276aecf139e46713ed1ad3d07af4  # of the wheel named in fetch_frontend

# The wheel is for one Python on x86-64, but its headers are for all. pip checks the hash. Prints what went wrong.
fetch_frontend() {
  local deps=$1 work
  work=$(mktemp -d "$deps.XXXXXX") || return 1
  echo "nvidia-cudnn-frontend==$frontend_version --hash=sha256:$frontend_sha256" >"$work/requirements.txt"
  if python3 -m pip download -q --disable-pip-version-check --no-deps --require-hashes -r "$work/requirements.txt" \
    --only-binary=:all: --python-version 3.11 --implementation cp --abi cp311 --platform manylinux_2_28_x86_64 \
    -d "$work" 2>&1 &&
    python3 -c 'import sys, zipfile
wheel = zipfile.ZipFile(sys.argv[1])
wheel.extractall(sys.argv[2], [n for n in wheel.namelist() if n.startswith("include/")])' "$work"/*.whl "$work" 2>&1 &&
    rm -rf "$deps" && mkdir -p "$deps" && mv "$work/include" "$deps/" && echo "$frontend_version" >"$deps/version"; then
    rm -rf "$work"
    return 0
  fi
  rm -rf "$work"
  return 1
}

# Never a reason to stop: the program builds without.
provide_frontend() {
  local deps=$root/build/deps/cudnn-frontend problem
  PATH=$PATH:${CUDA_HOME:-/usr/local/cuda}/bin command -v nvcc >/dev/null || return 0
  if [[ -n ${CUDNN_FRONTEND_ROOT:-} || $(cat "$deps/version" 2>/dev/null) == "$frontend_version" ]]; then return 0; fi
  problem='there is no pip (Debian and Ubuntu: python3-pip)'
  if python3 -m pip --version >/dev/null 2>&1 || (install_log=install-pip.log && check_system python3-pip &&
    find_root python3-pip && install_packages python3-pip && python3 -m pip --version >/dev/null) 2>/dev/null; then
    echo "fetching the headers of cudnn-frontend $frontend_version (attention on GPUs) into build/deps"
    problem="$root/build/deps cannot be written"
    if mkdir -p "$root/build/deps" 2>/dev/null && problem=$(fetch_frontend "$deps"); then return 0; fi
    problem=$(grep -m1 'ERROR' <<<"$problem" || tail -n1 <<<"$problem")
  fi
  echo "install.sh: no cudnn-frontend, so the plain attention will be built, slower on GPUs in bf16:" \
    "${problem:-it could not be unpacked}" >&2
}

check_cmake() {
  local version
  version=$(cmake --version | sed -n '1s/.*version \([0-9]*\.[0-9]*\).*/\1/p')
  [[ $(printf '%s\n' 3.25 "$version" | sort -V | head -n1) == 3.25 ]] ||
    fail "$(command -v cmake) is CMake $version, 3.25 or newer is needed: e.g. pip install cmake"
}

main() {
  local wanted action=install
  if [[ ${1:-} == packages ]]; then action=print && shift; fi
  case "${1:-} $#" in
    'build 1') wanted=$build_packages ;;
    'test 1') wanted=$build_packages$test_packages ;;
    *) fail "usage: jobs/install.sh [packages] build|test" ;;
  esac
  if [[ $action == print ]]; then
    awk 'NF {print $1}' <<<"$wanted" | paste -sd' '
    return 0
  fi
  if [[ ${GPUMONTH_SKIP_INSTALL:-} == 1 ]]; then return 0; fi

  local missing packages
  missing=$(missing_of "$wanted")
  if [[ -n $missing ]]; then
    mapfile -t packages < <(awk '{print $1}' <<<"$missing")
    check_system "${packages[*]}"
    find_root "${packages[*]}"
    echo "installing ${#packages[@]} packages with apt-get${as_root:+ (sudo)}; its output goes to build/install.log:"
    awk '{name = $1; $1 = $2 = ""; sub(/^ +/, ""); printf "  %-20s %s\n", name, $0}' <<<"$missing"
    install_packages "${packages[@]}"
  fi
  check_cmake
  provide_frontend
}

main "$@"
