#!/usr/bin/env bash
# The README's `make` commands on a bare Debian 12, as a normal user and as root, and what they leave behind.
#
# Makes a root system with mmdebstrap out of the machine's own package sources, and removes it at the end. Needs root,
# network access and about half an hour. `tests/bare_machine.sh demo` leaves `make test` out; `tests/bare_machine.sh person`
# and `tests/bare_machine.sh root` leave out the other's.
set -euo pipefail
shopt -s inherit_errexit
cd "$(dirname "$0")/.."
what=${1:-all}

if [ $$ != 1 ]; then # the first process of a namespace is the part below; on the machine itself nothing is mounted
  root=$(mktemp -d /var/tmp/bare.XXXXXX)
  export root
  trap 'rm -rf --one-file-system "$root"' EXIT
  # A mount namespace and processes of its own: no mount and no process is left when the script ends.
  unshare --mount --pid --fork --kill-child --propagation private "$0" "$@"
  exit
fi

. /etc/os-release
mirror=$(apt-get indextargets --format '$(CODENAME) $(REPO_URI)' | awk -v release="$VERSION_CODENAME" '$1 == release {print $2; exit}')
# systemd, so that a package which enables its service would do it as on a server; git and make to begin with.
mmdebstrap --quiet --variant=minbase --include=ca-certificates,git,make,python3,systemd-sysv bookworm "$root" "$mirror"
for file in /etc/resolv.conf /etc/pip.conf /etc/ssl/certs/ca-certificates.crt; do # the way to the package indexes
  [ ! -e $file ] || install -D -m 644 "$(realpath $file)" "$root$file"
done
echo '127.0.0.1 localhost' >"$root/etc/hosts" # which Debian's installer writes
git clone --quiet "file://$PWD" "$root/root/mta-sts-sidecar"
mount --rbind "$root" "$root" # so that it is a mount of its own
cd "$root"
mount -t proc proc proc
mount --rbind /sys sys
mount --rbind /dev dev
mount -t tmpfs tmpfs run
mount -t tmpfs tmpfs tmp
mkdir before
pivot_root . before # a chroot is not enough: runc cannot start containers in one
cd /
umount --lazy before
rmdir before

in_it() { # in_it USER COMMAND: what this user types, with the environment of a fresh login
  echo "\$ $2    # as $1"
  setpriv --reuid="$1" --regid="$1" --init-groups --reset-env sh -lc "cd && $2"
}
enabled() { find etc/systemd etc/rc?.d -type l ! -path 'etc/rc?.d/K*' | sort; } # K: what must not run then

useradd --create-home --shell /bin/bash person
cp -r root/mta-sts-sidecar home/person
chown -R person: home/person
echo '--- without python3-venv, which Debian splits off'
in_it person 'make -C mta-sts-sidecar demo' && { echo 'it should have been asked for' >&2; exit 1; }
{ apt-get -qq update && apt-get -qqy install --no-install-recommends python3-venv; } >/dev/null
before=$(enabled)
in_it person 'make -C mta-sts-sidecar demo'
case $what in all | person) in_it person 'make -C mta-sts-sidecar test' ;; esac
case $what in all | root | demo) in_it root 'make -C mta-sts-sidecar demo' ;; esac
case $what in all | root) in_it root 'make -C mta-sts-sidecar test' ;; esac
if [ "$before" != "$(enabled)" ]; then
  diff <(echo "$before") <(enabled) >&2 || true
  echo 'services are enabled that were not' >&2
  exit 1
fi
echo 'no service was enabled'
