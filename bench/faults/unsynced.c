/* A power loss on demand: what was written to files under FAULT_ROOT but not synced can be taken back.
 *
 * Preloaded into a process, it keeps for every file an undo log in FAULT_LOG: before a write, the bytes that it
 * will cover and the file's length; after a successful fsync or fdatasync the file's undo log is emptied. When the
 * process has been killed, `unsynced` run as a program (built from this same file with -DUNDO) plays the logs
 * backwards: the files then hold exactly what a disk that lost its cache would hold.
 *
 * Names are kept by inode. Renames and unlinks are taken as durable at once: this is about file contents.
 *
 * Build:  cc -shared -fPIC -O2 -o unsynced.so unsynced.c -ldl      (the shim)
 *         cc -O2 -DUNDO -o undo unsynced.c                          (the rollback)
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>
#include <dirent.h>

/* One undo entry: header, then `n_old` bytes that stood at `offset`. */
struct entry {
    unsigned long long inode, offset, length_before, n_old;
};

#ifdef UNDO

/* undo LOG_DIR ROOT: rolls every file below ROOT back to its last sync. */
static char **paths;
static unsigned long long *inodes;
static size_t n_files;

static void collect(const char *dir) {
    DIR *d = opendir(dir);
    if (!d) return;
    struct dirent *e;
    while ((e = readdir(d))) {
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")) continue;
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        struct stat s;
        if (lstat(path, &s)) continue;
        if (S_ISDIR(s.st_mode)) collect(path);
        if (!S_ISREG(s.st_mode)) continue;
        paths = realloc(paths, (n_files + 1) * sizeof *paths);
        inodes = realloc(inodes, (n_files + 1) * sizeof *inodes);
        paths[n_files] = strdup(path);
        inodes[n_files++] = s.st_ino;
    }
    closedir(d);
}

static int undo_file(const char *log, unsigned long long inode) {
    const char *path = NULL;
    for (size_t i = 0; i < n_files; i++)
        if (inodes[i] == inode) path = paths[i];
    int in = open(log, O_RDONLY);
    if (in < 0) return 0;
    off_t size = lseek(in, 0, SEEK_END), at = 0;
    off_t *starts = NULL;
    size_t n = 0;
    struct entry e;
    while (at + (off_t)sizeof e <= size) {
        if (pread(in, &e, sizeof e, at) != (ssize_t)sizeof e) break;
        if (at + (off_t)sizeof e + (off_t)e.n_old > size) break; /* the write itself had not begun */
        starts = realloc(starts, (n + 1) * sizeof *starts);
        starts[n++] = at;
        at += sizeof e + e.n_old;
    }
    if (path && n) {
        int out = open(path, O_WRONLY);
        for (size_t i = n; out >= 0 && i-- > 0;) {
            if (pread(in, &e, sizeof e, starts[i]) != (ssize_t)sizeof e) break;
            char *old = malloc(e.n_old ? e.n_old : 1);
            if (e.n_old && pread(in, old, e.n_old, starts[i] + sizeof e) == (ssize_t)e.n_old)
                if (pwrite(out, old, e.n_old, e.offset) != (ssize_t)e.n_old) perror(path);
            if (ftruncate(out, e.length_before)) perror(path);
            free(old);
        }
        if (out >= 0) close(out);
    }
    close(in);
    free(starts);
    return path && n;
}

int main(int argc, char **argv) {
    if (argc != 3) return fprintf(stderr, "usage: undo LOG_DIR ROOT\n"), 2;
    collect(argv[2]);
    DIR *d = opendir(argv[1]);
    if (!d) return perror(argv[1]), 1;
    struct dirent *e;
    int n = 0;
    while ((e = readdir(d))) {
        char path[4096];
        char *end;
        unsigned long long inode = strtoull(e->d_name, &end, 10);
        if (*end || e->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "%s/%s", argv[1], e->d_name);
        n += undo_file(path, inode);
        unlink(path);
    }
    closedir(d);
    printf("%d files rolled back\n", n);
    return 0;
}

#else

static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_writev)(int, const struct iovec *, int);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static int (*real_ftruncate)(int, off_t);
static int (*real_fsync)(int), (*real_fdatasync)(int);
static int (*real_unlink)(const char *), (*real_unlinkat)(int, const char *, int);
static char root[4096], logs[4096];
static size_t root_len;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

__attribute__((constructor)) static void start(void) {
    real_write = dlsym(RTLD_NEXT, "write");
    real_writev = dlsym(RTLD_NEXT, "writev");
    real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
    real_ftruncate = dlsym(RTLD_NEXT, "ftruncate64");
    real_fsync = dlsym(RTLD_NEXT, "fsync");
    real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    real_unlink = dlsym(RTLD_NEXT, "unlink");
    real_unlinkat = dlsym(RTLD_NEXT, "unlinkat");
    const char *r = getenv("FAULT_ROOT"), *l = getenv("FAULT_LOG");
    if (r && l && realpath(r, root)) {
        snprintf(logs, sizeof logs, "%s", l);
        root_len = strlen(root);
    }
}

/* The inode of a regular file below FAULT_ROOT, or 0. */
static unsigned long long watched(int fd, struct stat *s) {
    char link[64], path[4096];
    if (!root_len || fstat(fd, s) || !S_ISREG(s->st_mode)) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n <= 0) return 0;
    path[n] = 0;
    return !strncmp(path, root, root_len) && path[root_len] == '/' ? s->st_ino : 0;
}

/* Called with the lock held: remembers what a write of `n` bytes at `offset` will cover. */
static void remember(int fd, unsigned long long inode, const struct stat *s, off_t offset, size_t n) {
    char path[4200], reopen[64];
    struct entry e = {inode, offset, s->st_size, 0};
    if (offset < s->st_size) e.n_old = (off_t)(offset + n) < s->st_size ? n : (size_t)(s->st_size - offset);
    char *record = malloc(sizeof e + e.n_old);
    if (e.n_old) {
        snprintf(reopen, sizeof reopen, "/proc/self/fd/%d", fd);
        int in = open(reopen, O_RDONLY);
        ssize_t got = in < 0 ? -1 : pread(in, record + sizeof e, e.n_old, offset);
        if (in >= 0) close(in);
        if (got != (ssize_t)e.n_old) e.n_old = got > 0 ? (size_t)got : 0;
    }
    memcpy(record, &e, sizeof e);
    snprintf(path, sizeof path, "%s/%llu", logs, inode);
    int out = open(path, O_WRONLY | O_APPEND | O_CREAT, 0600);
    if (out >= 0) {
        if (real_write(out, record, sizeof e + e.n_old) < 0) abort();
        close(out);
    }
    free(record);
}

static void forget(unsigned long long inode) {
    char path[4200];
    snprintf(path, sizeof path, "%s/%llu", logs, inode);
    real_unlink(path);
}

static off_t where(int fd, const struct stat *s) {
    return fcntl(fd, F_GETFL) & O_APPEND ? s->st_size : lseek(fd, 0, SEEK_CUR);
}

ssize_t write(int fd, const void *bytes, size_t n) {
    struct stat s;
    unsigned long long inode = watched(fd, &s);
    if (!inode) return real_write(fd, bytes, n);
    pthread_mutex_lock(&lock);
    fstat(fd, &s);
    remember(fd, inode, &s, where(fd, &s), n);
    ssize_t r = real_write(fd, bytes, n);
    pthread_mutex_unlock(&lock);
    return r;
}

ssize_t writev(int fd, const struct iovec *parts, int n_parts) {
    struct stat s;
    unsigned long long inode = watched(fd, &s);
    if (!inode) return real_writev(fd, parts, n_parts);
    size_t n = 0;
    for (int i = 0; i < n_parts; i++) n += parts[i].iov_len;
    pthread_mutex_lock(&lock);
    fstat(fd, &s);
    remember(fd, inode, &s, where(fd, &s), n);
    ssize_t r = real_writev(fd, parts, n_parts);
    pthread_mutex_unlock(&lock);
    return r;
}

ssize_t pwrite64(int fd, const void *bytes, size_t n, off_t offset) {
    struct stat s;
    unsigned long long inode = watched(fd, &s);
    if (!inode) return real_pwrite(fd, bytes, n, offset);
    pthread_mutex_lock(&lock);
    fstat(fd, &s);
    remember(fd, inode, &s, offset, n);
    ssize_t r = real_pwrite(fd, bytes, n, offset);
    pthread_mutex_unlock(&lock);
    return r;
}

int ftruncate64(int fd, off_t length) {
    struct stat s;
    unsigned long long inode = watched(fd, &s);
    if (!inode) return real_ftruncate(fd, length);
    pthread_mutex_lock(&lock);
    fstat(fd, &s);
    if (length < s.st_size) remember(fd, inode, &s, length, s.st_size - length);
    else remember(fd, inode, &s, s.st_size, 0);
    int r = real_ftruncate(fd, length);
    pthread_mutex_unlock(&lock);
    return r;
}

/* Held across the sync: a write that slips in between would count as synced though it is not. */
static int synced(int fd, int (*sync)(int)) {
    struct stat s;
    unsigned long long inode = watched(fd, &s);
    if (!inode) return sync(fd);
    pthread_mutex_lock(&lock);
    int r = sync(fd);
    if (!r) forget(inode);
    pthread_mutex_unlock(&lock);
    return r;
}

/* A removed file takes its log along: its inode may name another file soon. */
static int removed(int dir, const char *name, int flags) {
    struct stat s = {0};
    int fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    unsigned long long inode = fd < 0 ? 0 : watched(fd, &s);
    if (fd >= 0) close(fd);
    pthread_mutex_lock(&lock);
    int r = dir == AT_FDCWD && !flags ? real_unlink(name) : real_unlinkat(dir, name, flags);
    if (!r && inode && s.st_nlink == 1) forget(inode);
    pthread_mutex_unlock(&lock);
    return r;
}

int unlink(const char *name) { return removed(AT_FDCWD, name, 0); }
int unlinkat(int dir, const char *name, int flags) { return removed(dir, name, flags); }

int fsync(int fd) { return synced(fd, real_fsync); }
int fdatasync(int fd) { return synced(fd, real_fdatasync); }

#endif
