#!/bin/sh
# setup.sh - install the distribution packages that a group of tasks needs.
#
#   docker/setup.sh [-n] GROUP...       groups are those of docker/packages.list, e.g. build run test
#
#   -n   only say what is missing; exit 1 if anything is
#
# Installs nothing when nothing is missing. Prints what it is going to install before it does. Works as root or with
# "sudo -n"; otherwise it prints the one command to run and exits 1. Services that packages would start are not
# started, and redis-server is not left enabled: Rialto starts its own.
set -eu

list=$(dirname "$0")/packages.list
say() { printf '%s\n' "setup: $*" >&2; }

dry=0
if [ "${1-}" = -n ]; then dry=1; shift; fi
[ $# -gt 0 ] || { sed -n '2,10s/^# \{0,1\}//p' "$0" >&2; exit 2; }

# wanted GROUP... - the packages of these groups, one a line
wanted() {
    awk -v groups="$*" '
        BEGIN { n = split(groups, g, " "); for (i = 1; i <= n; i++) want[g[i]] = 1 }
        /^[^#]/ { m = split($2, has, ","); for (i = 1; i <= m; i++) if (has[i] in want) { print $1; next } }' "$list"
}

# missing PACKAGE... - those that are not installed; the "?" stays on, the "|FILE" goes
missing() {
    have=" $(dpkg-query -W -f '${db:Status-Status} ${Package}\n' 2>/dev/null |
             awk '$1 == "installed" { printf "%s ", $2 }')"
    for p in "$@"; do
        case $p in *\|*) [ ! -e "${p#*|}" ] || continue; p=${p%%|*} ;; esac
        case $have in *" ${p%\?} "*) ;; *) printf '%s\n' "$p" ;; esac
    done
}

# offered - keep the names that the distribution has; drop those with "?" that it has not
offered() {
    while read -r p; do
        case $p in
        *\?) if apt-cache show "${p%\?}" >/dev/null 2>&1; then printf '%s\n' "${p%\?}"; fi ;;
        *)   printf '%s\n' "$p" ;;
        esac
    done
}

packages=$(wanted "$@")
[ -n "$packages" ] || { say "no packages in: $*"; exit 2; }
if ! command -v dpkg-query >/dev/null 2>&1 || ! command -v apt-get >/dev/null 2>&1; then
    say "this is no Debian or Ubuntu; going on in the hope that these are here:" $packages
    exit 0
fi
absent=$(missing $packages)
[ -n "$absent" ] || exit 0
must=0
for p in $absent; do case $p in *\?) ;; *) must=1 ;; esac; done
# Only optional names are absent: they count where the distribution is known to have them.
[ $must = 1 ] || [ -n "$(printf '%s\n' "$absent" | offered)" ] || exit 0
if [ $dry = 1 ]; then say "missing:" $absent; exit 1; fi

if [ "$(id -u)" != 0 ]; then
    if command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then exec sudo -n "$0" "$@"; fi
    say "these packages are missing:" $absent
    say "install them with this command, then start again:"
    printf '    sudo %s %s\n' "$0" "$*" >&2
    exit 1
fi

say "installing with apt-get:" $absent
# Nothing may start a service meanwhile; an own policy of the machine stays as it is.
policy=/usr/sbin/policy-rc.d
log=$(mktemp)
own_policy=0
cleanup() { rm -f "$log"; if [ $own_policy = 1 ]; then rm -f "$policy"; fi; }
trap cleanup EXIT
trap 'exit 130' INT TERM
if [ ! -e "$policy" ]; then
    own_policy=1
    printf '#!/bin/sh\nexit 101\n' > "$policy"
    chmod 755 "$policy"
fi
export DEBIAN_FRONTEND=noninteractive

# apt ARGUMENT... - apt-get, quiet while it works and with its whole output when it fails
apt() {
    if ! apt-get -y -q -o DPkg::Lock::Timeout=120 "$@" >"$log" 2>&1 </dev/null; then
        cat "$log" >&2
        say "apt-get $1 failed"
        exit 1
    fi
}

apt update
start=$(date +%s)
apt install --no-install-recommends $(printf '%s\n' "$absent" | offered)
case " $(echo $absent) " in *" redis-server "*)
    if command -v deb-systemd-helper >/dev/null; then deb-systemd-helper disable redis-server.service >/dev/null 2>&1 || :; fi
    update-rc.d redis-server disable >/dev/null 2>&1 || :
esac
say "installed in $(($(date +%s) - start)) s"
