#!/usr/bin/env bash
# Runs the test programs of the bundle, without CMake or CTest.
#
#   ./run-tests.sh [-R REGEX] [LABEL...]     labels: unit, gpu, gpu-mpi; without one, all of them
#
# A test that ends with 77 is skipped and says why. Exit status: 0 where none failed, 1 where one did, 2 where no test
# was chosen. What a failed test said is printed and stays in the folder named at the end.
set -uo pipefail
root=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
cd "$root" || exit 2  # the tests look for configs/, tests/golden and bin/ here
source libexec/environment.sh

regex=.
if [[ ${1:-} == -R ]]; then regex=${2:?-R needs a regular expression} && shift 2; fi
labels=("$@")
if [[ ${#labels[@]} == 0 ]]; then labels=(unit gpu gpu-mpi); fi
for label in "${labels[@]}"; do
  case $label in unit | gpu | gpu-mpi) ;; *) echo "run-tests.sh: no label '$label': unit, gpu or gpu-mpi" >&2; exit 2 ;; esac
done
logs=$(mktemp -d "${TMPDIR:-/tmp}/gpumonth-tests-XXXXXX") || exit 2
export PATH=$root/bin:$PATH  # h5repack

find_cuda
passed=0 failed=() skipped=()

# chosen NAME LABELS
chosen() {
  local label
  [[ $1 =~ $regex ]] || return 1
  for label in "${labels[@]}"; do [[ ,$2, != *,"$label",* ]] || return 0; done
  return 1
}

# Prints why the test cannot start here; nothing where it can.
obstacle() {
  local variant=$1 needs=$2
  if [[ $needs != - ]] && ! type -P "$needs" >/dev/null; then
    echo "skipped: $needs is not installed"
  elif [[ $variant == cuda && ${#cuda_missing[@]} != 0 ]]; then
    # With a driver the GPU is there to be tested, so this is a failure.
    [[ $cuda_driver ]] && echo "FAILED: not found: ${cuda_missing[*]}" || echo "skipped: no NVIDIA driver; not found: ${cuda_missing[*]}"
  fi
}

run_one() {
  local name=$1 variant=$2 timeout_s=$3 needs=$4 words=$5
  local log=$logs/$name.log started=${EPOCHREALTIME/./} status=0 result
  result=$(obstacle "$variant" "$needs")
  if [[ -z $result ]]; then
    local command
    IFS=' ' read -ra command <<<"$words"
    GPUMONTH_PROGRAM=$variant timeout -k 5 "$timeout_s" "${command[@]}" >"$log" 2>&1 </dev/null || status=$?
    case $status in
      0) result=passed ;;
      77) result="skipped: $(tail -n 1 "$log")" ;;
      124 | 137) result="FAILED: not done after $timeout_s s, or killed" ;;
      *) result="FAILED: exit status $status" ;;
    esac
  fi
  local milliseconds=$(((${EPOCHREALTIME/./} - started) / 1000))
  printf '%-40s %5d.%03d s  %s\n' "$name" $((milliseconds / 1000)) $((milliseconds % 1000)) "$result"
  case $result in
    passed) passed=$((passed + 1)) ;;
    skipped*) skipped+=("$name") ;;
    *)
      failed+=("$name")
      if [[ -s $log ]]; then tail -n 60 "$log" | sed 's/^/    /'; fi
      ;;
  esac
}

while IFS='|' read -r name variant test_labels timeout_s needs words <&3; do
  if chosen "$name" "$test_labels"; then run_one "$name" "$variant" "$timeout_s" "$needs" "$words"; fi
done 3<tests/manifest

total=$((passed + ${#failed[@]} + ${#skipped[@]}))
if ((total == 0)); then
  echo "run-tests.sh: no test of this bundle has the label ${labels[*]} and a name like '$regex'" >&2
  exit 2
fi
printf '\n%d passed, %d failed, %d skipped\n' "$passed" "${#failed[@]}" "${#skipped[@]}"
if [[ ${#skipped[@]} != 0 ]]; then echo "skipped: ${skipped[*]}"; fi
if [[ ${#failed[@]} != 0 ]]; then
  printf 'failed: %s\nwhat they said: %s\n' "${failed[*]}" "$logs"
  exit 1
fi
rm -rf "$logs"
