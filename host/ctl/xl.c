/* SPDX-License-Identifier: MIT */
/* The toolstack: what gpuvchanctl asks and tells xl, which PATH finds. */
#include "xl.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "process.h"

#define XL_SECONDS 60

int
xl_run(char says[XL_SAYS], const char *word1, const char *word2, const char *word3, const char *word4)
{
    const char *arguments[] = {"xl", word1, word2, word3, word4, NULL};
    char output[8192];
    int status = process_run(arguments, output, sizeof(output), XL_SECONDS);

    if (status < 0)
        snprintf(says, XL_SAYS, "%s", strerror(-status));
    else
        snprintf(says, XL_SAYS, "%s", last_line(output));
    if (status > 0 && !says[0])
        snprintf(says, XL_SAYS, "status %d", status);
    return status;
}

/* Runs it once for all questions: 1 asked, -1 not to be asked. */
static const char *
info(void)
{
    static const char *const arguments[] = {"xl", "info", NULL};
    static char output[16384];
    static int asked;

    if (asked == 0)
        asked = process_run(arguments, output, sizeof(output), 20) == 0 ? 1 : -1;
    return asked > 0 ? output : NULL;
}

bool
xl_info(const char *key, char *value, size_t bytes)
{
    const char *line = info();
    size_t length = strlen(key);

    value[0] = '\0';
    if (!line)
        return false;
    for (; line[0]; line += strcspn(line, "\n"), line += line[0] == '\n') {
        const char *colon;

        if (strncmp(line, key, length) != 0 || !strchr(" :", line[length]) || !(colon = strchr(line, ':')))
            continue;
        colon += 1 + strspn(colon + 1, " ");
        snprintf(value, bytes, "%.*s", (int)strcspn(colon, "\n"), colon);
        break;
    }
    return true;
}

bool
xl_present(void)
{
    static const char *const arguments[] = {"xl", "help", NULL};
    static int known;
    char output[64];

    if (known == 0)
        known = process_run(arguments, output, sizeof(output), 20) >= 0 ? 1 : -1;
    return known > 0;
}
