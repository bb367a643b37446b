# Sourced by tests/model/run and scripts/check-model: one exhaustive search per call.

for tool in spin gcc; do
  command -v "$tool" >/dev/null || { echo "$0: $tool is missing (apt install spin gcc)" >&2; exit 1; }
done

model_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/holdfast-model.XXXXXX")
trap 'rm -rf "$work"' EXIT

ALL_EVENTS="-DABORTS -DKILLS -DREFUSALS -DGRACE -DRESTART -DGOODBYE"

# search MEMORY_MIB FLAGS...: sets result (ok | the violated property | why it did not finish),
# states, seconds and, after an error, trail. Only a search that ran to its end is "ok".
# OPTIMIZE=-O0 builds sooner, for searches that soon fail. CYCLES=1 looks for cycles instead: there must be none, so that every run ends.
search() {
  local memory=$1 dir pan_flags="-DSAFETY -DCOLLAPSE" run_flags=""
  shift
  dir=$(mktemp -d "$work/XXXXXX")
  [ "${CYCLES:-0}" = 1 ] && pan_flags="-DNP -DCOLLAPSE" && run_flags="-l"
  states=0 seconds=0 trail=
  if ! (cd "$dir" && spin "$@" -a "$model_dir/resume.pml" >log 2>&1 &&
    gcc "${OPTIMIZE:--O2}" -w -DNOREDUCE $pan_flags -DVECTORSZ=512 -DMEMLIM="$memory" -o pan pan.c >>log 2>&1); then
    result="does not build: $(head -n 1 "$dir/log")"
    return
  fi
  # -E: processes wait in their loops at the end; process Final says what a good end is.
  (cd "$dir" && ./pan -E -n $run_flags -m1000000 -w22 >out 2>&1)
  states=$(sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' "$dir/out")
  seconds=$(sed -n 's/^pan: elapsed time \([0-9.e+-]*\) seconds/\1/p' "$dir/out")
  if grep -q '^pan:1:' "$dir/out"; then
    result=$(sed -n 's/^pan:1: \(.*\) (at depth.*/\1/p' "$dir/out" | head -n 1)
    trail=$dir
  elif grep -q 'errors: 0$' "$dir/out" && ! grep -qE 'not completed|too small|out of memory|reached -DMEMLIM' "$dir/out"; then
    result=ok
    rm -rf "$dir"
  else
    result="did not finish in $memory MiB"
    rm -rf "$dir"
  fi
}

passed=0 failed=0

# configuration NAME MEMORY_MIB FLAGS...: searches, prints a line, counts.
configuration() {
  local name=$1
  shift
  search "$@"
  printf '%-46s %10s states %7s s  %s\n' "$name" "${states:-?}" "${seconds:-?}" "$result"
  if [ "$result" = ok ]; then
    passed=$((passed + 1))
    return
  fi
  failed=$((failed + 1))
  echo "    flags: ${*:2}"
  if [ -n "$trail" ]; then
    cp "$trail/resume.pml.trail" "${TMPDIR:-/tmp}/holdfast-model.trail"
    echo "    replay: spin -t -p -g -k ${TMPDIR:-/tmp}/holdfast-model.trail ${*:2} $model_dir/resume.pml"
  fi
}
