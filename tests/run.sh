#!/bin/bash
# run.sh - build and run the tests, stage after stage, and count them.
#
#   tests/run.sh [-m MINUTES] [STAGE...]     all stages when none is named
#   tests/run.sh -l                          list the stages
#
#   -m   go round the stages until MINUTES have passed or something failed, with longer races and fuzzing
#
# A unit test is a Criterion test. Any other test is a program that prints one line for each thing it checked,
# "ok - what" or "not ok - what", and ends with 0 only if all was well; "ok - what # SKIP why" counts as neither.
# It finds   RIALTO_BIN, RIALTO_LIB   what to test            TMPDIR           an empty folder of its own
#            RIALTO_VARIANT           how that was built      RIALTO_SECONDS   how long a race program should run
# A program that checks nothing, leaves a process behind, or makes a sanitizer speak has failed.
# Fuzzers run as many at a time as there are cores (JOBS), and scripts half as many again, for they wait more than they work; a script
# with a line "# alone: WHY" has the machine for itself ("# alone without sanitizers: WHY": where it is not slowed by them anyway), and so
# has each race program. One with a line "# release: WHY" is run without sanitizers only. Logs stay in build/test/STAGE.
# The last line is "N passed, N failed".
set -u
cd "$(dirname "$0")/.." || exit

table=(
#   stage          variant  kind     limit_s  files                        (limit for one program)
    "units-release release  units    120      tests/*/test_*.c"
    "units-clang   clang    units    120      tests/*/test_*.c"
    "units-asan    asan     units    300      tests/*/test_*.c"
    "units-valgrind release memcheck 900      tests/*/test_*.c"
    "model         release  script   180      tests/model/test_*"
    "race-release  release  race     120      tests/race/*.c"
    "race-tsan     tsan     race     240      tests/race/*.c"
    "random        release  race     3600     tests/random/*.c"
    "bits          release  script   600      tests/random/test_*"
    "churn         release  script   600      tests/bench/test_*"
    "e2e-release   release  script   180      tests/e2e/test_*"
    "fault         release  script   300      tests/fault/test_*"
    "e2e-asan      asan     script   360      tests/e2e/test_*"
    "fuzz          fuzz     fuzz     120      tests/fuzz/fuzz_*.c"
    "compose       release  script   1500     tests/compose/run.sh"
)

minutes=0
while getopts "m:l" option; do
    case $option in
    m) minutes=$OPTARG ;;
    l) printf '%s\n' "${table[@]}"; exit 0 ;;
    *) exit 2 ;;
    esac
done
shift $((OPTIND - 1))
if [ "$minutes" -gt 0 ]; then
    memcheck_suites='*'
    race_seconds=${RACE_SECONDS:-60} fuzz_seconds=${FUZZ_SECONDS:-60}
    export RIALTO_HISTORIES=${RIALTO_HISTORIES:-1000000} # of tests/random, in the first round
    export FAULT_KILLS=${FAULT_KILLS:-1000} FAULT_GONE_SECONDS=${FAULT_GONE_SECONDS:-60} # of tests/fault, in the first round
else
    # Under valgrind a test costs half a second and more: those that take bytes from outside apart. Soaking takes all suites.
    memcheck_suites='signal|signal_json|signal_event|signal_scan|json|wire|message|record_line|reject'
    race_seconds=${RACE_SECONDS:-3} fuzz_seconds=${FUZZ_SECONDS:-18}
fi
for name in "$@"; do
    case " $(printf '%s\n' "${table[@]}" | awk '{ printf "%s ", $1 }')" in
    *" $name "*) ;;
    *) echo "no stage is called $name; tests/run.sh -l lists them" >&2; exit 2 ;;
    esac
done

passed=0 failed=0 reads=0
jobs=${JOBS:-$(nproc)}
skipped=()
declare -A running=() # process number -> the program that it executes
tmp=$(mktemp -d /tmp/rialto-test.XXXXXX)
# A background job of bash does not hear of Ctrl-C: what it executes is told by us.
leave() {
    for pid in "${!running[@]}"; do kill $(cat "/proc/$pid/task/$pid/children") 2> /dev/null; done
    rm -rf "$tmp"
}
trap leave EXIT
trap 'exit 130' INT TERM

# Sanitizers want addresses that are not spread too widely; where that cannot be asked for, they are tried as it is.
calm=
if setarch -R true 2>/dev/null; then calm="setarch -R"; fi

now_ms() { date +%s%3N; }
indent() { sed 's/^/        /'; }

# report STAGE NAME PASSED FAILED START_MS REMARK - one line of progress, and the count
report() {
    local took=$(($(now_ms) - $5)) verdict=ok
    [ "$4" = 0 ] || verdict=FAILED
    passed=$((passed + $3)) failed=$((failed + $4))
    printf '%-6s %-14s %-30s %4d passed %s%6d.%d s%s\n' "$verdict" "$1" "$2" "$3" \
        "$([ "$4" = 0 ] || printf '%d failed ' "$4")" $((took / 1000)) $((took % 1000 / 100)) "${6:+  $6}"
}

# build STAGE VARIANT GOAL... - quiet when it works
build() {
    local stage=$1 variant=$2 start; shift 2
    start=$(now_ms)
    if env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS make VARIANT="$variant" "$@" > "$logs/build.log" 2>&1; then
        printf '%-6s %-14s %-30s %s%17d s\n' built "$stage" "$variant" "" $((($(now_ms) - start) / 1000))
        return 0
    fi
    report "$stage" "build $variant" 0 1 "$start"
    grep -E 'error|Error|undefined|setup:' "$logs/build.log" | head -n 30 | indent
    return 1
}

# left_behind MARK - processes that still carry the mark of a finished test
left_behind() {
    grep -lzs "^RIALTO_TEST_MARK=$1\$" /proc/[0-9]*/environ | cut -d/ -f3
}

# execute LOG LIMIT_S COMMAND... - run one test program; prints why it must be called failed, if so beyond its own words
execute() {
    local log=$1 limit=$2 own mark status pids; shift 2
    own=$(mktemp -d "$tmp/own.XXXXXX")
    mark=$$.${own##*.}
    rm -rf "$log".sanitizer.*
    local options="log_path=$PWD/$log.sanitizer:exitcode=99:detect_leaks=1:print_stacktrace=1"
    RIALTO_BIN=$PWD/build/$variant/bin RIALTO_LIB=$PWD/build/$variant/lib RIALTO_VARIANT=$variant \
    RIALTO_SECONDS=$race_seconds RIALTO_TEST_MARK=$mark TMPDIR=$own \
    ASAN_OPTIONS=$options:detect_stack_use_after_return=1:strict_string_checks=1 UBSAN_OPTIONS=$options \
    TSAN_OPTIONS=$options:second_deadlock_stack=1 LSAN_OPTIONS=suppressions=$PWD/tests/lsan.supp:print_suppressions=0 \
        $calm timeout -k 30 "$limit" "$@" > "$log" 2>&1 < /dev/null
    status=$?
    case $status in
    0) ;;
    124 | 137) echo "not done after $limit s" ;;
    *) echo "exit status $status" ;;
    esac
    pids=$(left_behind "$mark")
    if [ -n "$pids" ]; then
        echo "left processes behind:" $(for p in $pids; do tr '\0' ' ' < "/proc/$p/cmdline" | cut -c1-60; done)
        kill -KILL $pids 2> /dev/null
    fi
    rm -rf "$own"
    # Three remarks are no findings: Clang 19's runtime on a machine without a symbolizer, and a search for leaks that began while a
    # thread was still on its way in or out, or that was killed with its process. A leak that is found says so in words of its own.
    if cat "$log".sanitizer.* 2> /dev/null |
        grep -qvE 'WARNING: .* external symbolizer!$|Running thread [0-9]+ was not suspended\. False leaks are possible\.$|Unable to get registers from thread [0-9]+\.$' ||
        grep -qE 'LeakSanitizer|AddressSanitizer|ThreadSanitizer|runtime error:' "$log"; then
        echo "a sanitizer spoke: $(cat "$log" "$log".sanitizer.* 2> /dev/null | grep -E -m 1 'Sanitizer|runtime error:')"
    fi
}

# judge STAGE NAME LOG START_MS WHY OK NOT_OK - report, and show what is worth seeing of a failure
judge() {
    local not_ok=$7
    # What went wrong beyond a test's own words is one failure more, unless they say it already.
    if [ -n "$5" ] && { [ "$not_ok" = 0 ] || [[ $5 != "exit status "* ]]; }; then not_ok=$((not_ok + 1)); fi
    report "$1" "$2" "$6" "$not_ok" "$4"
    if [ "$not_ok" != 0 ]; then
        printf '%s\n' "$5" | indent
        head -n -15 "$3" | grep -E '^(not ok|\[FAIL\]|\[----\])' | head -n 20 | indent
        tail -n 15 "$3" | indent
        cat "$3".sanitizer.* 2> /dev/null | head -n 40 | indent
        echo "        log: $3"
    fi
}

# stage_units - all unit tests of a variant in one runner, or the chosen suites of it under valgrind
stage_units() {
    local start log=$logs/units.log why written ok not_ok suites='[a-z_]*' valgrind=() chosen=()
    build "$stage" "$variant" units || return
    if [ "$kind" = memcheck ]; then
        # Each test is a process: their findings are in a file each. Without jemalloc, which is linked to the programs only.
        valgrind=(valgrind --quiet --trace-children=yes --error-exitcode=99 --leak-check=full
            --errors-for-leak-kinds=definite --suppressions="$PWD/tests/valgrind.supp" --log-file="$PWD/$logs/valgrind.%p")
        chosen=("--filter=@($memcheck_suites)/*" "--jobs=$jobs") # else it takes one at a time under valgrind
        if [ "$memcheck_suites" != '*' ]; then suites=$memcheck_suites; fi
    fi
    start=$(now_ms)
    why=$(execute "$log" "$limit" "${valgrind[@]}" "build/$variant/tests/units" "--output=tap:$PWD/$logs/units.tap" "${chosen[@]}")
    ok=$(grep -E '^ok' "$logs/units.tap" 2> /dev/null | grep -cvE '# SKIP') # what the filter leaves out is there as skipped
    not_ok=$(grep -cE '^not ok' "$logs/units.tap" 2> /dev/null)
    if grep -qs '' "$logs"/valgrind.*; then
        why="$why${why:+; }valgrind spoke: $(cat "$logs"/valgrind.* | grep -m 1 -oE '(Invalid|Conditional|Use of|Syscall|[0-9,]+ .*bytes in).*')"
        cat "$logs"/valgrind.* >> "$log"
    fi
    written=$(cat $files | grep -cE "^(Test|ParameterizedTest|Theory)\((\([^)]*\), *)?($suites),")
    if [ "$((${ok:-0} + ${not_ok:-0}))" -lt "$written" ]; then
        why="$why${why:+; }$written tests are written, $((${ok:-0} + ${not_ok:-0})) ran"
    fi
    judge "$stage" "$variant" "$log" "$start" "$why" "${ok:-0}" "${not_ok:-0}"
}

# reads_in LOG - how many reads a race program says that it has checked
reads_in() {
    sed -nE 's/^#.* ([0-9]+) (reads|quotes|seen|looks).*/\1/p' "$1" | awk '{ sum += $1 } END { printf "%.0f\n", sum }'
}

# log_of FILE - where its program's words go; beside it: .why (execute's findings) and .start (milliseconds)
log_of() { printf '%s/%s.log' "$logs" "$(basename "${1%.c}")"; }

# finish_one JUDGE - wait until one program has ended, and judge it
finish_one() {
    local pid file
    wait -n -p pid "${!running[@]}"
    file=${running[$pid]}
    unset "running[$pid]"
    "$1" "$file" "$(log_of "$file")"
}

# run_all JOBS RUN JUDGE FILE... - RUN FILE LOG for each, JOBS at a time, and JUDGE FILE LOG as soon as each has ended
run_all() {
    local most=$1 run=$2 judge=$3 file log; shift 3
    for file in "$@"; do
        while [ ${#running[@]} -ge "$most" ]; do finish_one "$judge"; done
        log=$(log_of "$file")
        { now_ms > "$log.start"; "$run" "$file" "$log" > "$log.why"; } &
        running[$!]=$file
    done
    while [ ${#running[@]} -gt 0 ]; do finish_one "$judge"; done
}

run_program() {
    local program=$1
    if [ "$kind" = race ]; then program=build/$variant/${1%.c}; fi
    execute "$2" $((minutes > 0 ? 10 * limit : limit)) "$program" "$race_seconds" # soaking takes its time
}

judge_program() {
    local log=$2 why ok not_ok
    why=$(cat "$log.why")
    not_ok=$(grep -cE '^not ok' "$log")
    ok=$(grep -E '^ok' "$log" | grep -vcE '# SKIP')
    while read -r line; do skipped+=("$stage: ${line##*# SKIP }"); done < <(grep -E '^ok.*# SKIP' "$log")
    if [ "$kind" = race ]; then reads=$((reads + $(reads_in "$log"))); fi
    if [ "$ok" = 0 ] && [ "$not_ok" = 0 ] && [ -z "$why" ] && ! grep -qE '^ok.*# SKIP' "$log"; then
        why="checked nothing"
    fi
    judge "$stage" "$(basename "${1%.c}")" "$log" "$(cat "$log.start")" "$why" "$ok" "$not_ok"
}

# stage_programs - scripts, and race programs that were built for it
stage_programs() {
    local alone mark='^# alone( without sanitizers)?: '
    if [ "$kind" = race ]; then
        build "$stage" "$variant" race || return
        run_all 1 run_program judge_program $files
        return
    fi
    build "$stage" "$variant" all || return
    if [ "$variant" != release ]; then
        mark='^# alone: '
        files=$(grep -LE '^# release: ' $files)
    fi
    alone=$(grep -lE "$mark" $files)
    run_all $((jobs + jobs / 2)) run_program judge_program $(grep -LE "$mark" $files)
    run_all 1 run_program judge_program $alone
}

run_fuzzer() {
    local name seeds corpus
    name=$(basename "${1%.c}")
    corpus=build/fuzz/corpus/$name
    mkdir -p "$corpus"
    seeds=tests/fuzz/corpus/$name
    if [ ! -d "$seeds" ]; then seeds=; fi
    # No names of functions beside new inputs: who looks them up may outlive the fuzzer by a moment.
    execute "$2" $((fuzz_seconds + limit)) "build/$variant/tests/fuzz/$name" -max_total_time="$fuzz_seconds" \
        -print_funcs=0 -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 -artifact_prefix="$logs/$name-" "$corpus" $seeds
}

judge_fuzzer() {
    local name log=$2 why runs
    name=$(basename "${1%.c}")
    why=$(cat "$log.why")
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    if [ -z "$why" ] && [ "${runs:-0}" -lt 100 ]; then why="only ${runs:-0} inputs tried"; fi
    if [ -z "$why" ]; then
        report "$stage" "$name" 1 0 "$(cat "$log.start")" "$runs inputs"
    else
        judge "$stage" "$name" "$log" "$(cat "$log.start")" "$why" 0 0
    fi
}

# stage_fuzz - each fuzzer for a while, from its seeds and what earlier runs found
stage_fuzz() {
    build "$stage" "$variant" fuzz || return
    run_all "$jobs" run_fuzzer judge_fuzzer $files
}

# go_round STAGE... - the named stages of the table once, or all
go_round() {
    local row
    for row in "${table[@]}"; do
        read -r stage variant kind limit files <<< "$row"
        if [ $# != 0 ] && [[ " $* " != *" $stage "* ]]; then continue; fi
        files=$(compgen -G "$files" | grep -E '\.(c|py|sh)$' | LC_ALL=C sort)
        if [ "$kind" = units ] || [ "$kind" = memcheck ]; then files=$(printf '%s\n' $files | grep -vE '^tests/(race|model|fuzz|e2e|fault|compose)/'); fi
        logs=build/test/$stage
        rm -rf "$logs"
        mkdir -p "$logs"
        if [ -z "$files" ]; then report "$stage" "no test files" 0 1 "$(now_ms)"; continue; fi
        case $kind in
        units | memcheck) stage_units ;;
        fuzz) stage_fuzz ;;
        *) stage_programs ;;
        esac
    done
}

begin=$(date +%s)
end=$((begin + minutes * 60))
go_round "$@"
unset RIALTO_HISTORIES FAULT_KILLS FAULT_GONE_SECONDS
while [ "$minutes" -gt 0 ] && [ $failed = 0 ] && [ "$(date +%s)" -lt $end ]; do go_round "$@"; done

printf 'all stages: %d s\n' $(($(date +%s) - begin))
[ "$reads" = 0 ] || printf 'races: %d million reads were checked\n' $((reads / 1000000))
for line in "${skipped[@]+"${skipped[@]}"}"; do echo "skipped: $line"; done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
