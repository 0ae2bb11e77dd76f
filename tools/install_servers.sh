#!/usr/bin/env bash
# Install the servers that the tests use, from Debian packages and npm: quick when all are there, quiet, starts no service.
# Without root, apt or npm it says what to type and succeeds: the tests then name what they had to skip.
set -euo pipefail
cd "$(dirname "$0")/.."

PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
AZURITE=3.35.0

declare -A package_of=(
    [ceph-mon]=ceph-mon [ceph-osd]=ceph-osd [radosgw]=radosgw [radosgw-admin]=radosgw [ceph]=ceph-common
    [ceph-authtool]=ceph-common [monmaptool]=ceph-common [nginx]=nginx-light [redis-server]=redis-server
)

from_debian() {
    local missing policy
    missing=$(for program in "${!package_of[@]}"; do
        command -v "$program" >/dev/null || echo "${package_of[$program]}"
    done | sort -u | xargs)
    [ -n "$missing" ] || return 0
    if ! command -v apt-get >/dev/null; then
        echo "servers missing (their tests will be skipped): install the equivalents of $missing"
        return 0
    fi
    if [ "$(id -u)" != 0 ]; then
        echo "servers missing (their tests will be skipped); type: sudo apt-get install --no-install-recommends $missing"
        return 0
    fi
    echo "installing $missing"
    # The tests start their own servers on their own ports: a policy-rc.d that says no (101) keeps the packages from
    # starting the system's. One that is there already is left as it is.
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        # shellcheck disable=SC2064
        trap "rm -f '$policy'" EXIT
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
    fi
    apt-get update -qq
    # Only names out of package_of, none of which has a space.
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
}

# The Azure emulator goes into the environment, beside the tests' Python, and leaves with it.
from_npm() {
    ! command -v azurite-blob >/dev/null && [ ! -x .venv/bin/azurite-blob ] || return 0
    if ! command -v npm >/dev/null; then
        echo "server missing (its tests will be skipped); install Node.js and type: npm install --global azurite@$AZURITE"
        return 0
    fi
    echo "installing azurite $AZURITE"
    npm install --silent --no-audit --no-fund --prefix .venv/npm "azurite@$AZURITE" >/dev/null
    ln -sf ../npm/node_modules/.bin/azurite-blob .venv/bin/azurite-blob
}

from_debian
from_npm
