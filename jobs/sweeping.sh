# For sourcing, by bash: what sweeps have in common (sweep.sh, replay.sh, isoflop.sh, quality.sh, consistency.sh): a folder of finished
# runs that an interrupted sweep goes on with. Uses the caller's variables ranks, gpumonth and out.
#
#   fail TEXT                  one line, exit 2
#   usage                      the caller's opening comment
#   read_options NAMES WORD... the command line: options of these names into variables (--cool-down 0: cool_down), --set KEY=VALUE
#                              into the array extra, what is no option into the array given
#   the_run_file               the one word of `given`; nothing where there is none
#   require_whole NUMBER...    fails where one is not a positive whole number
#   set_defaults               ranks: 1 2 4 ... up to the cores or the allocation's tasks; gpumonth: the newest one built
#   keep_plan PLAN WHAT        OUT/plan, so that two sweeps do not end up in one folder; WHAT: what the folder then holds
#   stop_on_signals            sets `stopped` to the signal's name, and passes it on to the run in progress
#   end_where_stopped CODE FINISHED TOTAL WHAT   exits with 3 where a signal came or a run ended with 3

fail() {
  echo "${0##*/}: $*" >&2
  exit 2
}

usage() { sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//p}' "jobs/${0##*/}"; }  # from the root of the repository

read_options() {
  local names=" $1 " name
  shift
  extra=() given=()
  while (($#)); do
    case $1 in
      -h | --help) usage; exit 0 ;;
      -*)
        name=${1#--}
        [[ $1 == --* && $names == *" $name "* ]] || fail "unknown option $1; see $0 --help"
        (($# >= 2)) || fail "$1 needs a value; see $0 --help"
        if [[ $name == set ]]; then extra+=(--set "$2"); else printf -v "${name//-/_}" %s "$2"; fi
        shift 2 ;;
      *)
        given+=("$1")
        shift ;;
    esac
  done
}

the_run_file() {
  ((${#given[@]} < 2)) || fail "two run files, ${given[0]} and ${given[1]}: give one"
  echo "${given[0]:-}"
}

require_whole() {
  local number
  for number; do [[ $number =~ ^[1-9][0-9]*$ ]] || fail "'$number' is not a positive whole number"; done
}

set_defaults() {
  local n most
  if [[ -z $ranks ]]; then
    most=${SLURM_NTASKS:-$(nproc)}
    for ((n = 1; n <= most; n *= 2)); do ranks+="$n "; done
  fi
  if [[ -z $gpumonth ]]; then
    gpumonth=$(ls -t build/*/gpumonth 2>/dev/null | head -n1)
    [[ -n $gpumonth ]] || fail "no build/*/gpumonth: run jobs/quickstart.sh or jobs/build.sh cpu gpumonth first"
  fi
  [[ -x $gpumonth ]] || fail "$gpumonth is no program: give one with --gpumonth"
  mkdir -p "$out" 2>/dev/null && [[ -w $out ]] || fail "$out cannot be written: choose another with --out"
}

keep_plan() {
  if [[ -e $out/plan && $1 != "$(cat "$out/plan")" ]]; then
    fail "$out holds $2: choose another folder with --out, or remove it"
  fi
  printf '%s\n' "$1" >"$out/plan"
}

stopped=
stop_on_signals() {
  local signal
  for signal in INT TERM HUP USR1 USR2; do
    # shellcheck disable=SC2064  # the signal's name now
    trap "stopped=$signal; stop_training USR1" $signal
  done
}

end_where_stopped() {
  [[ -n $stopped || $1 == 3 ]] || return 0
  echo "${0##*/}: stopped by SIG${stopped:-USR1} with $2 of $3 $4 finished; the same command goes on" >&2
  exit 3
}
