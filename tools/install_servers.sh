#!/usr/bin/env bash
# Install the servers that the tests use from Debian packages: quick when all are there, quiet, starts no service.
# Without root or apt it says what to type and succeeds: the tests then name what they had to skip.
set -euo pipefail

PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

declare -A package_of=(
    [ceph-mon]=ceph-mon [ceph-osd]=ceph-osd [radosgw]=radosgw [radosgw-admin]=radosgw [ceph]=ceph-common
    [ceph-authtool]=ceph-common [monmaptool]=ceph-common [nginx]=nginx-light [redis-server]=redis-server
)

missing=$(for program in "${!package_of[@]}"; do
    command -v "$program" >/dev/null || echo "${package_of[$program]}"
done | sort -u | xargs)
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null; then
    echo "servers missing (their tests will be skipped): install the equivalents of $missing"
    exit 0
fi
if [ "$(id -u)" != 0 ]; then
    echo "servers missing (their tests will be skipped); type: sudo apt-get install --no-install-recommends $missing"
    exit 0
fi

echo "installing $missing"
# The tests start their own servers on their own ports: a policy-rc.d that says no (101) keeps the packages from
# starting the system's. One that is there already is left as it is.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi
apt-get update -qq
# Only names out of package_of, none of which has a space.
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
