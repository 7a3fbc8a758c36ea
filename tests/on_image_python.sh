#!/bin/sh
# Runs the image's Python with these arguments, in this repository: a Debian with Python 3.14 and the locked packages,
# both made by tests/components/install.sh. Root is needed for the mounts; they end with the process. Where that is missing
# it says so and leaves, which is a failure with CI set.
set -eu
cd "$(dirname "$0")/.."
cache=${MTA_STS_COMPONENTS:-/var/cache/mta-sts-components}
skip() {
  echo "not run on the image's Python: $1" >&2
  [ -z "${CI:-}" ] || exit 1
  exit 0
}
[ "$(id -u)" = 0 ] || skip 'only root can mount what it needs'
[ -d "$cache/python3.14-packages" ] || skip "tests/components/install.sh has not made $cache/python3.14-packages"
[ -n "${MTA_STS_PRIVATE_MOUNTS:-}" ] || MTA_STS_PRIVATE_MOUNTS=1 exec unshare --mount "$0" "$@"

root=$cache/python3.14
mkdir -p "$root/work" "$root/packages"
touch "$root/etc/hosts" "$root/etc/resolv.conf"
mount --bind . "$root/work"
mount --bind "$cache/python3.14-packages" "$root/packages"
mount --bind /etc/hosts "$root/etc/hosts"
mount --bind /etc/resolv.conf "$root/etc/resolv.conf"
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
mount -t tmpfs tmpfs "$root/tmp"
export PYTHONPATH=/packages
unset TMPDIR VIRTUAL_ENV
exec chroot "$root" /bin/sh -c 'cd /work && exec /usr/bin/python3.14 "$@"' sh "$@"
