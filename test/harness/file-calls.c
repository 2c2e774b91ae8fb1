/*
 * Preloaded into a process: strikes its calls to files below FILE_CALLS_ROOT as the file at FILE_CALLS says at the moment. That holds
 * one line, or nothing:
 *
 *   hang  CALLS          they end when the line has changed
 *   delay CALLS MS       each takes so much longer
 *   fail  CALLS ERRNO    each fails and does nothing
 *   lost  CALLS ERRNO    each is done, and fails
 *   short CALLS          a write takes half of its bytes, at least one
 *
 * CALLS are some of the letters r (reads), w (writes), s (syncs), o (opening, listing), n (names made, moved, removed).
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

struct fault {
  char what[8];
  long number;
};

static void pause_ms(long ms) {
  struct timespec rest = {ms / 1000, ms % 1000 * 1000000};
  while (nanosleep(&rest, &rest) == -1 && errno == EINTR) continue;
}

/* By system calls, not by the functions below. */
static int read_fault(char call, struct fault *fault) {
  char text[64] = "";
  char calls[8] = "";
  int fd = syscall(SYS_openat, AT_FDCWD, getenv("FILE_CALLS"), O_RDONLY | O_CLOEXEC, 0);
  if (fd < 0) return 0;
  syscall(SYS_read, fd, text, sizeof text - 1);
  syscall(SYS_close, fd);
  fault->number = 0;
  return sscanf(text, "%7s %7s %ld", fault->what, calls, &fault->number) >= 2 && strchr(calls, call) != NULL;
}

static int is_struck(char call, const char *path, struct fault *fault) {
  const char *root = getenv("FILE_CALLS_ROOT");
  if (root == NULL || path == NULL || strncmp(path, root, strlen(root)) != 0) return 0;
  int before = errno;
  int is = read_fault(call, fault);
  while (is && strcmp(fault->what, "hang") == 0) {
    pause_ms(5);
    is = read_fault(call, fault);
  }
  if (is && strcmp(fault->what, "delay") == 0) pause_ms(fault->number);
  errno = before;
  return is;
}

static const char *path_of(int fd, char *path) {
  char link[32];
  int before = errno;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  long length = syscall(SYS_readlinkat, AT_FDCWD, link, path, PATH_MAX - 1);
  errno = before;
  if (length < 0) return NULL;
  path[length] = 0;
  return path;
}

#define REAL(name)                         \
  static __typeof__(name) *real;           \
  if (real == NULL) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

#define CALL(type, letter, path, call)                                     \
  struct fault fault;                                                      \
  if (!is_struck(letter, path, &fault)) return call;                       \
  if (strcmp(fault.what, "fail") == 0) return errno = fault.number, -1;    \
  type result = call;                                                      \
  if (strcmp(fault.what, "lost") == 0) return errno = fault.number, -1;    \
  return result;

ssize_t pread64(int fd, void *to, size_t bytes, off64_t at) {
  char path[PATH_MAX];
  REAL(pread64);
  CALL(ssize_t, 'r', path_of(fd, path), real(fd, to, bytes, at))
}

ssize_t read(int fd, void *to, size_t bytes) {
  char path[PATH_MAX];
  REAL(read);
  CALL(ssize_t, 'r', path_of(fd, path), real(fd, to, bytes))
}

ssize_t pwrite64(int fd, const void *from, size_t bytes, off64_t at) {
  char path[PATH_MAX];
  struct fault fault;
  REAL(pwrite64);
  if (!is_struck('w', path_of(fd, path), &fault)) return real(fd, from, bytes, at);
  if (strcmp(fault.what, "short") == 0) return real(fd, from, bytes > 1 ? bytes / 2 : bytes, at);
  if (strcmp(fault.what, "fail") == 0) return errno = fault.number, -1;
  ssize_t result = real(fd, from, bytes, at);
  if (strcmp(fault.what, "lost") == 0) return errno = fault.number, -1;
  return result;
}

ssize_t pwritev64(int fd, const struct iovec *from, int count, off64_t at) {
  char path[PATH_MAX];
  REAL(pwritev64);
  CALL(ssize_t, 'w', path_of(fd, path), real(fd, from, count, at))
}

int fsync(int fd) {
  char path[PATH_MAX];
  REAL(fsync);
  CALL(int, 's', path_of(fd, path), real(fd))
}

int fdatasync(int fd) {
  char path[PATH_MAX];
  REAL(fdatasync);
  CALL(int, 's', path_of(fd, path), real(fd))
}

int open64(const char *path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  mode_t mode = va_arg(rest, mode_t);
  va_end(rest);
  REAL(open64);
  CALL(int, 'o', path, real(path, flags, mode))
}

int scandir64(const char *path, struct dirent64 ***list, int (*wanted)(const struct dirent64 *),
              int (*order)(const struct dirent64 **, const struct dirent64 **)) {
  REAL(scandir64);
  CALL(int, 'o', path, real(path, list, wanted, order))
}

int rename(const char *from, const char *to) {
  REAL(rename);
  CALL(int, 'n', from, real(from, to))
}

int link(const char *from, const char *to) {
  REAL(link);
  CALL(int, 'n', to, real(from, to))
}

int unlink(const char *path) {
  REAL(unlink);
  CALL(int, 'n', path, real(path))
}

int mkdir(const char *path, mode_t mode) {
  REAL(mkdir);
  CALL(int, 'n', path, real(path, mode))
}

int rmdir(const char *path) {
  REAL(rmdir);
  CALL(int, 'n', path, real(path))
}
