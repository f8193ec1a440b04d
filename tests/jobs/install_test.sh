#!/usr/bin/env bash
# jobs/install.sh with stand-ins for dpkg-query, apt-get, id and sudo: what it installs, when, and what it says.
set -euo pipefail
source_dir=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/tree/jobs" "$work/bin"
cp "$source_dir/jobs/install.sh" "$work/tree/jobs/"
unset GPUMONTH_SKIP_INSTALL CUDNN_FRONTEND_ROOT
export WORK=$work OS_RELEASE=$work/os-release CUDA_HOME=$work/cuda

# Every stand-in is on a PATH with nothing else but the few tools the script itself needs.
for tool in bash true env dirname awk sed sort head tail grep mkdir mktemp mv rm cat; do ln -s "$(type -P $tool)" "$work/bin/"; done
stand_in() { printf '#!/usr/bin/env bash\n%s\n' "$2" >"$work/bin/$1"; chmod +x "$work/bin/$1"; }
stand_in dpkg-query 'grep -qxF "${@: -1}" "$WORK/installed" && printf installed'
stand_in apt-get 'printf "%s\n" "$*" >>"$WORK/calls"; [[ ! -e $WORK/apt-breaks ]] || { echo "E: Unable to locate package"; exit 100; }'
stand_in id 'cat "$WORK/uid"'
stand_in sudo '[[ $1 == -n && -e $WORK/sudo-asks ]] && exit 1; [[ $1 == -n ]] && shift; echo "sudo $2" >>"$WORK/calls"; exec "$@"'
stand_in cmake 'echo "cmake version $(cat "$WORK/cmake-version")"'
everything='g++ cmake ninja-build git pkg-config openmpi-bin libopenmpi-dev libdnnl-dev ocl-icd-opencl-dev libhdf5-dev zlib1g-dev
  librandom123-dev libtomlplusplus-dev libcli11-dev nlohmann-json3-dev libfmt-dev libpng-dev libceres-dev libeigen3-dev libboost-math-dev catch2
  gnuplot-nox hdf5-tools'

# reset: Debian 12, root, everything for building installed.
reset() {
  rm -rf "$work/calls" "$work/apt-breaks" "$work/sudo-asks" "$work/tree/build"
  printf '%s\n' $everything >"$work/installed"
  printf 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n' >"$OS_RELEASE"
  echo 0 >"$work/uid"
  echo 3.25.1 >"$work/cmake-version"
}
# expect CODE ARGUMENT: runs the script; its output is in $output, apt-get's and sudo's calls in $calls.
expect() {
  local code=0
  output=$(PATH=$work/bin "$work/tree/jobs/install.sh" ${2:+"$2"} </dev/null 2>&1) || code=$?
  calls=$(cat "$work/calls" 2>/dev/null || true)
  [[ $code == "$1" ]] || problem "exit code $code instead of $1"
}
problem() { printf 'line %s: %s\noutput: %s\ncalls: %s\n' "${BASH_LINENO[0]}" "$1" "$output" "$calls"; exit 1; }
says() { [[ $output == *"$1"* ]] || problem "does not say '$1'"; }
one_line() { [[ $output != *$'\n'* ]] || problem "more than one line"; }

reset; expect 0 build
[[ -z $output && -z $calls ]] || problem "it did something although everything is there"

reset; printf '%s\n' cmake git >"$work/installed"; expect 0 build
says "installing 21 packages"; says "libdnnl-dev"; says "matrix products"
[[ $calls == *update*install*g++*libopenmpi-dev* ]] || problem "not what had to be installed"
[[ $calls != *sudo* && $calls != *iproute2* && $calls != *" git"* ]] || problem "too much"

reset; expect 0 test
[[ $calls == *"install"*"iproute2 util-linux" ]] || problem "what the tests need besides"

reset; echo 1000 >"$work/uid"; : >"$work/installed"; expect 0 build
[[ $calls == *"sudo DEBIAN_FRONTEND"* ]] || problem "sudo was not used"
reset; echo 1000 >"$work/uid"; : >"$work/installed"; touch "$work/sudo-asks"; expect 2 build
one_line; says "sudo apt-get install g++"; [[ -z $calls ]] || problem "called something"
reset; echo 1000 >"$work/uid"; : >"$work/installed"; mv "$work/bin/sudo" "$work/sudo"; expect 2 build
one_line; says "not root and no sudo"; says "apt-get install g++"
mv "$work/sudo" "$work/bin/sudo"

reset; printf 'ID=fedora\nVERSION_ID=41\nPRETTY_NAME="Fedora Linux 41"\n' >"$OS_RELEASE"; expect 0 build
: >"$work/installed"; expect 2 build
one_line; says "this is Fedora Linux 41"; says "libdnnl-dev"; [[ -z $calls ]] || problem "called something"

reset; : >"$work/installed"; touch "$work/apt-breaks"; expect 2 build
says "E: Unable to locate package"; says "install.log"; says "universe"

reset; echo 3.22.1 >"$work/cmake-version"; expect 2 build
one_line; says "CMake 3.22, 3.25 or newer"

# Where nvcc is: the headers of cudnn-frontend, by pip, once; whatever goes wrong there is one line and exit 0.
mkdir -p "$work/cuda/bin"
stand_in nvcc ':' && mv "$work/bin/nvcc" "$work/cuda/bin/"
python='
case "$*" in
  "-m pip --version") [[ -e $WORK/installed-pip ]] || grep -qsx python3-pip "$WORK/installed" ;;
  "-m pip download"*--require-hashes*)
    printf "%s\n" "$*" >>"$WORK/downloads"
    [[ ! -e $WORK/pip-breaks ]] || { echo "noise"; echo "ERROR: no route to the index"; exit 1; }
    : >"${@: -1}/a.whl" ;;
  "-c "*) mkdir -p "${@: -1}/include" && echo header >"${@: -1}/include/cudnn_frontend.h" ;;
  *) exit 3 ;;
esac'
headers=$work/tree/build/deps/cudnn-frontend/include/cudnn_frontend.h
stand_in python3 "$python"
touch "$work/installed-pip"
for what in build test; do
  reset; rm -f "$work/downloads"; expect 0 $what
  says "fetching the headers of cudnn-frontend"; [[ -e $headers ]] || problem "no headers"
  [[ $(ls "$work/tree/build/deps") == cudnn-frontend ]] || problem "it left something behind"
  expect 0 $what
  [[ $output != *fetching* && $(wc -l <"$work/downloads") == 1 ]] || problem "it did something the second time"
done
touch "$work/pip-breaks"
echo 1.0.0 >"$work/tree/build/deps/cudnn-frontend/version"; expect 0 build
says "plain attention will be built"; says "no route to the index"; [[ -e $headers ]] || problem "the old headers are gone"
[[ $(ls "$work/tree/build/deps") == cudnn-frontend ]] || problem "it left something behind"
rm "$work/pip-breaks"
CUDNN_FRONTEND_ROOT=/somewhere expect 0 build; [[ -z $output ]] || problem "there is one already"

rm "$work/installed-pip"
reset; echo 1000 >"$work/uid"; mv "$work/bin/sudo" "$work/sudo"; expect 0 build
one_line; says "python3-pip"; says "plain attention will be built"; [[ ! -e $headers ]] || problem "headers without pip"
mv "$work/sudo" "$work/bin/sudo"
reset; printf 'ID=fedora\nVERSION_ID=41\n' >"$OS_RELEASE"; expect 0 build
one_line; says "python3-pip"; [[ -z $calls ]] || problem "called something"
reset; stand_in apt-get 'printf "%s\n" "$*" >>"$WORK/calls"; echo "${@: -1}" >>"$WORK/installed"'; expect 0 build
[[ $calls == *"install"*"python3-pip"* && -e $headers ]] || problem "pip was not installed and used"
rm -r "$work/cuda"

reset; expect 2; one_line; says "usage"
reset; expect 2 biuld; one_line; says "usage"
echo "install.sh behaves"
