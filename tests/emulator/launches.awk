# Makes C++ of CUDA C++: kernel<<<grid, block, shared, stream>>>(arguments) becomes a call of emulator::Launch, dynamic
# shared memory a pointer, and a read of the device's clock (%globaltimer) a call. Everything else of the language that is
# used here are macros and functions, see kernel.h.
# Lines keep their numbers, and -v name=FILE names the source in messages and in __FILE__.
function kernel_of(name) {  # a template or overloaded function has no address: wrap it
  if (name ~ /^(kernel|[a-z_]+_)$/) return name
  return "[](auto... gpumonth_arguments) { " name "(gpumonth_arguments...); }"
}
BEGIN { text = ""; source = name }
{ text = text $0 "\n" }
END {
  while (match(text, /extern __shared__ [a-z0-9_]+ [a-z_]+\[\];/)) {
    split(substr(text, RSTART, RLENGTH), words, " ")
    name = words[4]; sub(/\[\];/, "", name)
    text = substr(text, 1, RSTART - 1) words[3] "* " name " = static_cast<" words[3] "*>(::gpumonth::emulator::dynamic_shared());" \
           substr(text, RSTART + RLENGTH)
  }
  while (match(text, /asm volatile\("mov\.u64 %0, %%globaltimer;" : "=l"\([a-z_]+\)\);/)) {
    name = substr(text, RSTART, RLENGTH); sub(/.*"=l"\(/, "", name); sub(/\)\);/, "", name)
    text = substr(text, 1, RSTART - 1) name " = ::gpumonth::emulator::clock_ns();" substr(text, RSTART + RLENGTH)
  }
  while ((at = index(text, "<<<")) > 0) {
    before = substr(text, 1, at - 1)
    rest = substr(text, at + 3)
    stop = index(rest, ">>>(")
    if (stop == 0) { print "launches.awk: <<< without >>>(" > "/dev/stderr"; exit 1 }
    configuration = substr(rest, 1, stop - 1)
    after = substr(rest, stop + 4)
    if (!match(before, /[A-Za-z_][A-Za-z0-9_]*(<[A-Za-z0-9_, ]*>)?[ \n]*$/)) { print "launches.awk: no kernel before <<<" > "/dev/stderr"; exit 1 }
    name = substr(before, RSTART)
    sub(/[ \n]+$/, "", name)
    before = substr(before, 1, RSTART - 1)
    comma = after ~ /^[ \n]*\)/ ? "" : ", "
    text = before "::gpumonth::emulator::Launch(" configuration ")(" kernel_of(name) comma after
  }
  printf "#line 1 \"%s\"\n%s", source, text
}
