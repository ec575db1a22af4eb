#!/bin/sh
# run.sh ENVIRONMENT MODULE [ARGUMENT...]: run a module of the project on an emulated arm64.
#
# .venv/arm64/root becomes the root folder, with the /proc of build.sh: LiteRT detects the
# processor there, and would otherwise find that of this machine. Files to read are in
# .venv/arm64/root/work.
set -eu
home=$(cd "$(dirname "$0")/../.." && pwd)/.venv/arm64
environment=$1
shift
unshare --map-root-user --mount sh -c '
    mount --bind /dev/null "$0/dev/null"
    mount --bind /dev/urandom "$0/dev/urandom"
    environment=$1; shift
    exec chroot "$0" /qemu-aarch64-static -cpu cortex-a76 -E PYTHONPATH="/work/$environment:/work" \
        -E PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3.11 -m "$@"
' "$home/root" "$environment" "$@" 2> "$home/stderr.txt" || { cat "$home/stderr.txt" >&2; exit 1; }
