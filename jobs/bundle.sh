#!/usr/bin/env bash
# Makes one file that trains and runs the tests on any x86-64 Linux with glibc 2.36 or newer, without root and without
# installing anything: gpumonth for the CPU and, where nvcc is found, for CUDA; test programs, configurations, and the
# Open MPI, HDF5, oneDNN and other libraries they need. NVIDIA's libraries stay out: its launchers find them there.
#
#   jobs/bundle.sh [-o FILE] [--cuda-arch LIST] [--build-dir DIR]...
#
#   -o FILE           default build/gpumonth-bundle.tar.xz; an error above 30 MiB, with --build-dir 60. A name in
#                     .tar.gz is for machines without xz: about twice as big, an error above 60
#   --cuda-arch LIST  GPU architectures as CMake names them; default 90a (H100), "80;90a" adds A100
#   --build-dir DIR   packs what is built in DIR instead of building build/bundle-cpu, -cpu-v4 and -cuda; may be given
#                     twice, for a build with and one without CUDA. DIR's tests only run where its source tree is,
#                     unless it was configured with -DGPUMONTH_BUNDLE=ON
#
# Cost: 10 minutes on 2 cores the first time for the CPU, some 10 more for CUDA. Needs patchelf (jobs/install.sh test).
set -euo pipefail
source_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
limit_mib=60
readonly labels=unit,gpu,gpu-mpi

# Comes from the machine it runs on: glibc, and NVIDIA's libraries.
readonly glibc='^(ld-linux-x86-64\.so\.2|lib(c|m|dl|pthread|rt|resolv|util|anl|mvec|nsl|nss_[a-z]+)\.so\.[0-9]+)$'
readonly nvidia='^lib(cuda|cudart|cublas|cublasLt|cudnn[a-z_]*|nccl|nvrtc|nvJitLink|nvidia-[a-z-]+)\.so'
# Open MPI's plug-ins for one-sided memory, profiling and networks whose libraries would have to come along: its ranks
# talk over shared memory and TCP, and GPUs over NCCL.
readonly left_out='_(ofi|openib|ucx|psm2?|flux|monitoring|romio[0-9]*|buddy|ptmalloc)\.so$|mca_(scoll|spml|sshmem|atomic)_'

# Come along as stand-ins (jobs/bundle/stand_in.sh), without what they need in turn: HDF5 links against them for files on S3, and
# Ceres for sparse matrices and LAPACK's decompositions. Nothing here uses any of it, and they would be a quarter of the bundle.
readonly stood_in='^lib(curl|crypto|cholmod|spqr|cxsparse|ccolamd|colamd|camd|amd|lapack|f77blas|blas)\.so'

fail() {
  echo "bundle.sh: $*" >&2
  exit 2
}

out=$source_dir/build/gpumonth-bundle.tar.xz build_dirs=() cuda_arch=90a
while [[ $# != 0 ]]; do
  case $1 in
    -o | --cuda-arch | --build-dir) [[ -n ${2:-} ]] || fail "$1 needs a value" ;;&
    -o) out=$(realpath -m "$2") ;;
    --cuda-arch) cuda_arch=$2 ;;
    --build-dir) [[ -x $2/gpumonth ]] || fail "--build-dir $2: no gpumonth is built there" && build_dirs+=("$(realpath "$2")") ;;
    *) fail "unknown argument '$1': see the head of jobs/bundle.sh" ;;
  esac
  shift 2
done
case $out in *.tar.gz) ;; *.tar.xz) type -P xz >/dev/null || fail "xz is missing: jobs/install.sh test" ;; *) fail "-o $out: must end in .tar.gz or .tar.xz" ;; esac
for tool in patchelf readelf objdump strip ldd ctest cmake ompi_info tar gzip; do
  type -P $tool >/dev/null || fail "$tool is missing: jobs/install.sh test"
done
cd "$source_dir"

# Test programs hold the same code. The second is 0.8 of the first, and takes five times as long and 2.5 GiB of memory: for the bundle that travels.
lzma=preset=1,dict=64MiB
if [[ ${#build_dirs[@]} == 0 ]]; then
  lzma=preset=6,dict=256MiB
  if [[ $out == *.xz ]]; then limit_mib=30; fi
  jobs/build.sh bundle-cpu
  jobs/build.sh bundle-cpu-v4 gpumonth
  build_dirs=("$PWD/build/bundle-cpu")
  if type -P nvcc >/dev/null || [[ -x /usr/local/cuda/bin/nvcc ]]; then
    GPUMONTH_CUDA_ARCH=$cuda_arch jobs/build.sh bundle-cuda
    build_dirs+=("$PWD/build/bundle-cuda")
  else
    echo "no nvcc here: the bundle has no CUDA program"
  fi
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
stage=$work/gpumonth-bundle
mkdir -p "$stage"/{bin,lib,libexec,openmpi,pmix,tests}

needed() { readelf -d "$1" 2>/dev/null | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'; }

# place FROM TO: a program or plug-in, and below lib/ every library that it needs and that a machine may lack.
declare -A stood_in_for=()  # by name: the library
place() {
  local from=$1 to=$2 name arrow path rest
  local -A path_of=() seen=()
  local -a open=("$from")
  mkdir -p "$(dirname "$to")"
  cp -L "$from" "$to"
  while read -r name arrow path rest; do
    if [[ $arrow == '=>' ]]; then path_of[$name]=$path; fi
  done < <(ldd "$from")
  while ((${#open[@]})); do
    for name in $(needed "${open[0]}"); do
      [[ -z ${seen[$name]:-} && ! $name =~ $glibc && ! $name =~ $nvidia ]] || continue
      seen[$name]=yes path=${path_of[$name]:-}
      [[ $path == /* ]] || fail "$from needs $name, which is not on this machine"
      if [[ $name =~ $stood_in ]]; then
        stood_in_for[$name]=$path
        continue
      fi
      open+=("$path")
      [[ -e $stage/lib/$name ]] || cp -L "$path" "$stage/lib/$name"
    done
    open=("${open[@]:1}")
  done
}

echo "collecting"
: >"$stage/tests/manifest"
for build in "${build_dirs[@]}"; do
  variant=cpu
  if compgen -G "$build/CMakeFiles/*/CMakeCUDACompiler.cmake" >/dev/null; then variant=cuda; fi
  [[ ! -e $stage/libexec/gpumonth-$variant ]] || fail "two builds for $variant: ${build_dirs[*]}"
  place "$build/gpumonth" "$stage/libexec/gpumonth-$variant"
  test_labels=$labels
  if [[ $variant == cuda ]]; then
    for name in $(needed "$build/gpumonth"); do
      if [[ $name =~ $nvidia && $name != libcuda.so* ]]; then echo "$name"; fi
    done >"$stage/libexec/cuda-libraries"
    # The unit tests once: those of the other build run anywhere.
    if [[ ${#build_dirs[@]} == 2 ]]; then test_labels=${labels#unit,}; fi
  elif [[ -x $build-v4/gpumonth ]]; then
    place "$build-v4/gpumonth" "$stage/libexec/gpumonth-cpu-v4"
  fi
  ctest --test-dir "$build" --show-only=json-v1 >"$work/tests.json"
  if [[ -e $build/tests/bench/libgputrace.so ]]; then place "$build/tests/bench/libgputrace.so" "$stage/lib/libgputrace.so"; fi
  : >"$work/programs"
  cmake -DJSON="$work/tests.json" -DBUILD="$build" -DVARIANT=$variant -DLABELS="$test_labels" -DPROGRAMS="$work/programs" \
    -DOUT="$stage/tests/manifest" -P jobs/bundle/manifest.cmake
  while read -r program; do
    [[ -x $program ]] || fail "$program is not built: cmake --build $build"
    place "$program" "$stage/tests/programs/$variant/${program##*/}"
  done < <(sort -u "$work/programs")
done

# Open MPI keeps its own layout below another prefix, and finds it through OPAL_PREFIX. The same for PMIx.
openmpi_path() { ompi_info --parsable --path "$1" | sed -n "s/^path:$1://p" | head -n 1; }
prefix=$(openmpi_path prefix) plugins=$(openmpi_path pkglibdir) help=$(openmpi_path pkgdatadir)
[[ -d $plugins && -d $help && $plugins == "$prefix"/* && $help == "$prefix"/* ]] ||
  fail "ompi_info --path shows no folders of an Open MPI 4: '$plugins', '$help'"
pmix=''
for plugin in "$plugins"/mca_*.so; do
  if [[ $plugin =~ $left_out ]]; then continue; fi
  place "$plugin" "$stage/openmpi${plugin#"$prefix"}"
  if [[ -z $pmix ]]; then pmix=$(ldd "$plugin" | sed -n 's/.*libpmix\.so\.[0-9]* => \(.*\) (.*/\1/p'); fi
done
mkdir -p "$stage/openmpi${help#"$prefix"}" "$stage/openmpi/etc" "$stage/openmpi/bin"
cp "$help"/help-*.txt "$stage/openmpi${help#"$prefix"}/"
: >"$stage/openmpi/etc/openmpi-mca-params.conf"
place "$(realpath "$(type -P mpirun)")" "$stage/openmpi/bin/mpirun"
place "$(type -P orted)" "$stage/libexec/orted"
if [[ -n $pmix ]]; then
  pmix=$(dirname "$(realpath "$pmix")")
  for plugin in "$pmix"/pmix/*.so; do
    if [[ -e $plugin ]]; then place "$plugin" "$stage/pmix/lib/pmix/${plugin##*/}"; fi
  done
  if [[ -d $pmix/../share/pmix ]]; then mkdir -p "$stage/pmix/share" && cp -r "$pmix/../share/pmix" "$stage/pmix/share/"; fi
  # mpirun and orted clear PMIX_* from their own environment, so PMIX_PREFIX only serves the ranks. Their launchers
  # open the folder as file 99, and the path in the library becomes that one, filled up to the same length.
  built_in=$(realpath "$pmix/..")
  printf -v here '/proc/self/fd/99%*s' $((${#built_in} - 16)) ''
  [[ ${#here} == "${#built_in}" ]] || fail "PMIx is in $built_in, which is too short to be replaced in its library"
  LC_ALL=C sed -i "s|$built_in|${here// //}|g" "$stage"/lib/libpmix.so.*
fi
for tool in h5dump h5repack; do
  if type -P $tool >/dev/null; then place "$(realpath "$(type -P $tool)")" "$stage/bin/$tool"; fi
done

cp -r configs "$stage/"
cp -r tests/golden "$stage/tests/"
# What tests read besides: measured logs, the page of their format, forecasts to compare with.
(shopt -s globstar && cp --parents docs/runlog.md docs/measurements/**/*.h5 tests/**/*.csv "$stage/")
# What is measured on a GPU machine, and the PyTorch it is compared with there.
mkdir "$stage/jobs"
for script in jobs/{check_gpu,visit_gpu,bench_gpu,mpi_env}.sh; do
  if [[ -e $script ]]; then cp "$script" "$stage/jobs/"; fi
done
for folder in bench reference; do
  mkdir "$stage/tests/$folder" && cp tests/$folder/*.py "$stage/tests/$folder/"
done
cp jobs/bundle/README jobs/bundle/run-tests.sh LICENSE "$stage/"
cp jobs/bundle/{gpumonth,mpirun,quickstart} "$stage/bin/"
cp jobs/bundle/orted "$stage/openmpi/bin/"
cp jobs/bundle/environment.sh jobs/mpi_env.sh "$stage/libexec/"

# The licenses of the libraries, where the system knows them.
if type -P dpkg-query >/dev/null; then
  mkdir "$stage/licenses"
  for library in "$stage"/lib/*; do dpkg-query -S "*/${library##*/}" 2>/dev/null || true; done | sed 's/:.*//' | sort -u |
    while read -r package; do
      if [[ -r /usr/share/doc/$package/copyright ]]; then cp -L "/usr/share/doc/$package/copyright" "$stage/licenses/$package"; fi
    done
fi

{ find "$stage" -type f -exec nm -D --undefined-only {} + 2>/dev/null || true; } | awk 'NF == 2 {print $2}' | sort -u >"$work/wanted"
for name in "${!stood_in_for[@]}"; do
  jobs/bundle/stand_in.sh "${stood_in_for[$name]}" "$stage/lib/$name" "$work/wanted"
done

# A program's DT_RPATH also holds for the libraries it loads and for what those load, unless they have a path of their
# own. It goes before LD_LIBRARY_PATH, so that no other Open MPI or HDF5 gets in between.
echo "making it relocatable"
elf_files=()
while IFS= read -r -d '' file; do
  [[ $(head -c 4 "$file" | tail -c 3) == ELF ]] || continue
  elf_files+=("$file")
  chmod u+w "$file"
  strip --strip-unneeded "$file"
  case ${file#"$stage"/} in
    bin/* | libexec/* | openmpi/bin/* | tests/*)
      patchelf --force-rpath --set-rpath "\$ORIGIN/$(realpath --relative-to="$(dirname "$file")" "$stage/lib")" "$file" ;;
    *) patchelf --remove-rpath "$file" ;;
  esac
  for name in $(needed "$file"); do
    [[ -e $stage/lib/$name || $name =~ $glibc || $name =~ $nvidia ]] ||
      fail "${file#"$stage"/} needs $name, which is neither in the bundle nor part of glibc"
  done
done < <(find "$stage" -type f ! -path '*/configs/*' ! -path '*/golden/*' -print0)

# A symbol of a newer glibc would only be noticed on the other machine.
wanted=$(for file in "${elf_files[@]}"; do objdump -T "$file"; done | grep -o 'GLIBC_2\.[0-9]*' | sort -uV | tail -n 1)
echo "needs of the other machine: ${wanted/_/ }"

echo "size unpacked:"
(cd "$stage" && du -sm --apparent-size -- * tests/* libexec/* | sort -rn | awk '$1 > 0 {printf "  %4d MiB  %s\n", $1, $2}')
mkdir -p "$(dirname "$out")"
case $out in
  *.tar.gz) compress=(gzip -9) ;;
  *.tar.xz) compress=(xz --x86 "--lzma2=$lzma") ;;
esac
tar -C "$work" --sort=name --owner=0 --group=0 --numeric-owner -c gpumonth-bundle | "${compress[@]}" >"$out.part"
size=$(stat -c %s "$out.part")
if ((size > limit_mib * 1048576)); then
  rm -f "$out.part"
  fail "the bundle takes $((size / 1048576)) MiB compressed, more than $limit_mib: see what is big above; -o NAME.tar.xz is smaller, and so are fewer --cuda-arch"
fi
mv "$out.part" "$out"
printf '%s: %d.%d MiB\n' "$out" $((size / 1048576)) $((size % 1048576 * 10 / 1048576))
