/* pem.c - see pem.h. */
#include "service/pem.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

void pem_free(char *text)
{
    if (text != NULL)
        sodium_memzero(text, strlen(text));
    free(text);
}

enum rialto_status pem_read(const char *path, bool secret, char **ret, struct fault *fault)
{
    struct stat info;
    size_t bytes;
    enum rialto_status status = file_read(path, ret, &bytes, fault);
    if (status != RIALTO_OK)
        return status;
    if (!secret || (stat(path, &info) == 0 && (info.st_mode & (S_IWGRP | S_IRWXO)) == 0))
        return RIALTO_OK;
    pem_free(*ret);
    *ret = NULL;
    status = fault_set(fault, NULL, 0, "", "others may read it, or its group write it: chmod o-rwx,g-w");
    (void)snprintf(fault->file, sizeof fault->file, "%.120s", path);
    return status;
}
