# Completion of gpumonth for bash: commands and options as --help lists them, keys of --set as --help-config does, so
# that nothing is listed here twice. Installed as share/bash-completion/completions/gpumonth; or: source this file.

_gpumonth() {
  local program=${COMP_WORDS[0]} word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} words=''
  if ((COMP_CWORD == 1)); then
    words=$("$program" --help 2>/dev/null |
      awk '/^[A-Z]/ {commands = /^(SUBCOMMANDS|Subcommands)/; next} commands && /^  [a-z]/ {print $1}')
    [[ $word != -* ]] || words='--help --version'
  elif [[ $previous == --set && $word != *=* ]]; then
    words=$("$program" "${COMP_WORDS[1]}" --help-config 2>/dev/null |
      awk '/^\[/ {section = substr($1, 2, length($1) - 2)} /^[a-z_0-9]+ *=/ {print section "." $1 "="}')
    compopt -o nospace 2>/dev/null
  elif [[ $word == -* ]]; then
    words=$("$program" "${COMP_WORDS[1]}" --help 2>/dev/null | grep -oE '(^| |,)--?[a-z][a-z-]*' | tr -d ' ,' | sort -u)
  fi
  if [[ -n $words ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
  else
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -f -- "$word")
  fi
}
complete -F _gpumonth gpumonth
