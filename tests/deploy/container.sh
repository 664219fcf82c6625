#!/bin/sh
# container.sh ROOT WHERE FROM TO [WHERE FROM TO]... -- COMMAND...
#
# A container without a runtime, in a mount namespace of its own (`unshare --mount`): ROOT becomes a root that is only read,
# with the folders FROM of this machine at TO, `ro` or `rw`, and an empty /tmp. Then COMMAND, as the arbitrary user of an
# OpenShift project: a number that no passwd knows, in group 0, without capabilities, that cannot gain any.
set -eu
root=$1
shift
mount -t tmpfs -o mode=755 tmpfs "$root"
for link in bin sbin lib lib64; do
    [ ! -L "/$link" ] || ln -s "$(readlink "/$link")" "$root/$link"
done
# Before the folders: the Python of the tests may itself stand below /tmp.
mkdir -p "$root/tmp"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
while [ "$1" != -- ]; do
    mkdir -p "$root$3"
    mount --bind "$2" "$root$3"
    [ "$1" = rw ] || mount -o remount,bind,ro "$root$3"
    shift 3
done
shift
mkdir -p "$root/proc" "$root/dev"
mount --rbind /proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -o remount,ro "$root"
exec chroot "$root" setpriv --reuid "$USER_ID" --regid 0 --groups "$USER_ID" --bounding-set=-all --no-new-privs "$@"
