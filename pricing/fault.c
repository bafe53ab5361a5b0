/* fault.c - what is wrong with an input, and where; and the one way in which files are read.
 *
 * Pointers and reasons may carry pieces of a stranger's text. They are cut at whole characters, and control
 * characters become question marks, so that a fault is always one harmless line of a log. */
#include "pricing/json_text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define POINTER_BYTES 1024

/* Copy what fits, cut between UTF-8 characters, without control characters. */
static void copy_line(char *to, size_t size, const char *from)
{
    size_t length = strlen(from);
    if (length >= size) {
        length = size - 1;
        while (length > 0 && ((unsigned char)from[length] & 0xC0) == 0x80)
            length--;
    }
    for (size_t i = 0; i < length; i++)
        to[i] = (unsigned char)from[i] < 0x20 || from[i] == 0x7F ? '?' : from[i];
    to[length] = '\0';
}

void fault_path(char ret[FAULT_FILE_MAX], const char *path)
{
    size_t bytes = strlen(path), lead = bytes < FAULT_FILE_MAX ? 0 : strlen("...");
    const char *from = lead == 0 ? path : path + bytes - (FAULT_FILE_MAX - 1 - lead);
    while (((unsigned char)*from & 0xC0) == 0x80)
        from++;
    memcpy(ret, "...", lead);
    copy_line(ret + lead, FAULT_FILE_MAX - lead, from);
}

/* The place of the value, or of the nearest one around it: a pointer with an endless key in it may have been cut. */
static void find_place(struct fault *fault, const char *text, size_t bytes, const char *pointer)
{
    char around[POINTER_BYTES];
    (void)snprintf(around, sizeof around, "%s", pointer);
    while (!json_place(text, bytes, around, &fault->line, &fault->column)) {
        char *slash = strrchr(around, '/');
        if (slash == NULL)
            return;
        *slash = '\0';
    }
}

enum rialto_status fault_set(struct fault *fault, const char *text, size_t bytes, const char *pointer,
                             const char *reason, ...)
{
    if (fault == NULL)
        return RIALTO_REFUSED;
    char line[FAULT_REASON_MAX * 2];
    va_list arguments;
    va_start(arguments, reason);
    if (vsnprintf(line, sizeof line, reason, arguments) < 0)
        line[0] = '\0';
    va_end(arguments);
    copy_line(fault->reason, sizeof fault->reason, line);
    copy_line(fault->pointer, sizeof fault->pointer, pointer);
    fault->line = 0;
    fault->column = 0;
    if (text != NULL)
        find_place(fault, text, bytes, pointer);
    return RIALTO_REFUSED;
}

enum rialto_status fault_add(struct fault_list *list, const struct fault *fault)
{
    if (list->is_known != NULL && list->is_known(list->context, fault))
        return RIALTO_REFUSED;
    if (list->count < FAULTS_MAX)
        list->fault[list->count++] = *fault;
    else
        list->dropped++;
    return RIALTO_REFUSED;
}

size_t fault_text(const struct fault *fault, size_t n, char *ret)
{
    char place[48] = "";
    if (fault->line > 0)
        (void)snprintf(place, sizeof place, "%u:%u:", (unsigned)fault->line, (unsigned)fault->column);
    const char *after_file = fault->file[0] == '\0' ? "" : ":";
    const char *before_pointer = fault->file[0] == '\0' && place[0] == '\0' ? "" : " ";
    int length;
    if (fault->pointer[0] != '\0')
        length = snprintf(ret, n, "%s%s%s%s%s: %s", fault->file, after_file, place, before_pointer, fault->pointer,
                          fault->reason);
    else
        length = snprintf(ret, n, "%s%s%s%s%s", fault->file, after_file, place, before_pointer, fault->reason);
    return length > 0 ? (size_t)length : 0;
}

static enum rialto_status file_fault(struct fault *fault, enum rialto_status status, const char *reason)
{
    fault_set(fault, NULL, 0, "", "%s", reason);
    return status;
}

/* Up to `bytes` bytes; the file may have become shorter meanwhile. -1 with errno on a failure. */
static ssize_t read_fully(int fd, char *to, size_t bytes)
{
    size_t done = 0;
    while (done < bytes) {
        ssize_t got = read(fd, to + done, bytes - done);
        if (got == -1 && errno == EINTR)
            continue;
        if (got == -1)
            return -1;
        if (got == 0)
            break;
        done += (size_t)got;
    }
    return (ssize_t)done;
}

static enum rialto_status read_open_file(int fd, char **ret_text, size_t *ret_bytes, struct fault *fault)
{
    struct stat info;
    if (fstat(fd, &info) == -1)
        return file_fault(fault, RIALTO_SYSTEM, strerror(errno));
    if (!S_ISREG(info.st_mode))
        return file_fault(fault, RIALTO_REFUSED, "not a regular file");
    char *text = malloc(JSON_FILE_BYTES_MAX + 2);
    if (text == NULL)
        return file_fault(fault, RIALTO_NO_MEMORY, "out of memory");
    ssize_t bytes = read_fully(fd, text, JSON_FILE_BYTES_MAX + 1); /* one more than allowed: then it is too long */
    if (bytes == -1 || bytes > (ssize_t)JSON_FILE_BYTES_MAX) {
        enum rialto_status status = bytes == -1 ? RIALTO_SYSTEM : RIALTO_REFUSED;
        (void)file_fault(fault, status, bytes == -1 ? strerror(errno) : "larger than 1 MiB");
        free(text);
        return status;
    }
    text[bytes] = '\0';
    char *shrunk = realloc(text, (size_t)bytes + 1);
    *ret_text = shrunk != NULL ? shrunk : text;
    *ret_bytes = (size_t)bytes;
    return RIALTO_OK;
}

enum rialto_status file_read(const char *path, char **ret_text, size_t *ret_bytes, struct fault *fault)
{
    if (fault != NULL)
        fault_path(fault->file, path);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe in the folder must not hold up the service */
    if (fd == -1)
        return file_fault(fault, errno == EACCES ? RIALTO_NO_PERMISSION : RIALTO_SYSTEM, strerror(errno));
    enum rialto_status status = read_open_file(fd, ret_text, ret_bytes, fault);
    (void)close(fd);
    return status;
}
