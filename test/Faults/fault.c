/* A preloaded library that makes the Nth file operation of a kind fail, or kills the program before it, to see what
 * it leaves behind.
 *
 *   FAULT_KIND    write, fsync, rename, remove, mmap, open (for writing) or truncate (ftruncate, fallocate)
 *   FAULT_NUMBER  which one, from 1 on
 *   FAULT_ERROR   the errno it fails with
 *   FAULT_SIGNAL  the signal that the program sends itself instead
 *   FAULT_LOG     gets a line when it has happened
 *
 * Only regular files and directories count: messages on a terminal or a pipe go through. A write fails after half
 * of its bytes, as on a disk that fills up.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static atomic_int seen;

static int fails(const char *kind) {
  const char *wanted = getenv("FAULT_KIND"), *number = getenv("FAULT_NUMBER"), *code = getenv("FAULT_ERROR");
  if (!wanted || !number || strcmp(wanted, kind) || atomic_fetch_add(&seen, 1) + 1 != atoi(number))
    return 0;
  const char *path = getenv("FAULT_LOG");
  FILE *log = path ? fopen(path, "a") : NULL;
  if (log) {
    fprintf(log, "%s %s\n", kind, number);
    fclose(log);
  }
  const char *signal = getenv("FAULT_SIGNAL");
  if (signal)
    raise(atoi(signal));
  errno = code ? atoi(code) : EIO;
  return 1;
}

static int counts(int file) {
  struct stat info;
  int code = errno, result = fstat(file, &info) == 0 && (S_ISREG(info.st_mode) || S_ISDIR(info.st_mode));
  errno = code;
  return result;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int file, const void *data, size_t size) {
  if (counts(file) && fails("write")) {
    int code = errno;
    REAL(write)(file, data, size / 2);
    errno = code;
    return -1;
  }
  return REAL(write)(file, data, size);
}

ssize_t pwrite(int file, const void *data, size_t size, off_t offset) {
  if (counts(file) && fails("write")) {
    int code = errno;
    REAL(pwrite)(file, data, size / 2, offset);
    errno = code;
    return -1;
  }
  return REAL(pwrite)(file, data, size, offset);
}

int fsync(int file) { return counts(file) && fails("fsync") ? -1 : REAL(fsync)(file); }
int rename(const char *from, const char *to) { return fails("rename") ? -1 : REAL(rename)(from, to); }
int remove(const char *path) { return fails("remove") ? -1 : REAL(remove)(path); }
int ftruncate(int file, off_t size) { return fails("truncate") ? -1 : REAL(ftruncate)(file, size); }
int posix_fallocate(int file, off_t offset, off_t size) {
  return fails("truncate") ? errno : REAL(posix_fallocate)(file, offset, size);
}
void *mmap(void *address, size_t size, int protection, int flags, int file, off_t offset) {
  /* Small anonymous maps are the allocators' of libraries, which end the program themselves. */
  int ours = file >= 0 || (size >= 1 << 20 && !(flags & MAP_STACK));
  if (ours && fails("mmap"))
    return MAP_FAILED;
  return REAL(mmap)(address, size, protection, flags, file, offset);
}
int open(const char *path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  mode_t mode = flags & O_CREAT ? va_arg(arguments, mode_t) : 0;
  va_end(arguments);
  if (flags & (O_WRONLY | O_RDWR) && fails("open"))
    return -1;
  return REAL(open)(path, flags, mode);
}
