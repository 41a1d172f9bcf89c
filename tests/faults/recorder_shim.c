/* Records, in their order, all changes that a process makes to the files of one folder: for a power cut by replay.

   LD_PRELOAD=this RECORDED_FOLDER=/its/folder RECORDED_LOG=/elsewhere/log program ...

   Each entry of the log: kind (char), file (uint32), offset (int64), length (uint32), then the bytes. `file` is a
   number of its own for each open(); what a shared mapping changed is found by comparing it before every sync and
   every write, and told as pages. One lock is held over a call and its entry, so that the log's order is the disk's.

   kinds: O open (offset: its flags; bytes: the name in the folder, empty for the folder itself), W write, T truncate
   (offset: the new size), A allocate (offset: the size that the file has at least), S sync, P page of a mapping,
   R rename (bytes: two names, each with a zero), U unlink. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { FILES_MAX = 4096, MAPPINGS_MAX = 64, PAGE = 4096 };

static struct { char *now, *before; size_t size; int64_t at; uint32_t file; } mapping[MAPPINGS_MAX];
static uint32_t file_of[FILES_MAX], files;
static int mappings, log_fd = -1;
static const char *folder;
static size_t folder_length;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

#define REAL(name) ((__typeof__(&name))real(#name))

static void *real(const char *name) {
    void *found = dlsym(RTLD_NEXT, name);
    if (!found) abort();
    return found;
}

__attribute__((constructor)) static void begin(void) {
    const char *log = getenv("RECORDED_LOG");
    folder = getenv("RECORDED_FOLDER");
    if (!folder || !log) return;
    folder_length = strlen(folder);
    log_fd = syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log_fd < 0) abort();
}

static void tell(char kind, uint32_t file, int64_t offset, const void *bytes, uint32_t length) {
    char head[17];
    head[0] = kind;
    memcpy(head + 1, &file, 4);
    memcpy(head + 5, &offset, 8);
    memcpy(head + 13, &length, 4);
    struct iovec parts[2] = {{head, sizeof head}, {(void *)bytes, length}};
    if (syscall(SYS_writev, log_fd, parts, 2) != (long)(sizeof head + length)) abort();
}

/* The name inside the folder, or NULL for what lies elsewhere. */
static const char *inside(const char *path) {
    if (log_fd < 0 || !path || strncmp(path, folder, folder_length)) return NULL;
    if (!path[folder_length]) return "";
    return path[folder_length] == '/' ? path + folder_length + 1 : NULL;
}

static uint32_t known(int fd) { return log_fd >= 0 && fd >= 0 && fd < FILES_MAX ? file_of[fd] : 0; }

static void tell_pages(void) {
    for (int i = 0; i < mappings; i++)
        for (size_t at = 0; at < mapping[i].size; at += PAGE)
            if (memcmp(mapping[i].now + at, mapping[i].before + at, PAGE)) {
                memcpy(mapping[i].before + at, mapping[i].now + at, PAGE);
                tell('P', mapping[i].file, mapping[i].at + at, mapping[i].before + at, PAGE);
            }
}

static int opened(int fd, const char *path, int flags) {
    const char *name = fd < 0 ? NULL : inside(path);
    if (name && fd < FILES_MAX) {
        file_of[fd] = ++files;
        tell('O', file_of[fd], flags, name, strlen(name));
    }
    return fd;
}

#define OPENING(function, ...)                                                                        \
    mode_t mode = 0;                                                                                  \
    if (flags & (O_CREAT | O_TMPFILE)) {                                                              \
        va_list more;                                                                                 \
        va_start(more, flags);                                                                        \
        mode = va_arg(more, mode_t);                                                                  \
        va_end(more);                                                                                 \
    }                                                                                                 \
    pthread_mutex_lock(&lock);                                                                        \
    int fd = opened(REAL(function)(__VA_ARGS__, flags, mode), path, flags);                           \
    pthread_mutex_unlock(&lock);                                                                      \
    return fd;

int open(const char *path, int flags, ...) { OPENING(open, path) }
int open64(const char *path, int flags, ...) { OPENING(open64, path) }
int openat(int at, const char *path, int flags, ...) { OPENING(openat, at, path) }
int openat64(int at, const char *path, int flags, ...) { OPENING(openat64, at, path) }

int close(int fd) {
    if (log_fd >= 0 && fd == log_fd) return 0;
    pthread_mutex_lock(&lock);
    if (known(fd)) file_of[fd] = 0;
    int done = REAL(close)(fd);
    pthread_mutex_unlock(&lock);
    return done;
}

#define CHANGING(type, call, told)                                                                    \
    if (!known(fd)) return call;                                                                      \
    pthread_mutex_lock(&lock);                                                                        \
    tell_pages();                                                                                     \
    type done = call;                                                                                 \
    int error = errno;                                                                                \
    told;                                                                                             \
    pthread_mutex_unlock(&lock);                                                                      \
    errno = error;                                                                                    \
    return done;

#define WRITTEN if (done > 0) tell('W', known(fd), offset, bytes, done)

ssize_t write(int fd, const void *bytes, size_t size) {
    CHANGING(ssize_t, REAL(write)(fd, bytes, size),
             int64_t offset = lseek(fd, 0, SEEK_CUR) - done; WRITTEN)
}
ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset) {
    CHANGING(ssize_t, REAL(pwrite)(fd, bytes, size, offset), WRITTEN)
}
ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t offset) {
    CHANGING(ssize_t, REAL(pwrite64)(fd, bytes, size, offset), WRITTEN)
}

#define RESIZED if (done == 0) tell('T', known(fd), size, NULL, 0)
int ftruncate(int fd, off_t size) { CHANGING(int, REAL(ftruncate)(fd, size), RESIZED) }
int ftruncate64(int fd, off64_t size) { CHANGING(int, REAL(ftruncate64)(fd, size), RESIZED) }

#define ALLOCATED if (done == 0) tell('A', known(fd), at + size, NULL, 0)
int posix_fallocate(int fd, off_t at, off_t size) { CHANGING(int, REAL(posix_fallocate)(fd, at, size), ALLOCATED) }
int posix_fallocate64(int fd, off64_t at, off64_t size) {
    CHANGING(int, REAL(posix_fallocate64)(fd, at, size), ALLOCATED)
}
int fallocate(int fd, int mode, off_t at, off_t size) {
    CHANGING(int, REAL(fallocate)(fd, mode, at, size), if (mode) abort(); ALLOCATED)
}
int fallocate64(int fd, int mode, off64_t at, off64_t size) {
    CHANGING(int, REAL(fallocate64)(fd, mode, at, size), if (mode) abort(); ALLOCATED)
}

#define SYNCED if (done == 0) tell('S', known(fd), 0, NULL, 0)
int fsync(int fd) { CHANGING(int, REAL(fsync)(fd), SYNCED) }
int fdatasync(int fd) { CHANGING(int, REAL(fdatasync)(fd), SYNCED) }

static void *mapped(void *start, size_t size, int protection, int flags, int fd, int64_t at) {
    if (start == MAP_FAILED || !known(fd) || !(flags & MAP_SHARED) || !(protection & PROT_WRITE)) return start;
    pthread_mutex_lock(&lock);
    size_t whole = (size + PAGE - 1) / PAGE * PAGE;
    char *before = mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mappings == MAPPINGS_MAX || before == MAP_FAILED) abort();
    memcpy(before, start, whole);
    mapping[mappings].now = start;
    mapping[mappings].before = before;
    mapping[mappings].size = whole;
    mapping[mappings].at = at;
    mapping[mappings++].file = known(fd);
    pthread_mutex_unlock(&lock);
    return start;
}
void *mmap(void *start, size_t size, int protection, int flags, int fd, off_t at) {
    return mapped(REAL(mmap)(start, size, protection, flags, fd, at), size, protection, flags, fd, at);
}
void *mmap64(void *start, size_t size, int protection, int flags, int fd, off64_t at) {
    return mapped(REAL(mmap64)(start, size, protection, flags, fd, at), size, protection, flags, fd, at);
}
int munmap(void *start, size_t size) {
    pthread_mutex_lock(&lock);
    for (int i = 0; i < mappings; i++)
        if (mapping[i].now == start) {
            tell_pages();
            REAL(munmap)(mapping[i].before, mapping[i].size);
            mapping[i] = mapping[--mappings];
        }
    pthread_mutex_unlock(&lock);
    return REAL(munmap)(start, size);
}

#define NAMING(call, told)                                                                            \
    pthread_mutex_lock(&lock);                                                                        \
    int done = call;                                                                                  \
    int error = errno;                                                                                \
    if (done == 0) told;                                                                              \
    pthread_mutex_unlock(&lock);                                                                      \
    errno = error;                                                                                    \
    return done;

static void renamed(const char *from, const char *to) {
    char both[2 * 4096];
    const char *a = inside(from), *b = inside(to);
    if (!a != !b) abort(); /* Into or out of the folder: no store does that. */
    if (!a || strlen(a) + strlen(b) + 2 > sizeof both) return;
    size_t first = strlen(a) + 1;
    memcpy(both, a, first);
    memcpy(both + first, b, strlen(b) + 1);
    tell('R', 0, 0, both, first + strlen(b) + 1);
}
static void unlinked(const char *path) {
    const char *name = inside(path);
    if (name) tell('U', 0, 0, name, strlen(name));
}
int rename(const char *from, const char *to) { NAMING(REAL(rename)(from, to), renamed(from, to)) }
int renameat(int a, const char *from, int b, const char *to) {
    NAMING(REAL(renameat)(a, from, b, to), renamed(from, to))
}
int unlink(const char *path) { NAMING(REAL(unlink)(path), unlinked(path)) }
int unlinkat(int at, const char *path, int flags) { NAMING(REAL(unlinkat)(at, path, flags), unlinked(path)) }
