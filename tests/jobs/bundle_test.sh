#!/usr/bin/env bash
# A bundle unpacked under a root directory that holds glibc, bash and coreutils and nothing of what gpumonth needs:
# it trains there on 1 and on 2 ranks, its tests run, and its launchers choose the right program.
#
#   bundle_test.sh SOURCE_DIR BUILD_DIR    packs what is built in BUILD_DIR
#   bundle_test.sh SOURCE_DIR              builds and packs the real bundle, and runs all its unit tests
#
# Exit 77: a root directory of its own cannot be had here, and why. Packing and its own checks were done then.
set -euo pipefail
source_dir=$1 build_dir=${2:-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root bundle=$work/root/opt/moved

fail() {
  echo "bundle_test.sh: $1"
  if [[ -e $work/out ]]; then tail -n 40 "$work/out"; fi
  exit 1
}

type -P patchelf >/dev/null || { echo "skipped: patchelf is missing: jobs/install.sh test"; exit 77; }
archive=$work/bundle.tar.xz
"$source_dir/jobs/bundle.sh" -o "$archive" ${build_dir:+--build-dir "$build_dir"} || fail "it was not made"
refusal=$work/refusal
! "$source_dir/jobs/bundle.sh" --build-dir "$work" >"$refusal" 2>&1 && grep -q 'no gpumonth is built there' "$refusal" ||
  fail "a folder without a build is not refused: $(cat "$refusal")"
why=$(unshare -r -m true 2>&1) || { echo "skipped: no mount namespace here: $why"; exit 77; }

# The root: copies of a few tools; what they need besides glibc lies where only they look.
mkdir -p "$root"/{bin,etc,lib64,lib/x86_64-linux-gnu,proc,sys,dev,tmp,opt,tools,usr/bin,usr/lib/x86_64-linux-gnu,usr/local/cuda/lib64}
ln -s /bin/env "$root/usr/bin/env"
for tool in bash sh env cat date dirname false head id ls mkdir mktemp mv readlink rm sed sleep sort tail tee timeout true; do
  cp -L "$(type -P $tool)" "$root/bin/$tool"
  while read -r name _ path _; do
    if [[ $name == */ld-linux* ]]; then cp -nL "$name" "$root/lib64/"; fi
    [[ $path == /* ]] || continue
    case $name in libc.so.* | libm.so.* | libdl.so.* | libpthread.so.* | librt.so.*) cp -nL "$path" "$root/lib/x86_64-linux-gnu/" ;;
      *) cp -nL "$path" "$root/tools/" ;; esac
  done < <(ldd "$(type -P $tool)")
done
for tool in "$root"/bin/*; do patchelf --force-rpath --set-rpath /tools "$tool"; done
for name in libm.so.6 libdl.so.2 libpthread.so.0 librt.so.1 libresolv.so.2 libutil.so.1 libmvec.so.1; do
  cp -nL "/lib/x86_64-linux-gnu/$name" "$root/lib/x86_64-linux-gnu/"
done
tar -C "$work" -xf "$archive" && mv "$work/gpumonth-bundle" "$bundle"
[[ -z $(find "$root" -path "$bundle" -prune -o -name 'lib*' -print | grep -E 'lib(mpi|open-|hdf5|dnnl|gomp|fmt|stdc|gcc)') ]] ||
  fail "the root holds a library that the bundle should bring"

# inside COMMAND: a bash command line in that root, in the bundle's folder. NVIDIA's libraries are mounted as files.
# shellcheck disable=SC2016  # expanded in the namespace
inside() {
  unshare -r -m bash -c '
    set -e
    root=$1 libexec=$2
    for name in proc sys dev; do mount --rbind "/$name" "$root/$name"; done
    mount -t tmpfs none "$root/tmp"
    if [[ -e $libexec/cuda-libraries && -z ${NO_CUDA:-} ]]; then
      while read -r name; do
        path=$( (ldconfig -p || /sbin/ldconfig -p) 2>/dev/null | sed -n "s/^\t$name (.* => //p" | head -n 1)
        for path in "$path" /usr/local/cuda/lib64/"$name"; do [[ ! -e $path ]] || break; done
        [[ ! -e $path ]] || { : >"$root/usr/local/cuda/lib64/$name"; mount --bind "$path" "$root/usr/local/cuda/lib64/$name"; }
      done <"$libexec/cuda-libraries"
    fi
    cd "$root/opt/moved"
    exec "$(PATH=$PATH:/usr/sbin:/sbin type -P chroot)" "$root" /bin/env -i PATH=/bin bash -c "cd /opt/moved; $3"
  ' - "$root" "$bundle/libexec" "$1" >"$work/out" 2>&1 </dev/null
}

# Every program and library: what it needs comes from the bundle, from glibc, or is NVIDIA's.
inside '
  for file in libexec/gpumonth-* libexec/orted openmpi/bin/mpirun bin/h5* lib/*.so* pmix/lib/pmix/*.so tests/programs/*/*; do
    [[ -f $file ]] || continue
    LD_TRACE_LOADED_OBJECTS=1 /lib64/ld-linux-x86-64.so.2 --list $file
  done' || true
if sed -E 's/ \(0x.*//' "$work/out" | grep '=>' | sort -u | grep -vE '=> /(opt/moved/|lib/x86_64-linux-gnu/|lib64/)' |
  grep -vE 'lib(cuda|cublas|cublasLt|cudnn|nccl|nvrtc)\.so'; then
  fail "something comes from elsewhere"
fi
[[ $(grep -c '=> /opt/moved/' "$work/out") -gt 20 ]] || fail "the search for libraries is broken"

# Training, as a user would start it; an Open MPI of the host in the environment does not matter.
started=$SECONDS
inside 'OPAL_PREFIX=/nowhere OPAL_PKGLIBDIR=/nowhere STEPS=20 bin/quickstart' || fail "bin/quickstart failed"
echo "quickstart: $((SECONDS - started)) s"
grep -q '4,211' "$work/out" || fail "the ladder was not printed"
grep -q 'gnuplot is not installed' "$work/out" || fail "it does not say why there is no page"
for ranks in 1rank 2ranks; do
  runs=("$bundle"/runs/quickstart-*/$ranks/run.h5)
  [[ -s ${runs[0]} ]] || fail "no run log for $ranks"
  inside "bin/h5dump -a world_size ${runs[0]#"$bundle"/}" || fail "h5dump does not run"
  grep -q "(0): ${ranks%%rank*}" "$work/out" || fail "not a run on $ranks"
done
inside 'cd /tmp && /opt/moved/bin/mpirun -n 2 /opt/moved/bin/gpumonth doctor --quick' || fail "doctor failed on 2 ranks"
# A second host: instead of ssh, a script that passes on nothing of the environment.
printf '#!/bin/bash\nshift\nexec /bin/env -i PATH=/bin bash -c "$*"\n' >"$root/bin/agent" && chmod +x "$root/bin/agent"
# shellcheck disable=SC2016
inside 'bin/mpirun --mca plm rsh --mca plm_rsh_agent /bin/agent -H $(</proc/sys/kernel/hostname):1,another:1 -n 2 bin/gpumonth doctor --quick' ||
  fail "ranks on another host failed"
! grep -q 'Sorry!' "$work/out" || fail "Open MPI or PMIx misses a file"
inside 'bin/gpumonth doctor --quick' || fail "doctor failed"
# Every kind of fit: none of them comes upon a library that is left out.
inside 'bin/gpumonth fit --validate configs/published/scaling.csv' || fail "fit --validate failed"
grep -q 'at random' "$work/out" || fail "fit --validate prints no table"
if inside 'bin/gpumonth train configs/runs/tiny.toml --set run.stepz=3'; then fail "a mistake ends with 0"; fi
grep -q 'run.steps' "$work/out" || fail "the mistake is not explained"

# The tests: those of a build in the source tree cannot find their files here, so only some that need none.
if [[ $build_dir ]]; then
  inside './run-tests.sh -R "^(base_json|base_config_text|trainer_ops_(math|gelu|adamw|matmul))$" unit' || fail "tests failed"
  grep -q '^6 passed, 0 failed, 0 skipped' "$work/out" || fail "not six tests"
else
  inside './run-tests.sh unit' || fail "tests failed"
  cat "$work/out"
fi
if inside './run-tests.sh unti'; then fail "an unknown label is accepted"; fi
if inside './run-tests.sh -R no-such-test unit'; then fail "no test at all counts as passed"; fi

# What it makes of exit codes, and of GPU tests where there is none.
cat >"$bundle/tests/manifest" <<'END'
passes|cpu|unit|5|-|true
fails|cpu|unit|5|-|false
skips|cpu|unit|5|-|tests/skip
hangs|cpu|mpi,unit|1|-|sleep 20
needs|cpu|unit|5|no-such-program|true
other|cpu|mpi|5|-|false
gpu|cuda|gpu|5|-|true
END
printf '#!/bin/bash\nexit 77\n' >"$bundle/tests/skip" && chmod +x "$bundle/tests/skip"
if inside './run-tests.sh unit'; then fail "failed tests end with 0"; fi
grep -q '^1 passed, 2 failed, 2 skipped' "$work/out" || fail "wrong counts"

# Which program is started. Stand-ins say which one they are; the driver and the libraries are empty files.
for program in cpu cuda; do
  printf '#!/bin/bash\necho "%s program: $LD_LIBRARY_PATH"\n' $program >"$bundle/libexec/gpumonth-$program"
  chmod +x "$bundle/libexec/gpumonth-$program"
done
rm -f "$bundle/libexec/gpumonth-cpu-v4"
printf 'libcublasLt.so.13\nlibcudnn.so.9\n' >"$bundle/libexec/cuda-libraries"
export NO_CUDA=yes
rm -f "$root"/usr/local/cuda/lib64/*
expect() {  # TEXT: all that the launcher prints
  inside bin/gpumonth || fail "the launcher failed"
  [[ $(cat "$work/out") == $1 ]] || fail "expected: $1"
}
driver=$root/usr/lib/x86_64-linux-gnu/libcuda.so.1
wheels=$root/usr/local/lib/python3.11/dist-packages/nvidia

expect 'cpu program: '
inside './run-tests.sh gpu' || fail "a test without a GPU is a failure"
grep -q 'skipped: no NVIDIA driver; not found: libcublasLt.so.13 libcudnn.so.9' "$work/out" || fail "no reason"
: >"$driver"
expect 'gpumonth: an NVIDIA driver is here, but not libcublasLt.so.13 libcudnn.so.9 - running on the CPU*cpu program: *'
if inside './run-tests.sh gpu'; then fail "a GPU that cannot be used counts as skipped"; fi
mkdir -p "$wheels"/{cu13,cudnn}/lib
: >"$wheels/cu13/lib/libcublasLt.so.13"
expect 'gpumonth: an NVIDIA driver is here, but not libcudnn.so.9 - running on the CPU*'
: >"$wheels/cudnn/lib/libcudnn.so.9"
expect 'cuda program: */dist-packages/nvidia/cu13/lib:*/dist-packages/nvidia/cudnn/lib'
: >"$root/usr/local/cuda/lib64/libcublasLt.so.13"
expect 'cuda program: *usr/local/cuda/lib64:*/dist-packages/nvidia/cudnn/lib*'
inside 'GPUMONTH_PROGRAM=cpu bin/gpumonth' && [[ $(cat "$work/out") == 'cpu program: ' ]] || fail "GPUMONTH_PROGRAM=cpu does not choose"

# A missing library is noticed: without this the checks above would prove nothing.
rm "$bundle"/lib/libmpi.so*
if inside 'bin/mpirun -n 1 true && /lib64/ld-linux-x86-64.so.2 --verify tests/programs/*/comm_launch && tests/programs/*/comm_launch'; then
  fail "a program starts without libmpi"
fi
echo passed
