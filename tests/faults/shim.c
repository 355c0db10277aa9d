/* Makes one system call of this process go wrong: which, and how, the test says in shared memory.
 *
 * Loaded with LD_PRELOAD. Calls on files below `root` are numbered from 1 in a process that called
 * faults_arm; the first one from number `target` on that the fault can befall gets it. What was met
 * is written down where the process that forked this one can read it, whatever became of this one.
 * Everything else goes to the system as it came. Linux on 64 bits: off_t is 64 bits wide, and the
 * names with and without 64 are one function.
 *
 * A power cut kills the process, and first takes back what it did and did not sync: bytes until
 * their file is synced, names until their folder is.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { PATH = 192, CALLS = 8192 };

enum kind { CREATE = 1, OPEN, WRITE, SYNC, RENAME, UNLINK, TRUNCATE, READ };

enum fault {
    NONE, KILL_BEFORE, KILL_AFTER, KILL_TORN, IO_ERROR, IO_TORN, SHORT, NO_SPACE, FULL, READ_ONLY, FLIP,
    POWER, POWER_SOME
};

struct call { int kind; char path[PATH]; };

struct plan {
    char root[PATH];
    int fault;
    int target;
    unsigned seed;
    atomic_int count;
    atomic_int met;                  /* number of the call that the fault befell, 0 if none did */
    struct call calls[CALLS];        /* number n at n - 1 */
};

static struct plan *plan;
static int armed;

__attribute__((constructor)) static void begin(void)
{
    plan = mmap(NULL, sizeof *plan, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (plan == MAP_FAILED) abort();
}

struct plan *faults_plan(void) { return plan; }
void faults_arm(int on) { armed = on; }

/* What is not synced yet, the newest first: bytes of a file, or a name in a folder. */
struct undo {
    enum { BYTES, NAME_MADE, NAME_GONE } what;
    dev_t device;                    /* of the file, or of the folder that has the name */
    ino_t inode;
    int file;                        /* kept open: it may have another name by then, or none */
    off_t at, old_size;
    size_t size;
    char *bytes, *path, *kept;       /* kept: a second name of what was there under path */
    struct undo *next;
};

static struct undo *undos;
static pthread_mutex_t undoing = PTHREAD_MUTEX_INITIALIZER;

static int remembers(void) { return plan->fault == POWER || plan->fault == POWER_SOME; }

static void push(struct undo *one)
{
    pthread_mutex_lock(&undoing);
    one->next = undos;
    undos = one;
    pthread_mutex_unlock(&undoing);
}

/* Before bytes of `file` from `at` on are written, or cut off. */
static void remember_bytes(int file, size_t size, off_t at)
{
    char link[64], path[4096];
    struct stat st;
    if (!armed || !remembers() || fstat(file, &st) || !S_ISREG(st.st_mode)) return;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    size_t length = strlen(plan->root);
    ssize_t got_path = readlink(link, path, sizeof path);
    if (got_path < (ssize_t)length || memcmp(path, plan->root, length) != 0) return;
    struct undo *one = calloc(1, sizeof *one);
    *one = (struct undo){ .what = BYTES, .device = st.st_dev, .inode = st.st_ino, .at = at,
                          .old_size = st.st_size, .bytes = malloc(size + 1) };
    one->file = (int)syscall(SYS_openat, AT_FDCWD, link, O_RDWR | O_CLOEXEC, 0);
    long got = syscall(SYS_pread64, one->file, one->bytes, size, at);
    one->size = got > 0 ? (size_t)got : 0;
    push(one);
}

/* Before a name is made, or what it names replaced or removed. */
static void remember_name(int folder, const char *path)
{
    static atomic_int number;
    char whole[4096] = "", above[4096], kept[4096];
    struct stat st;
    if (!armed || !remembers()) return;
    if (path[0] != '/' && folder == AT_FDCWD && getcwd(whole, sizeof whole / 2)) strcat(whole, "/");
    strncat(whole, path, sizeof whole / 2 - 1);
    strcpy(above, whole);
    if (strncmp(whole, plan->root, strlen(plan->root)) != 0 || stat(dirname(above), &st)) return;
    struct undo *one = calloc(1, sizeof *one);
    *one = (struct undo){ .what = NAME_MADE, .device = st.st_dev, .inode = st.st_ino,
                          .path = strdup(whole) };
    snprintf(kept, sizeof kept, "%.*s.lost-%d", (int)strlen(plan->root) - 1, plan->root, ++number);
    if (syscall(SYS_linkat, AT_FDCWD, whole, AT_FDCWD, kept, 0) == 0) {
        one->what = NAME_GONE;
        one->kept = strdup(kept);
    }
    push(one);
}

static void forget(int file)
{
    struct stat st;
    if (!armed || !remembers() || fstat(file, &st)) return;
    int names = S_ISDIR(st.st_mode);
    pthread_mutex_lock(&undoing);
    for (struct undo **place = &undos; *place;) {
        struct undo *one = *place;
        if (one->inode == st.st_ino && one->device == st.st_dev && (one->what != BYTES) == names)
            *place = one->next;
        else
            place = &one->next;
    }
    pthread_mutex_unlock(&undoing);
}

static void cut_power(void)
{
    unsigned dice = plan->seed;
    for (struct undo *one = undos; one; one = one->next) {
        dice = dice * 1103515245u + 12345u;
        if (plan->fault == POWER_SOME && dice >> 16 & 1) continue;
        if (one->what == BYTES) {
            syscall(SYS_pwrite64, one->file, one->bytes, one->size, one->at);
            if (one->at + (off_t)one->size >= one->old_size)
                syscall(SYS_ftruncate, one->file, one->old_size);
        } else if (one->what == NAME_GONE) {
            syscall(SYS_renameat2, AT_FDCWD, one->kept, AT_FDCWD, one->path, 0);
        } else {
            syscall(SYS_unlinkat, AT_FDCWD, one->path, 0);
            syscall(SYS_unlinkat, AT_FDCWD, one->path, AT_REMOVEDIR);
        }
    }
}

static void die(void)
{
    syscall(SYS_kill, getpid(), SIGKILL);
}

static int befalls(enum fault fault, enum kind kind)
{
    switch (fault) {
    case KILL_BEFORE: case KILL_AFTER: case POWER: case POWER_SOME: return kind != READ && kind != OPEN;
    case KILL_TORN: case IO_TORN: case SHORT: return kind == WRITE;
    case IO_ERROR: return 1;
    case NO_SPACE: case FULL: return kind == CREATE || kind == WRITE || kind == SYNC || kind == RENAME;
    case READ_ONLY: return kind != READ && kind != SYNC;
    case FLIP: return kind == READ;
    default: return 0;
    }
}

static enum fault meet(enum kind kind, const char *path)
{
    size_t length = strlen(plan->root);
    if (!armed || !length || strncmp(path, plan->root, length) != 0) return NONE;
    int number = atomic_fetch_add(&plan->count, 1) + 1;
    if (number <= CALLS) {
        plan->calls[number - 1].kind = kind;
        snprintf(plan->calls[number - 1].path, PATH, "%s", path + length);
    }
    enum fault fault = plan->fault;
    if (number < plan->target || !befalls(fault, kind)) return NONE;
    int none = 0, first = atomic_compare_exchange_strong(&plan->met, &none, number);
    if (!first && fault != FULL && fault != READ_ONLY) return NONE;
    if (fault == POWER || fault == POWER_SOME) cut_power(), die();
    if (fault == KILL_BEFORE) die();
    return fault;
}

static enum fault meet_at(enum kind kind, int folder, const char *path)
{
    char whole[4096], link[64];
    if (!armed) return NONE;
    if (path[0] == '/') return meet(kind, path);
    if (folder == AT_FDCWD) {
        if (!getcwd(whole, sizeof whole / 2)) return NONE;
    } else {
        snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
        ssize_t got = readlink(link, whole, sizeof whole / 2);
        if (got <= 0) return NONE;
        whole[got] = 0;
    }
    size_t length = strlen(whole);
    snprintf(whole + length, sizeof whole - length, "/%s", path);
    return meet(kind, whole);
}

static enum fault meet_open(enum kind kind, int file)
{
    char link[64], path[4096];
    if (!armed) return NONE;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t got = readlink(link, path, sizeof path - 1);
    if (got <= 0) return NONE;
    path[got] = 0;
    return meet(kind, path);
}

/* The error of a call that is not made, or 0: then it is made. */
static int refusal(enum fault fault)
{
    switch (fault) {
    case IO_ERROR: return EIO;
    case NO_SPACE: case FULL: return ENOSPC;
    case READ_ONLY: return EROFS;
    default: return 0;
    }
}

static long made(enum fault fault, long result)
{
    if (fault == KILL_AFTER) die();
    return result;
}

#define REFUSE(fault) do { if (refusal(fault)) { errno = refusal(fault); return -1; } } while (0)

static ssize_t put(enum fault fault, int file, const void *bytes, size_t size, off_t at)
{
    REFUSE(fault);
    int torn = fault == KILL_TORN || fault == IO_TORN || fault == SHORT;
    if (torn) size = (size + 1) / 2;
    remember_bytes(file, size, at < 0 ? lseek(file, 0, SEEK_CUR) : at);
    long done = at < 0 ? syscall(SYS_write, file, bytes, size)
                       : syscall(SYS_pwrite64, file, bytes, size, at);
    if (fault == KILL_TORN) die();
    if (fault == IO_TORN) { errno = EIO; return -1; }
    return made(fault, done);
}

ssize_t write(int file, const void *bytes, size_t size)
{
    return put(meet_open(WRITE, file), file, bytes, size, -1);
}

ssize_t pwrite(int file, const void *bytes, size_t size, off_t at)
{
    return put(meet_open(WRITE, file), file, bytes, size, at);
}
ssize_t pwrite64(int, const void *, size_t, off_t) __attribute__((alias("pwrite")));

static ssize_t got(enum fault fault, void *bytes, long size)
{
    if (fault == FLIP && size > 0) {
        unsigned bit = plan->seed % (8u * (unsigned)size);
        ((unsigned char *)bytes)[bit / 8] ^= 1u << bit % 8;
    }
    return size;
}

ssize_t read(int file, void *bytes, size_t size)
{
    enum fault fault = meet_open(READ, file);
    REFUSE(fault);
    return got(fault, bytes, syscall(SYS_read, file, bytes, size));
}

ssize_t pread(int file, void *bytes, size_t size, off_t at)
{
    enum fault fault = meet_open(READ, file);
    REFUSE(fault);
    return got(fault, bytes, syscall(SYS_pread64, file, bytes, size, at));
}
ssize_t pread64(int, void *, size_t, off_t) __attribute__((alias("pread")));

static int settle(int file, long number)
{
    enum fault fault = meet_open(SYNC, file);
    REFUSE(fault);
    long done = syscall(number, file);
    if (done == 0) forget(file);
    return (int)made(fault, done);
}

int fsync(int file) { return settle(file, SYS_fsync); }
int fdatasync(int file) { return settle(file, SYS_fdatasync); }

int ftruncate(int file, off_t size)
{
    enum fault fault = meet_open(TRUNCATE, file);
    REFUSE(fault);
    struct stat st;
    if (fstat(file, &st) == 0 && st.st_size > size)
        remember_bytes(file, (size_t)(st.st_size - size), size);
    else
        remember_bytes(file, 0, size);
    return (int)made(fault, syscall(SYS_ftruncate, file, size));
}
int ftruncate64(int, off_t) __attribute__((alias("ftruncate")));

int renameat(int from_folder, const char *from, int to_folder, const char *to)
{
    enum fault fault = meet_at(RENAME, to_folder, to);
    REFUSE(fault);
    remember_name(to_folder, to);
    remember_name(from_folder, from);
    return (int)made(fault, syscall(SYS_renameat2, from_folder, from, to_folder, to, 0));
}

int rename(const char *from, const char *to) { return renameat(AT_FDCWD, from, AT_FDCWD, to); }

int linkat(int from_folder, const char *from, int to_folder, const char *to, int flags)
{
    enum fault fault = meet_at(RENAME, to_folder, to);
    REFUSE(fault);
    remember_name(to_folder, to);
    return (int)made(fault, syscall(SYS_linkat, from_folder, from, to_folder, to, flags));
}

int link(const char *from, const char *to) { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }

int unlinkat(int folder, const char *path, int flags)
{
    enum fault fault = meet_at(UNLINK, folder, path);
    REFUSE(fault);
    remember_name(folder, path);
    return (int)made(fault, syscall(SYS_unlinkat, folder, path, flags));
}

int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }

int mkdirat(int folder, const char *path, mode_t mode)
{
    enum fault fault = meet_at(CREATE, folder, path);
    REFUSE(fault);
    remember_name(folder, path);
    return (int)made(fault, syscall(SYS_mkdirat, folder, path, mode));
}

int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }

int openat(int folder, const char *path, int flags, ...)
{
    mode_t mode = 0;
    if (flags & (O_CREAT | __O_TMPFILE)) {
        va_list rest;
        va_start(rest, flags);
        mode = va_arg(rest, mode_t);
        va_end(rest);
    }
    enum fault fault = NONE;
    if (armed && (flags & O_ACCMODE) != O_RDONLY) {
        int there = syscall(SYS_faccessat, folder, path, F_OK) == 0;
        if (!there && flags & O_CREAT) {
            fault = meet_at(CREATE, folder, path);
            if (!refusal(fault)) remember_name(folder, path);
        } else if (there && !(flags & O_EXCL)) fault = meet_at(OPEN, folder, path);
    }
    REFUSE(fault);
    return (int)made(fault, syscall(SYS_openat, folder, path, flags, mode));
}
int openat64(int, const char *, int, ...) __attribute__((alias("openat")));

int open(const char *path, int flags, ...)
{
    mode_t mode = 0;
    if (flags & (O_CREAT | __O_TMPFILE)) {
        va_list rest;
        va_start(rest, flags);
        mode = va_arg(rest, mode_t);
        va_end(rest);
    }
    return openat(AT_FDCWD, path, flags, mode);
}
int open64(const char *, int, ...) __attribute__((alias("open")));
