#define _GNU_SOURCE
#include "css_block.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/btrfs.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <linux/openat2.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#ifndef RWF_DONTCACHE
#define RWF_DONTCACHE 0x00000080
#endif

static int result(long value) { return value < 0 ? -errno : (int)value; }

int css_open_no_symlinks(const char *path, int flags) {
  struct open_how how = {.flags = (uint64_t)(flags | O_CLOEXEC), .resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
  return result(syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how));
}

int css_clone(int target, int source) { return result(ioctl(target, FICLONE, source)); }

int css_inode_flags(int fd, uint32_t *flags) {
  // The request is declared with long, but the kernel reads and writes an int.
  long value = 0;
  int status = result(ioctl(fd, FS_IOC_GETFLAGS, &value));
  *flags = (uint32_t)value;
  return status;
}

int css_set_inode_flags(int fd, uint32_t flags) {
  long value = flags;
  return result(ioctl(fd, FS_IOC_SETFLAGS, &value));
}

int css_inode_generation(int fd, uint32_t *generation) {
  long value = 0;
  int status = result(ioctl(fd, FS_IOC_GETVERSION, &value));
  *generation = (uint32_t)value;
  return status;
}

int css_extent_map(int fd, uint64_t start, uint32_t limit, bool sync, css_extent *extents) {
  struct fiemap *map = calloc(1, sizeof *map + limit * sizeof(struct fiemap_extent));
  if (map == NULL) return -ENOMEM;
  map->fm_start = start;
  map->fm_length = FIEMAP_MAX_OFFSET - start;
  map->fm_flags = sync ? FIEMAP_FLAG_SYNC : 0;
  map->fm_extent_count = limit;
  int status = result(ioctl(fd, FS_IOC_FIEMAP, map));
  if (status == 0) {
    for (uint32_t i = 0; i < map->fm_mapped_extents; i++) {
      const struct fiemap_extent *from = &map->fm_extents[i];
      extents[i] = (css_extent){from->fe_logical, from->fe_length, from->fe_physical, from->fe_flags};
    }
    status = (int)map->fm_mapped_extents;
  }
  free(map);
  return status;
}

int css_extent_count(int fd, uint64_t *count) {
  // With no room for extents the kernel counts them.
  struct fiemap map = {.fm_length = FIEMAP_MAX_OFFSET, .fm_flags = FIEMAP_FLAG_SYNC};
  int status = result(ioctl(fd, FS_IOC_FIEMAP, &map));
  *count = map.fm_mapped_extents;
  return status;
}

int css_file_system_magic(int fd, uint64_t *magic) {
  struct statfs info;
  int status = result(fstatfs(fd, &info));
  *magic = status == 0 ? (uint64_t)info.f_type & 0xffffffffu : 0;
  return status;
}

// Of Linux 6.9; older headers do not have it.
struct css_uuid {
  uint8_t length;
  uint8_t bytes[16];
};
#define CSS_IOC_GETFSUUID _IOR(0x15, 0, struct css_uuid)

// The first 88 bytes of struct xfs_fsop_geom_v1 end with the UUID.
struct css_xfs_geometry {
  uint8_t before[64];
  uint8_t uuid[16];
  uint8_t after[32];
};
#define CSS_XFS_IOC_GEOMETRY _IOR('X', 100, struct css_xfs_geometry)

int css_file_system_uuid(int fd, uint8_t *uuid) {
  struct css_uuid found = {0};
  int status = result(ioctl(fd, CSS_IOC_GETFSUUID, &found));
  if (status == 0 && found.length == 16) {
    memcpy(uuid, found.bytes, 16);
    return 0;
  }
  struct btrfs_ioctl_fs_info_args btrfs;
  memset(&btrfs, 0, sizeof btrfs);
  if (ioctl(fd, BTRFS_IOC_FS_INFO, &btrfs) == 0) {
    memcpy(uuid, btrfs.fsid, 16);
    return 0;
  }
  struct css_xfs_geometry xfs;
  memset(&xfs, 0, sizeof xfs);
  if (ioctl(fd, CSS_XFS_IOC_GEOMETRY, &xfs) == 0) {
    memcpy(uuid, xfs.uuid, 16);
    return 0;
  }
  return status < 0 ? status : -ENOTTY;
}

int css_file_system_id(int fd, uint64_t *id) {
  struct statfs info;
  int status = result(fstatfs(fd, &info));
  *id = status == 0 ? (uint64_t)(uint32_t)info.f_fsid.__val[0] << 32 | (uint32_t)info.f_fsid.__val[1] : 0;
  return status;
}

static int64_t seek(int fd, uint64_t offset, int whence) {
  off_t found = lseek(fd, (off_t)offset, whence);
  return found < 0 ? -errno : found;
}

int64_t css_seek_data(int fd, uint64_t offset) { return seek(fd, offset, SEEK_DATA); }

int64_t css_seek_hole(int fd, uint64_t offset) { return seek(fd, offset, SEEK_HOLE); }

const char *css_error_text(int code) {
  const char *text = strerrordesc_np(code);
  return text != NULL ? text : "unknown error";
}

int css_device_size(int fd, uint64_t *bytes) { return result(ioctl(fd, BLKGETSIZE64, bytes)); }

int css_device_read_only(int fd, bool *read_only) {
  int value = 0;
  int status = result(ioctl(fd, BLKROGET, &value));
  *read_only = value != 0;
  return status;
}

int css_loop_get_status(int fd, css_loop_status *status) {
  struct loop_info64 info;
  memset(&info, 0, sizeof info);
  int code = result(ioctl(fd, LOOP_GET_STATUS64, &info));
  if (code != 0) return code;
  // The kernel packs device numbers here as it packs st_dev for user space (huge_encode_dev).
  *status = (css_loop_status){info.lo_device, info.lo_inode, (info.lo_flags & LO_FLAGS_READ_ONLY) != 0};
  return 0;
}

int css_punch_hole(int fd, uint64_t offset, uint64_t length) {
  return result(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)length));
}

int css_rename_no_replace(const char *from, const char *to) {
  return result(renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE));
}

int css_sync_file_system(int fd) { return result(syncfs(fd)); }

long css_read_uncached(int fd, void *buffer, size_t length, uint64_t offset) {
  struct iovec part = {buffer, length};
  ssize_t count = preadv2(fd, &part, 1, (off_t)offset, RWF_DONTCACHE);
  return count < 0 ? -errno : count;
}

int css_take_read_lease(int fd) {
  int status = result(fcntl(fd, F_SETSIG, SIGURG));
  return status < 0 ? status : result(fcntl(fd, F_SETLEASE, F_RDLCK));
}

int css_read_lease_holds(int fd) {
  int type = fcntl(fd, F_GETLEASE);
  return type < 0 ? -errno : type == F_RDLCK;
}

int css_release_lease(int fd) { return result(fcntl(fd, F_SETLEASE, F_UNLCK)); }
