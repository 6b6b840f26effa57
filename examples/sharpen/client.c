/* SPDX-License-Identifier: MIT */
/*
 * The guest's side of sharpen: decodes a PNG right into the arena, has it filtered there, encodes the
 * result from there. No pixel is ever in a record.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <png.h>

#include <gpuvchan/gpuvchan.h>

#include "sharpen-guest.h"

static const char usage[] = "Usage: sharpen-client [--filter=NAME] [--amount=NUMBER] IN.png OUT.png\n"
                            "       sharpen-client --list\n";

struct job {
    const char *filter, *in, *out;
    float amount;
    png_image picture;
    struct gpuvchan_buffer *before, *after;
};

static int
fail(const char *what, const char *why)
{
    fprintf(stderr, "sharpen-client: %s: %s\n", what, why);
    return 1;
}

/* What the host or the way to it failed with. */
static int
fail_host(const struct gpuvchan_client *client, const char *what, int error)
{
    bool answered = client->channel && gpuvchan_channel_error(client->channel) == 0;

    if (answered && error == -ENOENT)
        return fail(what, "the host has no such filter; --list names them");
    if (answered && error == -EINVAL)
        return fail(what, "the host refuses the size or the amount; at most 65535 pixels a side, 0 to 20");
    return fail(what, gpuvchan_error_text());
}

/* Two buffers of the picture's size, one of them with the picture in it. */
static int
read_picture(struct job *job, const struct gpuvchan_client *client)
{
    png_image *picture = &job->picture;

    picture->version = PNG_IMAGE_VERSION;
    if (!png_image_begin_read_from_file(picture, job->in))
        return fail(job->in, picture->message);
    picture->format &= PNG_FORMAT_FLAG_COLOR | PNG_FORMAT_FLAG_ALPHA; /* 8 bits, no palette */
    if (gpuvchan_buffer_create(client->channel, PNG_IMAGE_SIZE(*picture), &job->before) != 0 ||
        gpuvchan_buffer_create(client->channel, PNG_IMAGE_SIZE(*picture), &job->after) != 0) {
        fprintf(stderr, "sharpen-client: twice %u bytes do not fit into the arena; GPUVCHAN_ARENA sets its size\n",
                (unsigned)PNG_IMAGE_SIZE(*picture));
        png_image_free(picture);
        return 1;
    }
    if (!png_image_finish_read(picture, NULL, gpuvchan_buffer_data(job->before), 0, NULL))
        return fail(job->in, picture->message);
    return 0;
}

static int
filter_picture(const struct job *job, const struct gpuvchan_client *client)
{
    const png_image *picture = &job->picture;
    size_t bytes = PNG_IMAGE_SIZE(*picture);
    unsigned channels = PNG_IMAGE_PIXEL_CHANNELS(picture->format);
    struct timespec start, end;
    double ms;
    int error;

    clock_gettime(CLOCK_MONOTONIC, &start);
    error = sharpen_filter(client, job->filter, (struct gpuvchan_reference){gpuvchan_buffer_offset(job->before), bytes},
                           (struct gpuvchan_reference){gpuvchan_buffer_offset(job->after), bytes}, picture->width,
                           picture->height, channels, job->amount);
    clock_gettime(CLOCK_MONOTONIC, &end);
    if (error != 0)
        return fail_host(client, job->filter, error);
    ms = (double)(end.tv_sec - start.tv_sec) * 1e3 + (double)(end.tv_nsec - start.tv_nsec) / 1e6;
    printf("%s: %u x %u pixels of %u channels, %s %g in %.2f ms\n", job->in, picture->width, picture->height, channels,
           job->filter, (double)job->amount, ms);
    return 0;
}

static int
work(struct job *job, const struct gpuvchan_client *client)
{
    int result = read_picture(job, client);

    if (result == 0)
        result = filter_picture(job, client);
    if (result == 0 && !png_image_write_to_file(&job->picture, job->out, 0, gpuvchan_buffer_data(job->after), 0, NULL))
        result = fail(job->out, job->picture.message);
    gpuvchan_buffer_destroy(job->after);
    gpuvchan_buffer_destroy(job->before);
    return result;
}

static int
list(const struct gpuvchan_client *client)
{
    char names[SHARPEN_FILTERS_NAMES_MAX + 1];
    int error = sharpen_filters(client, names, sizeof(names));

    return error != 0 ? fail_host(client, "filters", error) : printf("%s\n", names) < 0;
}

/* @return whether the command line makes sense. */
static bool
parse(struct job *job, bool *list_only, int argc, char **argv)
{
    static const struct option options[] = {
        {"filter", required_argument, NULL, 'f'},
        {"amount", required_argument, NULL, 'a'},
        {"list", no_argument, NULL, 'l'},
        {0},
    };
    char *end = (char *)"";
    int option;

    while ((option = getopt_long(argc, argv, "f:a:l", options, NULL)) != -1 && option != '?') {
        if (option == 'f')
            job->filter = optarg;
        else if (option == 'a')
            job->amount = strtof(optarg, &end);
        *list_only |= option == 'l';
    }
    if (option == '?' || *end != '\0' || argc - optind != (*list_only ? 0 : 2))
        return false;
    job->in = argv[optind];
    job->out = *list_only ? NULL : argv[optind + 1];
    return true;
}

int
main(int argc, char **argv)
{
    struct job job = {.filter = "sharpen", .amount = 1.5f};
    struct gpuvchan_client client = {0};
    struct gpuvchan_channel *channel = NULL;
    bool list_only = false;
    int error, result;

    if (!parse(&job, &list_only, argc, argv)) {
        fputs(usage, stderr);
        return 2;
    }
    error = gpuvchan_channel_connect(NULL, NULL, &channel);
    if (error == 0)
        error = gpuvchan_client_open(channel, &sharpen_protocol, &client);
    if (error != 0)
        result = fail("no host", gpuvchan_error_text());
    else
        result = list_only ? list(&client) : work(&job, &client);
    gpuvchan_channel_close(channel);
    return result;
}
