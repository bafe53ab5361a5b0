#!/bin/bash
# run.sh - bring the whole of compose.yaml up on a real Docker engine, look at it from outside, and take it down again.
#
# An engine that is running is used as it is. Where there is none and this is root, the engine is installed and started
# for this test alone, with folders and a socket of its own. Compose and buildx come from the distribution, or, where it
# has no second version of them, from the archive of Debian 13, and are kept in a cache folder. So is the base image,
# made with debootstrap when it cannot be pulled. Where no engine can run, that is said, as a skipped test.
set -u
cd "$(dirname "$0")/../.." || exit

cache=${XDG_CACHE_HOME:-$HOME/.cache}/rialto-compose
image=debian:trixie-slim suite=trixie
own=$(mktemp -d /var/tmp/rialto-compose.XXXXXX)
engine_pid='' up=0
compose() { docker compose --project-name "rialto-test-$$" "$@"; }

finish() {
    if [ $up = 1 ]; then compose down --volumes --timeout 5 > /dev/null 2>&1; fi
    if [ -n "$engine_pid" ]; then
        kill "$engine_pid"
        wait "$engine_pid" 2> /dev/null
        ip link delete docker0 2> /dev/null
        umount "$own"/exec/netns/* 2> /dev/null
    fi
    rm -rf --one-file-system "$own"
}
trap finish EXIT
trap 'exit 130' INT TERM

failures=0
# check WHAT COMMAND... - one test line
check() {
    local what=$1; shift
    if "$@" > "$own/out" 2>&1; then
        echo "ok - $what ($SECONDS s)"
    else
        failures=$((failures + 1))
        echo "not ok - $what"
        tail -n 20 "$own/out" | sed 's/^/# /'
    fi
}
skip() { echo "ok - docker compose # SKIP $*"; exit 0; }
give_up() { echo "not ok - $*"; exit 1; }
# eventually SECONDS COMMAND... - true as soon as the command is
eventually() {
    local end=$((SECONDS + $1)); shift
    until "$@"; do
        if [ $SECONDS -ge $end ]; then return 1; fi
        sleep 0.5
    done
}

start_engine() {
    if [ "$(id -u)" != 0 ]; then skip "no Docker engine is running, and only root can start one"; fi
    if ! grep -qE ' cgroup2? ' /proc/mounts; then skip "no Docker engine can start here: there are no control groups"; fi
    docker/setup.sh docker || give_up "the packages of the engine can be installed"
    export DOCKER_HOST=unix://$own/docker.sock
    # An own process group: what the terminal or a time limit sends to this test must not end the engine before its containers.
    setsid dockerd --data-root "$own/data" --exec-root "$own/exec" --pidfile "$own/pid" --host "$DOCKER_HOST" \
        > "$own/engine.log" 2>&1 &
    engine_pid=$!
    if ! eventually 60 docker info > /dev/null 2>&1; then
        tail -n 5 "$own/engine.log" | sed 's/^/# /'
        skip "dockerd does not start: $(grep -oE 'failed to start.*|level=fatal.*' "$own/engine.log" | tail -n 1)"
    fi
}

# mirror - where this machine's own Debian packages come from
mirror() { apt-get indextargets --format '$(LABEL) $(REPO_URI)' 'Created-By: Packages' | awk '$1 == "Debian" { print $2; exit }'; }

# add_plugin NAME - docker compose or docker buildx out of the distribution's package of it, or Debian 13's
add_plugin() {
    local name=$1 package=docker-$1 from=$cache/debian-13 options=()
    if docker "$name" version > /dev/null 2>&1; then return 0; fi
    mkdir -p "$from/lists/partial" "$from/archives/partial" "$DOCKER_CONFIG/cli-plugins"
    if [ ! -x "$cache/plugins/docker-$name" ]; then
        if apt-cache show "$package-v2" > /dev/null 2>&1; then
            package=$package-v2
        else
            echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $(mirror) $suite main" > "$from/sources.list"
            options=(-o "Dir::Etc::sourcelist=$from/sources.list" -o Dir::Etc::sourceparts=- -o "Dir::State::lists=$from/lists"
                     -o "Dir::Cache=$from" -o APT::Sandbox::User=root)
            apt-get -qq "${options[@]}" update || return 1
        fi
        (cd "$own" && apt-get -qq "${options[@]}" download "$package" && dpkg-deb -x "$package"_*.deb plugin) || return 1
        install -D -m 755 "$(find "$own/plugin" -type f -path "*/cli-plugins/docker-$name")" "$cache/plugins/docker-$name" || return 1
    fi
    ln -sf "$cache/plugins/docker-$name" "$DOCKER_CONFIG/cli-plugins/docker-$name"
    docker "$name" version > /dev/null
}

# base_image - have it, pull it, or make it
base_image() {
    local tar=$cache/$suite.tar
    if docker image inspect $image > /dev/null 2>&1; then return 0; fi
    if [ ! -e "$tar" ]; then
        if timeout 120 docker pull -q $image > /dev/null 2>&1; then return 0; fi
        docker/setup.sh docker || return 1
        debootstrap --variant=minbase $suite "$own/root" "$(mirror)" > "$own/debootstrap.log" 2>&1 ||
            { tail -n 5 "$own/debootstrap.log"; return 1; }
        rm -rf "$own/root/var/cache/apt/archives"/*.deb "$own/root/var/lib/apt/lists"/*
        mkdir -p "$cache"
        tar -C "$own/root" -cf "$tar.new" . && mv "$tar.new" "$tar" || return 1
        rm -rf --one-file-system "$own/root"
    fi
    docker import "$tar" $image > /dev/null
}

if ! docker info > /dev/null 2>&1; then start_engine; fi
if ! docker compose version > /dev/null 2>&1 || ! docker buildx version > /dev/null 2>&1; then
    export DOCKER_CONFIG=$own/config
    add_plugin compose && add_plugin buildx || give_up "docker compose and buildx can be had"
fi
base_image || give_up "the base image can be had"

export RIALTO_PUSH_PORT=0 RIALTO_REQUEST_PORT=0 RIALTO_HTTP_PORT=0 RIALTO_SHOP_PORT=0 PROMETHEUS_PORT=0 RIALTO_REPLAY_SECONDS=600 COMPOSE_ANSI=never
unset COMPOSE_PROFILES # .env says it
up=1
compose build > "$own/build.log" 2>&1 || { tail -n 30 "$own/build.log" | sed 's/^/# /'; give_up "the images are built"; }
echo "ok - the images are built ($SECONDS s)"

all="redis rialto prometheus storefront replay"
container() { docker inspect --format "$2" "$(compose ps --all --quiet "$1")"; }
state() { container "$1" "{{.State.Status}} {{.State.ExitCode}}"; }
is_up() { compose up --detach --wait --wait-timeout 120 "$@"; }
url() { echo "http://$(compose port "$1" "$2")"; }
# web URL [ARGUMENT...] - what stands there; the engine's host need not have curl
web() { python3 -c 'import sys, urllib.request as u; print(u.urlopen(u.Request(sys.argv[1], sys.argv[3].encode() if len(sys.argv) > 3 else None, {"Content-Type": "application/json"}, method=sys.argv[2] if len(sys.argv) > 2 else "GET"), timeout=5).read().decode())' "$@"; }
# has WORDS COMMAND... - the command works and says the words
has() {
    local words=$1; shift
    "$@" > "$own/has" 2>&1
    cat "$own/has"
    grep -qE -- "$words" "$own/has"
}
# over_http TOKEN PATH [JSON] - what the service's door says to whoever shows that token of people
over_http() { python3 -c 'import sys, urllib.request as u, urllib.error as e
try: print(u.urlopen(u.Request(sys.argv[1], sys.argv[3].encode() if len(sys.argv) > 3 else None, {"Content-Type": "application/json", "Authorization": "Bearer " + sys.argv[2]}), timeout=5).read().decode())
except e.HTTPError as error: print(error.code, error.read().decode())' "$(url rialto 7480)$2" "$(compose run --rm -T keys cat "/keys/people/$1")" "${@:3}"; }
redis() { compose exec -T -e REDISCLI_AUTH="$(compose exec -T rialto cat /run/keys/password)" redis redis-cli --user rialto "$@"; }

unprivileged() {
    compose exec -T "$1" sh -c '[ "$(id -u)" -gt 10000 ] && ! touch /usr/x && grep -q "^CapEff:[[:space:]]*0*$" /proc/1/status && grep -q "^NoNewPrivs:[[:space:]]*1$" /proc/1/status' &&
        has '^true [1-9][0-9]+ [1-9][0-9]*$' container "$1" '{{.HostConfig.ReadonlyRootfs}} {{.HostConfig.Memory}} {{.HostConfig.PidsLimit}}'
}
reads_only() { compose exec -T storefront sh -c 'cd /run/rialto && head -c 8 control.v? >/dev/null && ! touch x && ! { echo x >> control.v?; }'; }
only_its_keys() { has '^token$' compose exec -T storefront ls /run/keys && has '^users.acl$' compose exec -T redis ls /run/keys; }
image_mb() { echo $((($(docker image inspect --format '{{.Size}}' "$1") - $(docker image inspect --format '{{.Size}}' $image)) / 1000000)); }
is_small() { echo "$1: $(image_mb "$1") MB"; [ "$(image_mb "$1")" -le 60 ]; }
ended_by_itself() { has '^running 0$' state "$1" && compose stop "$1" && has '^exited (0|143)$' state "$1"; }
consented() { has '"profile":true' web "$(url storefront 7490)/api/customers/C16422/consent"; }
is_scraped() { has '"value":\[[0-9.]+,"1"\]' web "$(url prometheus 9090)/api/v1/query?query=up%7Bjob%3D%22rialto%22%7D"; }
nothing_refused() { has '^acl_access_denied_cmd:0' redis INFO stats && has '^acl_access_denied_key:0' redis INFO stats; }

# Reads that go on while something happens: reading_begins; ...; check "..." reading_ends
reading_begins() { coproc READS { exec tests/compose/reads.py "$(url storefront 7490)/api/page?customer=C16422" 2>&1; }; reads_pid=$READS_PID; exec {reads_out}<&"${READS[0]}"; }
reading_ends() { echo >&"${READS[1]}"; cat <&"$reads_out"; wait "$reads_pid"; }

check "docker compose up: all are healthy" is_up
if [ $failures != 0 ]; then compose ps --all | sed 's/^/# /'; compose logs --tail 30 2>&1 | sed 's/^/# /'; exit 1; fi
check "a price by the shop, out of shared memory, and it says DEMO" eventually 30 has '"amount":[0-9]+.*"demo"' web "$(url storefront 7490)/api/page?department=fresh"
check "a price over HTTP" eventually 15 has '"amount":[0-9]+' web "$(url rialto 7480)/v1/quotes/F45"
check "a price out of Redis" eventually 15 has '"amount":[0-9]+' redis HSCAN 'rialto:cell:{world}' 0 MATCH F45 COUNT 100000
check "a price by the command line" has 'CNY' compose exec -T rialto rialto quote - F45
check "a signal over NNG is answered" has '1 accepted|"accepted":1|accepted 1' compose exec -T rialto rialto signal --json --url tcp://rialto:7412 --json-text '{"type":"customer","customer":"somebody","consent":{"profile":true}}'
check "a consent over the shop is in force" has '"accepted":1' web "$(url storefront 7490)/api/customers/C16422/consent" PUT '{"profile":true}'
check "and kept" consented
for service in $all; do check "$service runs without root and capabilities, within limits, and cannot write its image" unprivileged $service; done
check "the storefront reads the cache and cannot write it" reads_only
check "each is given its own keys only" only_its_keys
check "the console has a token, which opens what is for pricing people" has '"kept":' over_http admin /v1/models
check "a producer has one, which sends signals over HTTP and opens nothing else" eval "has '\"accepted\":1' over_http producer /v1/signals '{\"type\":\"demand\",\"sku\":\"F45\",\"event\":\"view\"}' && has '^403' over_http producer /v1/models"
check "the image of the service is at most 60 MB over its base" is_small rialto/rialto
check "the image of the shop is at most 60 MB over its base" is_small rialto/shop
check "nobody without the password may do anything in Redis" eval "has NOAUTH compose exec -T redis redis-cli PING && has NOPERM compose exec -T redis redis-cli --user health --pass any GET 'rialto:mark:{p00}'"
check "Redis keeps every write and evicts nothing" eval "has '^yes$' redis CONFIG GET appendonly && has '^noeviction$' redis CONFIG GET maxmemory-policy"
check "Prometheus scrapes the service and knows its alerts" eval "eventually 40 is_scraped && has RialtoDown web $(url prometheus 9090)/api/v1/rules"

reading_begins
for service in prometheus replay redis rialto; do
    compose kill $service > /dev/null 2>&1
    check "$service comes back after it was killed" is_up $service
done
check "Redis refused Rialto nothing" nothing_refused
check "the service's container is replaced" is_up --no-deps --force-recreate rialto
check "meanwhile the storefront quoted without a failed read" reading_ends
compose kill storefront > /dev/null 2>&1
check "the storefront comes back after it was killed" is_up storefront
check "what was permitted is still permitted" eventually 10 consented

for service in storefront prometheus rialto redis; do check "$service ends by itself when it is stopped" ended_by_itself $service; done
# Shared memory goes with the last container, the mapped state by hand: what comes back then comes out of Redis.
down_and_up() { compose down --timeout 10 && docker run --rm --volume "rialto-test-$$_rialto-data:/data" rialto/rialto rm -r /data/state && is_up; }
check "all of it goes down, and comes up with nothing but what Redis kept" down_and_up
check "what was permitted came out of Redis" eventually 15 consented
check "so did prices" eventually 15 has '"amount":[0-9]+' web "$(url storefront 7490)/api/page?customer=C16422"

goes_live() { COMPOSE_PROFILES='' compose config > "$own/live" && ! grep -qE 'storefront:|replay:|demo-rialto' "$own/live" && grep -q '/etc/rialto/rialto.json' "$own/live"; }
check "without the line in .env it is no demonstration" goes_live
if [ $failures != 0 ]; then compose logs --tail 30 2>&1 | sed 's/^/# /'; fi
check "docker compose down" compose down --volumes --timeout 10
up=0
echo "# $SECONDS s"
[ $failures = 0 ]
