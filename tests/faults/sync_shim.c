/* A disk that takes nothing: fsync and fdatasync wait while the file SYNC_HANGS is there, and fail while SYNC_FAILS is.

   LD_PRELOAD=this SYNC_HANGS=/some/file SYNC_FAILS=/another program ... */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static int there(const char *name) {
    const char *path = getenv(name);
    return path && !access(path, F_OK);
}

static int after(const char *name, int fd) {
    while (there("SYNC_HANGS")) usleep(20000);
    if (there("SYNC_FAILS")) {
        errno = EIO;
        return -1;
    }
    return ((int (*)(int))dlsym(RTLD_NEXT, name))(fd);
}

int fsync(int fd) { return after("fsync", fd); }
int fdatasync(int fd) { return after("fdatasync", fd); }
