/* Preloaded into a program, makes its n-th change to the file system fail or be its last: FAULT_AT counts from 1,
 * FAULT is kill, half (a write of half the bytes, then death), ENOSPC or EIO. FAULT_LOG gets the number of changes
 * that were made. Descriptors 0 to 2 do not count, and neither do changes outside FAULT_BELOW. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static long at = -1, count = 0;
static const char *fault = "", *below = "";

__attribute__((constructor)) static void start(void) {
    if (getenv("FAULT_AT")) at = atol(getenv("FAULT_AT"));
    if (getenv("FAULT")) fault = getenv("FAULT");
    if (getenv("FAULT_BELOW")) below = getenv("FAULT_BELOW");
}

__attribute__((destructor)) static void stop(void) {
    const char *log = getenv("FAULT_LOG");
    FILE *file = log ? fopen(log, "w") : NULL;
    if (file) { fprintf(file, "%ld\n", count); fclose(file); }
}

static int is_below(const char *path) { return path && strncmp(path, below, strlen(below)) == 0; }

static int is_ours(int fd) {
    char link[64], path[4096];
    if (fd <= 2) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return is_below(path);
}

/* 0: go on; else errno. A full disk stays full, and takes away nothing. */
static int turn(int adds) {
    count++;
    if (at < 0 || count < at) return 0;
    if (!strcmp(fault, "ENOSPC")) return adds ? ENOSPC : 0;
    if (count > at) return 0;
    if (!strcmp(fault, "EIO")) return EIO;
    _exit(137);
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define FAIL(ours, adds) if (ours) { int error = turn(adds); if (error) { errno = error; return -1; } }

static int dies_half(void) { return !strcmp(fault, "half") && at > 0 && count + 1 == at; }

ssize_t write(int fd, const void *bytes, size_t length) {
    if (is_ours(fd) && dies_half()) { NEXT(write)(fd, bytes, length / 2); _exit(137); }
    FAIL(is_ours(fd), 1)
    return NEXT(write)(fd, bytes, length);
}
ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t offset) {
    if (is_ours(fd) && dies_half()) { NEXT(pwrite64)(fd, bytes, length / 2, offset); _exit(137); }
    FAIL(is_ours(fd), 1)
    return NEXT(pwrite64)(fd, bytes, length, offset);
}
int ftruncate64(int fd, off64_t length) { FAIL(is_ours(fd), 1) return NEXT(ftruncate64)(fd, length); }
int fsync(int fd) { FAIL(is_ours(fd), 0) return NEXT(fsync)(fd); }
int rename(const char *from, const char *to) { FAIL(is_below(from), 1) return NEXT(rename)(from, to); }
int mkdir(const char *path, mode_t mode) { FAIL(is_below(path), 1) return NEXT(mkdir)(path, mode); }
int symlink(const char *to, const char *path) { FAIL(is_below(path), 1) return NEXT(symlink)(to, path); }
int unlink(const char *path) { FAIL(is_below(path), 0) return NEXT(unlink)(path); }
int rmdir(const char *path) { FAIL(is_below(path), 0) return NEXT(rmdir)(path); }
int unlinkat(int fd, const char *path, int flags) { FAIL(is_ours(fd), 0) return NEXT(unlinkat)(fd, path, flags); }
