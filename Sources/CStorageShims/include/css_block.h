// The kernel calls Swift cannot make: ioctls, openat2, leases. No policy. Calls return 0 (or the value named) on
// success and -errno on failure; none retries, none keeps state.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

/// One run of a file's extent map; flags are FIEMAP_EXTENT_* bits.
typedef struct css_extent {
  uint64_t logical;
  uint64_t length;
  uint64_t physical;
  uint32_t flags;
} css_extent;

/// What a loop device stands on.
typedef struct css_loop_status {
  uint64_t device;
  uint64_t inode;
  bool read_only;
} css_loop_status;

/// O_PATH, which the C library hides from Swift.
#define CSS_O_PATH 010000000

/// openat2 from the root with O_CLOEXEC; no component may be a symbolic link. Returns the descriptor.
int css_open_no_symlinks(const char *path, int flags);

/// Makes `target`, an empty file, share all blocks of `source` (FICLONE).
int css_clone(int target, int source);

/// FS_IOC_GETFLAGS and FS_IOC_SETFLAGS: FS_*_FL bits.
int css_inode_flags(int fd, uint32_t *flags);
int css_set_inode_flags(int fd, uint32_t flags);
#define CSS_NOCOW_FLAG 0x00800000u
#define CSS_IMMUTABLE_FLAG 0x00000010u

/// FS_IOC_GETVERSION.
int css_inode_generation(int fd, uint32_t *generation);

/// At most `limit` extents at or after `start`, ascending. Returns their count.
int css_extent_map(int fd, uint64_t start, uint32_t limit, bool sync, css_extent *extents);

/// How many extents the map has.
int css_extent_count(int fd, uint64_t *count);

/// Magic number of the file system that holds the file.
int css_file_system_magic(int fd, uint64_t *magic);

/// The UUID, 16 bytes, of the file system that holds the file, which outlives mounts; -ENOTTY or the like where it has none.
int css_file_system_uuid(int fd, uint8_t *uuid);

/// What tells subvolumes of one btrfs apart (f_fsid), and mounts elsewhere.
int css_file_system_id(int fd, uint64_t *id);

/// First data at or after `offset`, and first hole at or after it; -ENXIO when there is none before the end.
int64_t css_seek_data(int fd, uint64_t offset);
int64_t css_seek_hole(int fd, uint64_t offset);

/// Words for an errno value; the text lives for ever.
const char *css_error_text(int code);

/// Size of a block device in bytes (BLKGETSIZE64); whether it is set read-only (BLKROGET).
int css_device_size(int fd, uint64_t *bytes);
int css_device_read_only(int fd, bool *read_only);

/// Backing file of a loop device (LOOP_GET_STATUS64); -ENXIO when none is attached.
int css_loop_get_status(int fd, css_loop_status *status);

/// Frees a range and makes it read as zeros; the size stays.
int css_punch_hole(int fd, uint64_t offset, uint64_t length);

/// Renames, replacing nothing.
int css_rename_no_replace(const char *from, const char *to);

int css_sync_file_system(int fd);

/// pread that leaves no pages behind that were not cached before (RWF_DONTCACHE); -EOPNOTSUPP where unknown.
long css_read_uncached(int fd, void *buffer, size_t length, uint64_t offset);

/// Takes a read lease whose break notice is SIGURG (ignored by default, so it never ends the process).
/// -EAGAIN when the file is open for writing or mapped writable anywhere.
int css_take_read_lease(int fd);
/// 1 while the read lease is whole, 0 when it is being broken or gone.
int css_read_lease_holds(int fd);
int css_release_lease(int fd);

#pragma clang assume_nonnull end
