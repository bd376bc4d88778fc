/* Loaded in front of the C library: reads of one byte of one file fail as those of a broken sector do.
 * EIO_FILE is the end of the file's path, EIO_AT the byte. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static int is_broken(int fd, off64_t from, size_t length)
{
    const char *file = getenv("EIO_FILE"), *at = getenv("EIO_AT");
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (!file || !at || n < (ssize_t)strlen(file))
        return 0;
    path[n] = 0;
    off64_t byte = atoll(at);
    return strcmp(path + n - strlen(file), file) == 0 && from <= byte && byte < from + (off64_t)length;
}

ssize_t pread64(int fd, void *buffer, size_t length, off64_t from)
{
    static ssize_t (*real)(int, void *, size_t, off64_t);
    if (!real)
        real = (ssize_t(*)(int, void *, size_t, off64_t))dlsym(RTLD_NEXT, "pread64");
    if (is_broken(fd, from, length)) {
        errno = EIO;
        return -1;
    }
    return real(fd, buffer, length, from);
}

ssize_t read(int fd, void *buffer, size_t length)
{
    static ssize_t (*real)(int, void *, size_t);
    if (!real)
        real = (ssize_t(*)(int, void *, size_t))dlsym(RTLD_NEXT, "read");
    off64_t from = lseek64(fd, 0, SEEK_CUR);
    if (from >= 0 && is_broken(fd, from, length)) {
        errno = EIO;
        return -1;
    }
    return real(fd, buffer, length);
}
