#!/bin/sh
# Runs as the first process of its own mount and PID namespaces; with it everything here ends.
# Arguments: the root file system, the board's folder (overlay/, home/, ssh/).
set -eu
root=$1
board=$2

# Boards share the root file system and nothing else: what one may write is its home and what ends with it.
mount --bind "$root" "$root"
mount -o remount,bind,ro "$root"
mount -t proc proc "$root/proc"
mount --bind "$board/overlay/proc/cpuinfo" "$root/proc/cpuinfo"
mount --bind "$board/overlay/sys" "$root/sys"
mount -t tmpfs -o mode=755 dev "$root/dev"
for name in null zero full random urandom tty; do
    : > "$root/dev/$name"
    mount --bind "/dev/$name" "$root/dev/$name"
done
ln -s /proc/self/fd "$root/dev/fd"
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=666,mode=620,gid=5 pts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
mount -t tmpfs -o mode=1777 shm "$root/dev/shm"
mount -t tmpfs -o mode=1777 tmp "$root/tmp"
mount -t tmpfs -o mode=755 run "$root/run"
mkdir -m 755 "$root/run/sshd" "$root/run/hwloop"
mount --bind "$board/ssh" "$root/run/hwloop"
mount --bind "$board/home" "$root/root"
hostname "$(basename "$board")"
exec chroot "$root" /usr/sbin/sshd -D -e -f /run/hwloop/sshd_config
