# For sourcing, by the programs of the bundle: $root is its folder. Sets what Open MPI and PMIx need to find their
# parts there, and finds NVIDIA's libraries on this machine.
# shellcheck shell=bash disable=SC2154

# Whatever another Open MPI left in the environment (HPC modules, NVIDIA's containers) would mix with this one.
for name in "${!OPAL_@}" "${!PMIX_@}"; do
  case $name in OPAL_*DIR | PMIX_*DIR | PMIX_INSTALL_PREFIX) unset "$name" ;; esac
done
export OPAL_PREFIX=$root/openmpi OPAL_SYSCONFDIR=$root/openmpi/etc PMIX_PREFIX=$root/pmix
export HWLOC_PLUGINS_PATH=$root/lib/hwloc  # the host's plug-ins belong to the host's hwloc
export HOME=${HOME:-/tmp}  # PMIx crashes for a user without HOME and without an entry in /etc/passwd
# shellcheck source=jobs/mpi_env.sh
source "$root/libexec/mpi_env.sh"

# NVIDIA's libraries that gpumonth-cuda is linked with (written by jobs/bundle.sh); empty without a CUDA build.
cuda_libraries=()
if [[ -r $root/libexec/cuda-libraries ]]; then mapfile -t cuda_libraries <"$root/libexec/cuda-libraries"; fi

# Folders in which NVIDIA's installers, containers and Python wheels put libraries, one a line.
library_folders() {
  local entry entries
  IFS=: read -ra entries <<<"${LD_LIBRARY_PATH:-}"
  for entry in "${entries[@]}"; do [[ -z $entry ]] || printf '%s\n' "$entry"; done
  printf '%s\n' /usr/local/cuda/lib64 /usr/local/cuda-*/lib64 /usr/local/cuda*/targets/x86_64-linux/lib \
    /usr/lib/x86_64-linux-gnu /usr/lib64 /usr/lib /usr/local/lib /usr/local/nvidia/lib64 /usr/lib/wsl/lib \
    /run/opengl-driver/lib "${CONDA_PREFIX:-/opt/conda}/lib"
  local site
  for site in "${VIRTUAL_ENV:-/nonexistent}" "${CONDA_PREFIX:-/opt/conda}" /usr/local /usr "$HOME/.local" /opt/venv; do
    printf '%s\n' "$site"/lib/python3*/{site,dist}-packages/nvidia/*/lib
  done
}
# The same folders of the Python on PATH; asking it costs 50 ms, so only where all else failed.
python_folders() {
  local site
  python3 -c 'import site, sys; print(*sys.path, *site.getsitepackages(), site.getusersitepackages(), sep="\n")' 2>/dev/null |
    while read -r site; do [[ -z $site ]] || printf '%s\n' "$site"/nvidia/*/lib; done
}

# locate NAME: 0 where the loader can find it, with its folder put on LD_LIBRARY_PATH if it needs that.
locate() {
  local name=$1 folder
  if [[ $loader_cache == *$'\t'"$name "* ]]; then return 0; fi
  for folder in "${folders[@]}"; do
    [[ -e $folder/$name ]] || continue
    # A wheel's library may load one of another wheel beside it while it runs: cuDNN loads NVRTC.
    local more=("$folder") other
    if [[ $folder == */nvidia/*/lib ]]; then more+=("${folder%/*/lib}"/*/lib); fi
    for other in "${more[@]}"; do
      [[ :${LD_LIBRARY_PATH:-}: == *:"$other":* || ! -d $other ]] || LD_LIBRARY_PATH=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$other
    done
    export LD_LIBRARY_PATH
    return 0
  done
  return 1
}

# Sets cuda_driver (yes or empty) and cuda_missing (names of libraries), and extends LD_LIBRARY_PATH.
find_cuda() {
  cuda_driver='' cuda_missing=()
  loader_cache=$( (ldconfig -p || /sbin/ldconfig -p) 2>/dev/null) || loader_cache=''
  mapfile -t folders < <(library_folders)
  if locate libcuda.so.1; then cuda_driver=yes; fi
  local name asked_python=''
  for name in "${cuda_libraries[@]}"; do
    if locate "$name"; then continue; fi
    if [[ -z $asked_python ]]; then
      asked_python=yes
      mapfile -t -O "${#folders[@]}" folders < <(python_folders)
      if locate "$name"; then continue; fi
    fi
    cuda_missing+=("$name")
  done
}
