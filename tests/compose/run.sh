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
        echo "ok - $what"
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

export RIALTO_PUSH_PORT=0 RIALTO_REQUEST_PORT=0 COMPOSE_ANSI=never
up=1
compose build > "$own/build.log" 2>&1 || { tail -n 30 "$own/build.log" | sed 's/^/# /'; give_up "the images are built"; }
echo "ok - the images are built"

prints_quotes() { compose logs --no-log-prefix --since "$1" reader 2> /dev/null | grep -qE ' [0-9]+\.[0-9]{2} [A-Z]{3} '; }
now() { date -u +%Y-%m-%dT%H:%M:%S.%NZ; }
container() { docker inspect --format "$2" "$(compose ps --all --quiet "$1")"; }
state() { docker inspect --format "{{.State.Status}} {{.State.ExitCode}}" "$(compose ps --all --quiet "$1")"; }
ended_by_itself() { [ "$(state "$1")" = "running 0" ] && compose stop "$1" && state "$1" && [ "$(state "$1")" = "exited 0" ]; }
unprivileged() { compose exec -T "$1" sh -c '[ "$(id -u)" -gt 10000 ] && ! touch /usr/x'; }
reads_only() { compose exec -T reader sh -c 'cd /run/rialto && head -c 8 control.v3 >/dev/null && ! touch x && ! { echo x >> control.v3; }'; }

check "docker compose up: all three are healthy" compose up --detach --wait --wait-timeout 120
if [ $failures != 0 ]; then compose logs --tail 30 2>&1 | sed 's/^/# /'; exit 1; fi
since=$(now)
check "the reader prints quotes" eventually 30 prints_quotes "$since"
for service in redis rialto reader; do check "$service runs without root and cannot write its image" unprivileged $service; done
check "the reader reads the cache and cannot write it" reads_only

compose kill redis > /dev/null 2>&1
since=$(now)
check "the reader prints quotes while Redis is dead" eventually 15 prints_quotes "$since"
check "Redis comes back" compose up --detach --wait --wait-timeout 60 redis

compose kill rialto > /dev/null 2>&1
since=$(now)
check "the reader prints quotes while Rialto is dead" eventually 15 prints_quotes "$since"
check "Rialto comes back" compose up --detach --wait --wait-timeout 120
since=$(now)
check "the reader prints quotes of the Rialto that came back" eventually 30 prints_quotes "$since"
for service in reader rialto redis; do check "$service ends by itself when it is stopped" ended_by_itself $service; done

if [ $failures != 0 ]; then compose logs --tail 30 2>&1 | sed 's/^/# /'; fi
check "docker compose down" compose down --volumes --timeout 10
up=0
[ $failures = 0 ]
