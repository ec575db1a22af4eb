#!/bin/sh
# Build a folder with Debian's Python for arm64 and the project's locked packages.
# On this machine only qemu-user-static must be installed. Root is not needed.
set -eu
repository=$(cd "$(dirname "$0")/../.." && pwd)
home=$repository/.venv/arm64
command -v qemu-aarch64-static > /dev/null || {
    echo "qemu is missing: apt-get install qemu-user-static" >&2
    exit 1
}
mkdir -p "$home/root/dev" "$home/root/work" "$home/apt/lists/partial" "$home/apt/debs/partial"
: > "$home/apt/status"

apt() {
    apt-get -qq -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o APT::Sandbox::User= \
        -o Dir::State::status="$home/apt/status" -o Dir::State::lists="$home/apt/lists" \
        -o Dir::Cache::archives="$home/apt/debs" -o Dir::Cache::pkgcache= \
        -o Dir::Cache::srcpkgcache= -o Debug::NoLocking=1 "$@"
}
apt update
apt install -y --download-only --no-install-recommends python3 libstdc++6
for package in "$home"/apt/debs/*.deb; do dpkg-deb -x "$package" "$home/root"; done
cp "$(command -v qemu-aarch64-static)" "$home/root/"
touch "$home/root/dev/null" "$home/root/dev/urandom"

# LiteRT's XNNPACK selects its kernels by these files; run.sh emulates the same processor, a
# Cortex-A76. Without them XNNPACK is off. With qemu's "max" processor its results are wrong.
mkdir -p "$home/root/proc" "$home/root/sys/devices/system/cpu"
for file in possible present; do echo 0-1 > "$home/root/sys/devices/system/cpu/$file"; done
for core in 0 1; do
    printf 'processor\t: %s\nFeatures\t: %s\n%s\n\n' "$core" \
        "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp asimdrdm lrcpc asimddp" \
        "CPU implementer	: 0x41
CPU architecture: 8
CPU variant	: 0x3
CPU part	: 0xd0b
CPU revision	: 1"
done > "$home/root/proc/cpuinfo"

platforms=$(for glibc in 17 24 26 27 28 31 34 35; do echo "--platform manylinux_2_${glibc}_aarch64"; done)
for environment in scan tflite-runtime; do
    # shellcheck disable=SC2086
    "$repository/.venv/dev/bin/python" -m pip install --quiet --disable-pip-version-check \
        --only-binary :all: $platforms --platform manylinux2014_aarch64 --python-version 3.11 \
        --target "$home/root/work/$environment" --upgrade -r "$repository/requirements/$environment.txt"
done
touch "$home/ready"
