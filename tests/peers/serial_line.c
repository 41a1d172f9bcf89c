/* A serial line with one Modbus RTU device, on a pty, at the pace of the wire: `serial_line BAUD BITS`.
 *
 * Prints the pty's name. Characters take their time in both directions; the device answers function 3 after the silent
 * interval t3.5 and no later. When standard input is closed it prints what it saw of the master as JSON: how many
 * frames, how many of them began before the line had been silent for t3.5, the shortest such silence, the seconds from
 * the first frame's beginning to the last one's, and the median of the seconds from one frame's beginning to the next. The last character handed to the master is stamped before the
 * write, so that a master that did wait never looks as if it had not.
 *
 * It asks for real-time priority, since hardware does not wait for a processor, and says whether it was given that. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static uint16_t crc(const uint8_t *data, int length) {
    uint16_t value = 0xFFFF;
    for (int i = 0; i < length; i++) {
        value ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            value = value & 1 ? value >> 1 ^ 0xA001 : value >> 1;
    }
    return value;
}

/* The reply to the request, in `reply`; its length, 0 where there is none. */
static int answer(const uint8_t *request, int length, uint8_t *reply) {
    if (length != 8 || request[1] != 3 || crc(request, 6) != (request[6] | request[7] << 8))
        return 0;
    int count = request[4] << 8 | request[5];
    if (count < 1 || count > 125)
        return 0;
    reply[0] = request[0], reply[1] = 3, reply[2] = 2 * count;
    for (int i = 0; i < 2 * count; i++)
        reply[3 + i] = i;
    uint16_t sum = crc(reply, 3 + 2 * count);
    reply[3 + 2 * count] = sum & 0xFF, reply[4 + 2 * count] = sum >> 8;
    return 5 + 2 * count;
}

#define INTERVALS_MAX 100000
static int64_t intervals[INTERVALS_MAX];

static int ascending(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv) {
    if (argc != 3)
        return 2;
    int64_t character = atoi(argv[2]) * 1000000000LL / atoi(argv[1]);
    int64_t silence = atoi(argv[1]) > 19200 ? 1750000 : 7 * character / 2;
    struct sched_param priority = {.sched_priority = 10};
    int urgent = sched_setscheduler(0, SCHED_FIFO, &priority) == 0;
    prctl(PR_SET_PDEATHSIG, 9);
    prctl(PR_SET_TIMERSLACK, 1);

    int master, slave;
    char name[64];
    struct termios raw;
    if (openpty(&master, &slave, name, NULL, NULL) != 0)
        return 3;
    tcgetattr(slave, &raw);
    cfmakeraw(&raw);
    tcsetattr(slave, TCSANOW, &raw);
    fcntl(master, F_SETFL, O_NONBLOCK);
    printf("%s\n", name);
    fflush(stdout);

    uint8_t request[256], reply[256];
    int asked = 0, sending = 0, sent = 0;
    int64_t asked_until = 0, reply_from = 0, busy_until = 0, first = 0, last = 0, shortest = INT64_MAX;
    long frames = 0, violations = 0;
    for (;;) {
        int64_t due = sending ? reply_from + (sent + 1) * character : asked ? asked_until + silence : -1;
        int64_t wait = due - now_ns();
        struct timespec timeout = {wait > 0 ? wait / 1000000000 : 0, wait > 0 ? wait % 1000000000 : 0};
        struct pollfd fds[2] = {{master, POLLIN, 0}, {0, POLLIN, 0}};
        ppoll(fds, 2, due < 0 ? NULL : &timeout, NULL);
        int64_t now = now_ns();
        if (fds[1].revents)
            break;
        if (fds[0].revents & POLLIN) {
            int got = read(master, request + asked, sizeof request - asked);
            if (got > 0) {
                if (now > asked_until) { /* a new frame, not the rest of one */
                    if (frames++ == 0)
                        first = now;
                    else {
                        int64_t gap = now - busy_until;
                        violations += gap < silence;
                        shortest = gap < shortest ? gap : shortest;
                        if (frames - 2 < INTERVALS_MAX)
                            intervals[frames - 2] = now - last;
                    }
                    last = now;
                    asked_until = now;
                }
                asked += got;
                asked_until += got * character;
                busy_until = asked_until;
            }
        }
        if (asked && !sending && now >= asked_until + silence) {
            sending = answer(request, asked, reply);
            sent = asked = 0;
            reply_from = asked_until + silence;
        }
        while (sending && now >= reply_from + (sent + 1) * character) {
            busy_until = now_ns();
            if (write(master, reply + sent, 1) != 1)
                return 4;
            if (++sent == sending)
                sending = 0;
        }
    }
    long polls = frames - 1 < INTERVALS_MAX ? frames - 1 : INTERVALS_MAX;
    int64_t median = 0;
    if (polls > 0) {
        qsort(intervals, polls, sizeof intervals[0], ascending);
        median = intervals[polls / 2];
    }
    printf("{\"frames\": %ld, \"violations\": %ld, \"shortest_s\": %.9f, \"silence_s\": %.9f, \"seconds\": %.9f, "
           "\"median_s\": %.9f, \"urgent\": %s}\n",
           frames, violations, shortest / 1e9, silence / 1e9, (last - first) / 1e9, median / 1e9, urgent ? "true" : "false");
    return 0;
}
