#!/bin/sh
# The first process of a user-mode-linux guest, whose root is the host's own (hostfs). Words on the kernel's command line:
#   role=server|client  number=N (address 10.77.0.N)  host=NAME  export=FOLDER  options=MOUNT-OPTIONS (";" for ",")
#   unique=ID (of the NFS client, where two machines have one name)  grace=SECONDS (server)  script=FILE (client: what it runs)
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs tmpfs /run
for word in $(cat /proc/cmdline); do
  case $word in
  role=*) role=${word#role=} ;;
  number=*) number=${word#number=} ;;
  host=*) host=${word#host=} ;;
  options=*) options=$(echo "${word#options=}" | tr ';' ',') ;;
  unique=*) unique=${word#unique=} ;;
  grace=*) grace=${word#grace=} ;;
  script=*) script=${word#script=} ;;
  esac
done
hostname "$host"
mount --bind /usr/lib/uml/modules /lib/modules
ip link set lo up
ip addr add "10.77.0.$number/24" dev vec0
ip link set vec0 up
# The guests drop what is larger than a frame.
ethtool -K vec0 tx off gso off tso off gro off >/dev/null 2>&1
mount -t tmpfs tmpfs /mnt
mkdir /mnt/store

if [ "$role" = server ]; then
  modprobe nfsd
  mkdir /mnt/disk
  mount /dev/ubda /mnt/disk
  # What a file server keeps over a restart: who its clients are, and so who may reclaim.
  mkdir -p /mnt/disk/state/nfsdcld /mnt/disk/state/v4recovery /mnt/disk/state/rpc_pipefs /mnt/disk/export
  touch /mnt/disk/state/etab /mnt/disk/state/rmtab
  mount --bind /mnt/disk/state /var/lib/nfs
  mount -t rpc_pipefs rpc_pipefs /var/lib/nfs/rpc_pipefs
  nfsdcld
  mount -t nfsd nfsd /proc/fs/nfsd
  exportfs -o rw,sync,no_root_squash,fsid=0,insecure,no_subtree_check '*:/mnt/disk/export'
  rpc.mountd -N 3 2>/dev/null
  echo "$grace" >/proc/fs/nfsd/nfsv4gracetime
  echo "$grace" >/proc/fs/nfsd/nfsv4leasetime
  rpc.nfsd -N 3 8
  echo 'GUEST: the NFS server is up'
else
  modprobe nfs ${unique:+nfs4_unique_id=$unique}
  until mount -t nfs4 -o "vers=4.1,hard,noatime${options:+,$options}" 10.77.0.10:/ /mnt/store; do sleep 1; done
  echo 'GUEST: the store is mounted'
  sh "$script"
  echo "GUEST: the program has ended with $?"
fi
while :; do sleep 1000; done
