/* SPDX-License-Identifier: MIT */
/* The guest's side of hello. The host must serve the plugin; GPUVCHAN_ADDRESS says where it listens. */
#include <stdio.h>
#include <string.h>

#include <gpuvchan/gpuvchan.h>

#include "hello-guest.h"

static int
shout(const struct gpuvchan_client *client, const char *text)
{
    struct gpuvchan_buffer *buffer;
    uint64_t total;
    int error = gpuvchan_buffer_create(client->channel, strlen(text) + 1, &buffer);

    if (error != 0)
        return error;
    strcpy(gpuvchan_buffer_data(buffer), text);
    error = hello_upper(client, (struct gpuvchan_reference){gpuvchan_buffer_offset(buffer), strlen(text)});
    if (error == 0)
        error = hello_counter(client, &total); /* a call returns when the posts before it are executed */
    if (error == 0)
        printf("%s\ncounted to %llu\n", (const char *)gpuvchan_buffer_data(buffer), (unsigned long long)total);
    gpuvchan_buffer_destroy(buffer);
    return error;
}

int
main(int argc, char **argv)
{
    static const uint32_t values[] = {1, 2, 3, 4};
    struct gpuvchan_channel *channel = NULL;
    struct gpuvchan_client client;
    char greeting[HELLO_GREET_GREETING_MAX + 1];
    uint64_t total;
    int error = gpuvchan_channel_connect(NULL, NULL, &channel);

    if (error == 0)
        error = gpuvchan_client_open(channel, &hello_protocol, &client);
    if (error == 0)
        error = hello_greet(&client, argc > 1 ? argv[1] : "world", greeting, sizeof(greeting));
    if (error == 0)
        puts(greeting);
    for (int i = 0; error == 0 && i < 1000; i++)
        error = hello_count(&client, 2);
    if (error == 0)
        error = hello_sum(&client, values, sizeof(values) / sizeof(values[0]), &total);
    if (error == 0)
        printf("the sum is %llu\n", (unsigned long long)total);
    if (error == 0)
        error = shout(&client, "this went through shared memory");
    if (error != 0)
        fprintf(stderr, "hello: %s\n", error < 0 ? gpuvchan_error_text() : "the host says no");
    gpuvchan_channel_close(channel);
    return error != 0;
}
